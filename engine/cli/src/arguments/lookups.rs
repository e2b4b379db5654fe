//! `ratchet lookups`.

use clap::Subcommand;

use super::{Listing, Remote};

#[derive(Debug, Subcommand)]
pub enum Lookups {
    /// The newest version of each, and the models in production that read it
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
}
