//! `ratchet models`.

use clap::Subcommand;

use super::{CompareModels, Listing, Reference, Remote, Route};

#[derive(Debug, Subcommand)]
pub enum Models {
    /// The newest version of each and the one in production
    List {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// One version: metrics, rows, candidates, where it comes from
    Show {
        /// NAME, or NAME@VERSION
        model: Reference,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// Train a version's configuration again as of several moments of the past and judge each on the rows that came next. Nothing is registered
    Backtest {
        /// NAME, or NAME@VERSION
        model: Reference,
        /// How many moments; tables without a time are cut into so many parts, each judged once
        #[arg(long, default_value_t = 6, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=50))]
        folds: usize,
        #[command(flatten)]
        listing: Listing,
    },
    /// Compare a version with the one in production, or with another. Ends with 1 if it is worse
    Compare(CompareModels),
    /// Put a version into production by hand; the log keeps who and why
    Promote {
        /// NAME@VERSION
        model: Reference,
        /// The alias that shall point to it
        #[arg(long, default_value = "champion")]
        alias: String,
        /// Why, in one sentence
        #[arg(long)]
        reason: String,
        /// It may ask for other fields than the version before, or answer less
        #[arg(long)]
        breaking: bool,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
    /// Check a version: digest, structure and golden rows of its bundle, who signed its manifest and its promotions
    Verify {
        /// NAME, or NAME@VERSION
        model: Reference,
        #[command(flatten)]
        listing: Listing,
    },
    /// Train a version again from the raw bytes that its run kept, and compare the digests; nothing is registered
    ///
    /// Exit status: 0 the same bundle, 1 another one.
    Reproduce {
        /// NAME, or NAME@VERSION
        model: Reference,
        #[command(flatten)]
        listing: Listing,
    },
    /// Spread requests over aliases, or let one answer unheard beside them; the log keeps who and why
    Route(Route),
    /// From a prediction back to its model, run, tables and raw extract
    Trace {
        /// `prediction_id` of an answer
        prediction: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Put the version before the current one back; the current one is barred from unattended promotion
    Rollback {
        /// The model
        name: String,
        /// The alias that shall go back
        #[arg(long, default_value = "champion")]
        alias: String,
        /// Why, in one sentence
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        listing: Listing,
    },
}
