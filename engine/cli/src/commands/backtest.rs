//! `ratchet models backtest NAME`: how good a model's configuration would have been at several moments of the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_artifacts::ModelManifest;
use ratchet_core::plugin::TaskMessage;
use ratchet_tasks::train::{BacktestFold, backtest as train_again};
use serde_json::json;

use crate::arguments::Format;
use crate::display::table::Listing;
use crate::display::{describe, output};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Trains a version's configuration on its own table as of several moments, and prints how each did on the rows that came next.
pub async fn backtest(
    manifest: &ModelManifest,
    folds: usize,
    format: Format,
    settings: &Settings,
) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let say = Arc::new(|message: TaskMessage| {
        if let TaskMessage::Log { message, .. } = message {
            output::error(&message);
        }
    });
    let folds = train_again(&bucket, manifest, folds, threads, say).await;
    let folds = folds.map_err(|error| {
        let failure = Failure::new(Status::Failed, error.message);
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    match format {
        Format::Json => output::document(&json!({
            "model": manifest.name, "version": manifest.version, "simulated": manifest.lineage.simulated,
            "folds": folds, "mean": mean(&folds),
        })),
        Format::Text => {
            output::line(&page(&folds));
            if manifest.lineage.simulated {
                output::line(describe::SIMULATED);
            }
            Ok(())
        }
    }
}

/// Mean of each metric over the folds that have it.
fn mean(folds: &[BacktestFold]) -> BTreeMap<&str, f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (name, value) in folds.iter().flat_map(|fold| &fold.metrics) {
        let entry = sums.entry(name).or_default();
        entry.0 += value;
        entry.1 += 1.0;
    }
    sums.into_iter()
        .map(|(name, (sum, count))| (name, sum / count))
        .collect()
}

fn page(folds: &[BacktestFold]) -> String {
    let mut listing = Listing::new(&[
        "fold",
        "judged from",
        "until",
        "rows fit",
        "rows judged",
        "chosen",
        "metrics",
    ]);
    for (number, fold) in folds.iter().enumerate() {
        listing.row([
            (number + 1).to_string(),
            fold.from.clone().unwrap_or_else(|| "by hash".to_owned()),
            fold.until.clone().unwrap_or_default(),
            describe::count(fold.train),
            describe::count(fold.holdout),
            fold.candidate.to_owned(),
            describe::metrics(&fold.metrics, 4),
        ]);
    }
    let mean = mean(folds)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let last = ["mean", "", "", "", "", "", &describe::metrics(&mean, 4)].map(str::to_owned);
    listing.row(last);
    listing.to_string()
}
