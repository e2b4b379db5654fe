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
    Serve(Box<Serve>),
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
    /// Let everybody register with POST /register, as a user
    #[arg(long, env = "RATCHET_REGISTRATION")]
    pub registration: bool,
    /// Requests a second that one user or key may send, twice as many at once [default: any number]
    #[arg(long, value_name = "REQUESTS", env = "RATCHET_RATE_LIMIT", value_parser = rate)]
    pub rate_limit: Option<f64>,
    /// Origins whose pages may ask, separated by commas, such as https://example.org [default: none]
    #[arg(long, value_name = "ORIGINS", env = "RATCHET_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Certificate for HTTPS, in PEM, with those between it and an authority
    #[arg(long, value_name = "FILE", env = "RATCHET_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", env = "RATCHET_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("give a number of requests a second above 0".to_owned()),
    }
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
