//! The command line, as types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Predictions over HTTP from promoted models.
#[derive(Debug, Parser)]
#[command(name = "ratchet-api", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `ratchet-api` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve predictions until SIGTERM or SIGINT
    Serve(Serve),
    /// Print the OpenAPI document of the routes that do not depend on a model
    Openapi,
}

/// Where to listen and what to serve.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address and port to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "RATCHET_API_LISTEN",
        default_value = "127.0.0.1:8000"
    )]
    pub listen: String,
    /// Bucket with the models: a directory, file:///directory or s3://bucket/prefix [default: <home>/bucket]
    #[arg(long, value_name = "URL", env = "RATCHET_STORE")]
    pub store: Option<String>,
    /// Directory of users and the signing secret
    #[arg(long, value_name = "DIRECTORY", env = "RATCHET_HOME", default_value = ".ratchet")]
    pub home: PathBuf,
    /// Most memory that loaded models may take together, in bytes; a model beyond it is refused, the one before it serves on
    #[arg(long, value_name = "BYTES", env = "RATCHET_MEMORY_LIMIT")]
    pub memory_limit: Option<u64>,
    /// Model that answers POST /predict [default: the only one that was promoted]
    #[arg(long, value_name = "MODEL", env = "RATCHET_DEFAULT_MODEL")]
    pub default_model: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
