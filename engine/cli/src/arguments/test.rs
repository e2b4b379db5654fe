//! Which cases are tried.

use std::path::PathBuf;

use clap::Args;

use super::Listing;

#[derive(Debug, Args)]
pub struct Test {
    /// Files of cases, or directories of them
    #[arg(default_value = "dags/tests", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub listing: Listing,
}
