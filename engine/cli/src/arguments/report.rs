//! What reports take.

use clap::{Args, ValueEnum};

use super::{Reference, Remote};

/// What `ratchet report` takes.
#[derive(Debug, Args)]
pub struct Report {
    /// Id of the run, or the beginning of it
    pub run: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    #[command(flatten)]
    pub remote: Remote,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a pull request
    #[default]
    Markdown,
    /// One page for a browser
    Html,
    /// For programs
    Json,
}

/// What `ratchet models compare` takes.
#[derive(Debug, Args)]
pub struct CompareModels {
    /// NAME, or NAME@VERSION: the challenger
    pub model: Reference,
    /// Version to compare with [default: the one that holds the alias]
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    pub against: Option<u64>,
    /// Alias of the version in production
    #[arg(long, default_value = "champion", conflicts_with = "against")]
    pub alias: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}
