//! Record collections.

use std::path::PathBuf;

use clap::Subcommand;

use super::Listing;

#[derive(Debug, Subcommand)]
pub enum Collections {
    /// Make a collection, or change what its rows are
    Apply {
        /// YAML or JSON with `name`, `key` (a list of fields) and `schema` (JSON Schema of a row)
        file: PathBuf,
        #[command(flatten)]
        listing: Listing,
    },
    /// All collections
    List {
        #[command(flatten)]
        listing: Listing,
    },
}
