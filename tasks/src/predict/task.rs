//! The plugin `predict.batch`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use polars::prelude::DataFrame;
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use ratchet_artifacts::{Bucket, PromotionLog, models};
use ratchet_core::plugin::{ConfigProblem, Output, Outputs, Plugin, Port, PortKind, Table, TaskContext, TaskError};
use ratchet_model::Bundle;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chunk::{Chunk, answered};
use crate::blocking::blocking;
use crate::table::{self, place_of, to_blob_ref};
use crate::train::newest_lookups;
use crate::words::count;

/// Rows that are in memory at a time. Each makes a file of the result, so it is never taken from the machine.
const ROWS: usize = 1 << 16;

/// Problems that are listed.
const LISTED: usize = 100;

/// Predicts every row of a table.
pub struct PredictBatch;

/// Configuration of `predict.batch`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictConfig {
    /// The rows. It needs the fields of the model and may have other columns.
    pub table: Table,
    /// `NAME@VERSION`, `NAME@ALIAS`, or `NAME` for the champion.
    pub model: String,
    /// Columns of the table that stand beside the predictions. Default: all.
    #[serde(default)]
    pub keep: Option<Vec<String>>,
    /// Rows with a value that the model does not take, at most: they get no prediction, and the column `problem` says
    /// why. One more fails the task.
    #[serde(default)]
    pub max_problems: u64,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

#[async_trait]
impl Plugin for PredictBatch {
    type Config = PredictConfig;
    const NAME: &'static str = "predict.batch";
    const SUMMARY: &'static str = "Predicts every row of a table with a registered version, as serving would.";

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "table",
                kind: PortKind::Table,
                description: "The rows in their order, with prediction, interval or probabilities, and the version.",
            },
            Port {
                name: "model",
                kind: PortKind::Value,
                description: "The version that answered: `name`, `version`, `digest`.",
            },
            Port {
                name: "problems",
                kind: PortKind::Value,
                description: "`rows`: how many got no prediction; `first`: row, field and fault of some.",
            },
        ]
    }

    fn validate(config: &PredictConfig) -> Vec<ConfigProblem> {
        let problem = match Wanted::parse(&config.model) {
            Ok(_) => return Vec::new(),
            Err(message) => message,
        };
        vec![ConfigProblem {
            pointer: "/model".to_owned(),
            message: problem,
            help: Some("write NAME@VERSION, NAME@ALIAS, or NAME for the champion".to_owned()),
        }]
    }

    async fn run(config: PredictConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let wanted = Wanted::parse(&config.model).map_err(TaskError::permanent)?;
        let (bundle, version, digest) = wanted.load(&bucket).await?;
        let bundle = Arc::new(bundle);
        let name = format!("{}@{version}", wanted.name);
        context.info(format!("{} rows by {name}", count(config.table.rows)));
        let about = table::About {
            dataset: config.dataset.clone(),
            simulated: config.table.simulated || bundle.simulated(),
            ..table::About::inherited([&config.table])
        };
        let keep = kept(&config, &bundle)?;
        let fields = bundle.schema().fields.iter().map(|field| &field.name);
        let columns: BTreeSet<String> = fields.chain(&keep).cloned().collect();
        let mut whole: Option<Table> = None;
        let (mut faulty, mut listed, mut done) = (0, Vec::new(), 0_u64);
        let file = context.temporary_directory.join("rows.parquet");
        for blob in &config.table.files {
            bucket
                .save_blob(&to_blob_ref(blob), &file)
                .await
                .map_err(table::from_bucket)?;
            for offset in (0..).step_by(ROWS) {
                if context.is_cancelled() {
                    return Err(TaskError::transient("the run was cancelled"));
                }
                let (path, place, name) = (file.clone(), place_of(&config.table), name.clone());
                let (keep, columns) = (keep.clone(), columns.iter().cloned().collect());
                let bundle = Arc::clone(&bundle);
                let work = move || {
                    let frame = read(&path, columns, offset, &place)?;
                    let rows = frame.height();
                    Ok((answered(&bundle, frame, &keep, &name, &place)?, rows))
                };
                let (chunk, rows) = blocking("predicting", work).await?;
                if rows == 0 && (offset > 0 || whole.is_some()) {
                    break;
                }
                let Chunk { frame, problems } = chunk;
                let first = problems.iter().take(LISTED - listed.len());
                listed.extend(first.map(|problem| problem.to_json(done)));
                faulty += problems.len() as u64;
                if faulty > config.max_problems {
                    return Err(too_many(&config, faulty, &listed));
                }
                let part = table::write(&bucket, frame, about.clone()).await?;
                match &mut whole {
                    None => whole = Some(part),
                    Some(whole) => join(whole, part),
                }
                done += rows as u64;
                context.progress(
                    done as f64 / config.table.rows.max(1) as f64,
                    format!("{} rows", count(done)),
                );
                if rows < ROWS {
                    break;
                }
            }
        }
        let table = whole.ok_or_else(|| TaskError::permanent(format!("{} has no file", place_of(&config.table))))?;
        if faulty > 0 {
            context.warn(format!("{} rows got no prediction", count(faulty)));
        }
        Ok(Outputs::default()
            .with("table", Output::Table(table))
            .with(
                "model",
                Output::Value(json!({ "name": wanted.name, "version": version, "digest": digest })),
            )
            .with("problems", Output::Value(json!({ "rows": faulty, "first": listed }))))
    }
}

