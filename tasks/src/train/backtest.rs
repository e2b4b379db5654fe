//! A model trained again as of several moments of the past, each time judged on the rows that came next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ratchet_artifacts::{Bucket, ModelManifest, datasets};
use ratchet_core::plugin::{MessageSink, Replay, RunContext, Table, TaskContext, TaskError};
use ratchet_model::Bundle;
use ratchet_model::schema::format_timestamp;
use serde::Serialize;
use serde_json::json;

use super::config::TrainConfig;
use super::lookups;
use super::split::backtest_splits;
use super::training::prepare;
use crate::blocking::blocking;
use crate::table;

/// One training of a backtest.
#[derive(Clone, Debug, Serialize)]
pub struct BacktestFold {
    /// The first instant that judged it, where rows have a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The first instant after those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Rows that the model learnt from.
    pub train: u64,
    /// Rows that judged it.
    pub holdout: u64,
    /// Kind of the candidate that was chosen.
    pub candidate: &'static str,
    /// On the rows that judged it.
    pub metrics: BTreeMap<String, f64>,
}

/// Trains a version's configuration on its own table again, `count` times. Nothing is registered or promoted.
///
/// # Errors
/// A version whose configuration or tables are not in the bucket any more, and whatever stops a training.
pub async fn backtest(
    bucket: &Bucket,
    manifest: &ModelManifest,
    count: usize,
    threads: usize,
    sink: MessageSink,
) -> Result<Vec<BacktestFold>, TaskError> {
    let config = configuration(bucket, manifest).await?;
    let blob = bucket.get_blob(&manifest.bundle).await.map_err(table::from_bucket)?;
    let bundle = Bundle::read(&blob).map_err(|error| TaskError::permanent(error.to_string()))?;
    let context = TaskContext {
        run: RunContext {
            id: manifest.lineage.run.clone(),
            dag: manifest.lineage.dag.clone(),
            logical_date: manifest.created_at,
            interval_start: manifest.created_at,
            interval_end: manifest.created_at,
        },
        task: manifest.lineage.task.clone(),
        attempt: 1,
        seed: bundle.content().seed,
        threads,
        replay: Replay::default(),
        bucket_url: String::new(),
        working_directory: PathBuf::new(),
        temporary_directory: PathBuf::new(),
        sink,
        cancelled: Arc::default(),
    };
    let frame = table::read(bucket, &config.table).await?;
    let given = lookups::given(bucket, &config, &context.replay).await?;
    lookups::say(&given, &context);
    blocking("the backtest", move || {
        let prepared = prepare(&config, &frame, &given)?;
        let splits = backtest_splits(&config, &prepared.rows, count)?;
        let folds = splits.into_iter().enumerate().map(|(fold, split)| {
            context.info(format!("fold {} of {count}", fold + 1));
            let window = split.window.clone();
            let trained = prepared.train(split, &context)?;
            let place = |place: i64| config.split.is_none().then(|| format_timestamp(place));
            Ok(BacktestFold {
                from: place(window.until),
                until: place(window.holdout_until),
                train: trained.rows.train,
                holdout: trained.rows.holdout,
                candidate: trained.candidate,
                metrics: trained.metrics,
            })
        });
        folds.collect()
    })
    .await
}

/// The configuration of a version, with its tables as they are in the bucket.
async fn configuration(bucket: &Bucket, manifest: &ModelManifest) -> Result<TrainConfig, TaskError> {
    let unusable = |problem: String| {
        let (name, version) = (&manifest.name, manifest.version);
        TaskError::permanent(format!("{name}@{version} cannot be trained again: {problem}"))
            .with_help("run its DAG once more and take the version that this makes")
    };
    let mut parameters = manifest.parameters.clone();
    if let Some(name) = parameters["table"].as_str().map(str::to_owned) {
        let table = table_of(bucket, &name).await?;
        let gone = || unusable(format!("the table {name} that it learnt from is not in the bucket"));
        parameters["table"] = json!(table.ok_or_else(gone)?);
    }
    serde_json::from_value(parameters)
        .map_err(|error| unusable(format!("its configuration is of another program: {error}")))
}

/// A registered table by `name@version`.
async fn table_of(bucket: &Bucket, reference: &str) -> Result<Option<Table>, TaskError> {
    let (name, version) = reference.split_once('@').unwrap_or((reference, ""));
    let Ok(version) = version.parse() else { return Ok(None) };
    let Some(manifest) = datasets::get(bucket, name, version).await.map_err(table::from_bucket)? else {
        return Ok(None);
    };
    table::of_manifest(&manifest).map(Some)
}
