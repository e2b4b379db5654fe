//! What starts runs, and what keeps them from starting.

use std::path::PathBuf;

use clap::Args;

use super::Remote;

/// What `dags pause` and `unpause` take.
#[derive(Debug, Args)]
pub struct PauseOf {
    /// Name of the DAG
    pub name: String,
    /// Directory of the DAG files
    #[arg(long, env = "RATCHET_DAGS", default_value = "dags", value_name = "DIR")]
    pub dags: PathBuf,
    #[command(flatten)]
    pub remote: Remote,
}