/// Which version answers.
struct Wanted<'a> {
    name: &'a str,
    which: Which<'a>,
}

enum Which<'a> {
    Version(u64),
    Alias(&'a str),
}

impl<'a> Wanted<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let (name, which) = match text.split_once('@') {
            None => (text, Which::Alias("champion")),
            Some((name, which)) => match which.parse() {
                Ok(version) => (name, Which::Version(version)),
                Err(_) => (name, Which::Alias(which)),
            },
        };
        let alias = match which {
            Which::Alias(alias) => alias,
            Which::Version(_) => "champion",
        };
        let checked = ratchet_artifacts::check_name("model", name);
        checked
            .and_then(|()| ratchet_artifacts::check_name("alias", alias))
            .map_err(|error| error.to_string())?;
        Ok(Self { name, which })
    }

    /// The bundle, checked as serving checks it, its version and its digest.
    async fn load(&self, bucket: &Bucket) -> Result<(Bundle, u64, String), TaskError> {
        let name = self.name;
        let version = match self.which {
            Which::Version(version) => version,
            Which::Alias(alias) => {
                let head = PromotionLog::new(bucket.clone()).head().await;
                let head = head.map_err(|error| TaskError::transient(error.to_string()))?;
                let holder = head.and_then(|head| head.holder(name, alias).cloned());
                let nobody = || {
                    TaskError::permanent(format!("no version of `{name}` is {alias}"))
                        .with_help("name a version, or promote one: `ratchet models list` shows them")
                };
                holder.ok_or_else(nobody)?.version
            }
        };
        let manifest = models::get(bucket, name, version).await.map_err(table::from_bucket)?;
        let manifest = manifest.ok_or_else(|| {
            TaskError::permanent(format!("there is no {name}@{version}"))
                .with_help("`ratchet models list` shows what is registered")
        })?;
        let bytes = bucket.get_blob(&manifest.bundle).await.map_err(table::from_bucket)?;
        let loaded = blocking("loading the model", move || {
            let unusable = |error: ratchet_model::BundleError| TaskError::permanent(error.to_string());
            let bundle = Bundle::read(&bytes).map_err(unusable)?;
            bundle.check_golden_rows().map_err(unusable)?;
            Ok(bundle)
        });
        let bundle = loaded.await.map_err(|mut error| {
            error.message = format!("{name}@{version} cannot answer: {}", error.message);
            error.with_help("name a version that loads: `ratchet models verify` tells")
        })?;
        let bundle = newest_lookups(bucket, bundle).await?;
        Ok((bundle, version, manifest.bundle.sha256))
    }
}

/// The columns that go along; all that are asked for and all that the model reads are there.
fn kept(config: &PredictConfig, bundle: &Bundle) -> Result<Vec<String>, TaskError> {
    let names: Vec<&str> = config.table.columns.iter().map(|column| column.name.as_str()).collect();
    let place = place_of(&config.table);
    let read = bundle.schema().fields.iter().map(|field| field.name.as_str());
    let asked = config.keep.iter().flatten().map(String::as_str);
    if let Some(missing) = read.chain(asked).find(|name| !names.contains(name)) {
        return Err(table::missing_column(missing, &place, &names));
    }
    Ok(match &config.keep {
        Some(keep) => keep.clone(),
        None => names.into_iter().map(str::to_owned).collect(),
    })
}

fn read(path: &Path, columns: Vec<String>, offset: usize, place: &str) -> Result<DataFrame, TaskError> {
    let unreadable = |error: String| {
        TaskError::permanent(format!("a file of {place} cannot be read as Parquet: {error}"))
            .with_help("run the task that made the table again")
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let reader = ParquetReader::new(file)
        .with_columns(Some(columns))
        .with_slice(Some((offset, ROWS)));
    reader.finish().map_err(|error| unreadable(error.to_string()))
}

fn too_many(config: &PredictConfig, faulty: u64, listed: &[Value]) -> TaskError {
    let shown: Vec<String> = listed
        .iter()
        .take(3)
        .map(|problem| {
            let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
            format!("row {} {}: {}", problem["row"], text("pointer"), text("message"))
        })
        .collect();
    TaskError::permanent(format!(
        "{faulty} rows of {} have a value that the model does not take, and {} are let through: {}",
        place_of(&config.table),
        config.max_problems,
        shown.join("; ")
    ))
    .with_help("correct them in SQL before, or raise `max_problems`: such rows get no prediction and say why")
}

/// Appends the next rows.
fn join(whole: &mut Table, part: Table) {
    whole.files.extend(part.files);
    whole.rows += part.rows;
    for (column, more) in whole.columns.iter_mut().zip(part.columns) {
        column.nulls += more.nulls;
    }
}
