//! `ratchet datasets`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Listing, Reference};

#[derive(Debug, Subcommand)]
pub enum Datasets {
    /// The newest version of each
    List {
        #[command(flatten)]
        listing: Listing,
    },
    /// One version: columns, rows, where it comes from
    Show {
        /// NAME, or NAME@VERSION
        dataset: Reference,
        #[command(flatten)]
        listing: Listing,
    },
    /// Write the files of a version (Parquet) into a directory
    Pull {
        /// NAME, or NAME@VERSION
        dataset: Reference,
        /// Where they go
        directory: PathBuf,
        #[command(flatten)]
        listing: Listing,
    },
    /// What changed from one version to another: columns, rows, numbers
    Diff {
        /// NAME@VERSION of the earlier one
        from: Reference,
        /// NAME@VERSION of the later one
        to: Reference,
        /// Columns that name a row, separated by commas; without them whole rows are compared
        #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
        key: Vec<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Hand a version to another tool
    Export {
        /// NAME, or NAME@VERSION
        dataset: Reference,
        /// Write a `.dvc` file here, and what it points to into a remote that `dvc pull` reads
        #[arg(long, value_name = "DIR")]
        dvc: PathBuf,
        /// The remote: a directory, file:// or s3:// [default: DIR/remote]
        #[arg(long, value_name = "URL")]
        remote: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
}
