//! What starts runs, and what keeps them from starting.

use std::path::PathBuf;

use clap::Args;

use super::{Listing, Remote, parse_instant, parse_parameter};

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

/// What `backfill` takes.
#[derive(Debug, Args)]
pub struct Backfill {
    /// Name of a DAG, or its file
    #[arg(required_unless_present = "stop")]
    pub dag: Option<String>,
    /// The first instant that a tick may have, such as 2017-01-01
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, required_unless_present = "stop")]
    pub from: Option<jiff::Timestamp>,
    /// The last one
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, required_unless_present = "stop")]
    pub to: Option<jiff::Timestamp>,
    /// Leave out ticks for which a run succeeded or is under way; without it each of them is run again
    #[arg(long)]
    pub missing_only: bool,
    /// How many of the runs may be active at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_active: u32,
    /// Show what would be done with each tick, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Value of a parameter, for all runs
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub params: Vec<(String, String)>,
    /// Stop a backfill that goes on by itself, and the runs of it that are under way
    #[arg(long, value_name = "ID", conflicts_with_all = ["dag", "from", "to", "missing_only", "dry_run", "params"])]
    pub stop: Option<String>,
    /// Directory of the DAG files
    #[arg(long, env = "RATCHET_DAGS", default_value = "dags", value_name = "DIR")]
    pub dags: PathBuf,
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub listing: Listing,
}

/// What `dags show` takes.
#[derive(Debug, Args)]
pub struct ShowDag {
    /// Name of the DAG
    pub name: String,
    /// Directory of the DAG files
    #[arg(long, env = "RATCHET_DAGS", default_value = "dags", value_name = "DIR")]
    pub dags: PathBuf,
    #[command(flatten)]
    pub remote: Remote,
    #[command(flatten)]
    pub listing: Listing,
}
