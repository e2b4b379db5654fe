//! Who asks, and whom.

use clap::{Args, Subcommand};
use ratchet_identity::{Audience, Role};

use super::Listing;

/// Where the answer comes from.
#[derive(Clone, Debug, Args)]
pub struct Remote {
    /// Ask the service at this address instead of the home directory; `ratchet login` first
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}

#[derive(Debug, Args)]
pub struct Login {
    /// Address of `ratchet serve`, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// Name to log in with [default: the system's user name]
    #[arg(long, short)]
    pub user: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key. It is printed once
    Add {
        /// What the key is for
        name: String,
        /// What its bearer may do
        #[arg(long, default_value_t = Role::User, value_name = "user|operator|admin")]
        role: Role,
        /// How long it lasts
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// The one service that takes it [default: both]
        #[arg(long, value_name = "api|engine", value_parser = service)]
        only: Option<Audience>,
        #[command(flatten)]
        listing: Listing,
    },
    /// All keys, also those that ended
    List {
        #[command(flatten)]
        listing: Listing,
    },
    /// End a key
    Revoke {
        /// What the key is for
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// The newest entries
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        listing: Listing,
    },
    /// Check that no entry was altered, removed or put in between; exit status 1 if one was
    Verify {
        #[command(flatten)]
        listing: Listing,
    },
}

fn service(text: &str) -> Result<Audience, String> {
    match text {
        "api" => Ok(Audience::Api),
        "engine" => Ok(Audience::Engine),
        _ => Err("the services are api and engine".to_owned()),
    }
}
