//! The command line, as types.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::record::options::{USUAL_BYTES, USUAL_DAYS};

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
    /// Most bytes that the log of requests takes; the oldest goes first
    #[arg(long, value_name = "BYTES", env = "RATCHET_RECORD_BYTES", default_value_t = USUAL_BYTES)]
    pub record_bytes: u64,
    /// Days after which entries of the log go
    #[arg(long, value_name = "DAYS", env = "RATCHET_RECORD_DAYS", default_value_t = USUAL_DAYS)]
    pub record_days: u32,
    /// Share of the answered requests that the log keeps, from 0 to 1; refused ones are always kept
    #[arg(long, value_name = "SHARE", env = "RATCHET_RECORD_SHARE", default_value_t = 1.0, value_parser = share)]
    pub record_share: f64,
    /// Fields whose values the log does not keep, separated by commas: field or model.field [default: none]
    #[arg(long, value_name = "FIELDS", env = "RATCHET_RECORD_MASK", value_delimiter = ',')]
    pub record_mask: Vec<String>,
    /// Keep the log and the feedback here, and do not send them to the bucket's feeds
    #[arg(long, env = "RATCHET_NO_FEEDS")]
    pub no_feeds: bool,
    /// Rows of a window that is compared with the training's rows
    #[arg(long, value_name = "ROWS", env = "RATCHET_DRIFT_ROWS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=10_000))]
    pub drift_rows: u64,
    /// Chance that a window in which nothing has changed raises an alarm, at most
    #[arg(long, value_name = "CHANCE", env = "RATCHET_DRIFT_RATE", default_value_t = 0.01, value_parser = chance)]
    pub drift_rate: f64,
    /// Minutes from the begin of a model's window to that of the next, at least
    #[arg(long, value_name = "MINUTES", env = "RATCHET_DRIFT_MINUTES", default_value_t = 60)]
    pub drift_minutes: u32,
    /// Address of the engine, for /retrain and /evaluate; its key stands in RATCHET_ENGINE_KEY
    #[arg(long, value_name = "URL", env = "RATCHET_ENGINE_URL")]
    pub engine: Option<String>,
    /// DAG that retrains [default: the only one of the engine]
    #[arg(long, value_name = "NAME", env = "RATCHET_RETRAIN_DAG")]
    pub retrain_dag: Option<String>,
    /// Minutes after a run began in which another has to be forced
    #[arg(
        long,
        value_name = "MINUTES",
        env = "RATCHET_RETRAIN_COOLDOWN",
        default_value_t = 360
    )]
    pub retrain_cooldown: u32,
    /// Serve only what is signed by one of the trusted keys: the version's manifest and its promotion
    #[arg(long, env = "RATCHET_REQUIRE_SIGNATURES", requires = "trusted_keys")]
    pub require_signatures: bool,
    /// File with the public keys whose signatures count, in PEM
    #[arg(long, value_name = "FILE", env = "RATCHET_TRUSTED_KEYS")]
    pub trusted_keys: Option<PathBuf>,
    /// Certificate for HTTPS, in PEM, with those between it and an authority
    #[arg(long, value_name = "FILE", env = "RATCHET_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", env = "RATCHET_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a share from 0 to 1".to_owned()),
    }
}

fn chance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(chance) if (0.001..=0.5).contains(&chance) => Ok(chance),
        _ => Err("give a chance from 0.001 to 0.5".to_owned()),
    }
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
