//! The plugin `train.model`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use polars::prelude::DataFrame;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{
    ConfigProblem, Model, Output, Outputs, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError,
};
use ratchet_model::features::{Place, Places};
use serde_json::{Value, json};

use super::config::{LookupConfig, TrainConfig, problems};
use super::inspect::inspect;
use super::page::page;
use super::rows::{numbers, texts};
use super::split::split;
use super::training::prepare;
use crate::blocking::blocking;
use crate::table::{self, column, open_bucket, place_of, to_blob};

/// See [`TrainConfig`].
pub struct TrainModel;

#[async_trait]
impl Plugin for TrainModel {
    type Config = TrainConfig;
    const NAME: &'static str = "train.model";
    const SUMMARY: &'static str = "Trains candidates, chooses the best on validation rows, and writes it as a bundle.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "model",
                kind: PortKind::Model,
                description: "The chosen candidate as a new version.",
            },
            Port {
                name: "report",
                kind: PortKind::Report,
                description: "All candidates with their metrics, and what the chosen one goes by (`training.json`).",
            },
            Port {
                name: "page",
                kind: PortKind::Report,
                description: "The same for people (`training.html`).",
            },
        ]
    }

    fn validate(config: &TrainConfig) -> Vec<ConfigProblem> {
        problems(config)
    }

    async fn run(config: TrainConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let lookups = read_lookups(&bucket, &config, context).await?;
        if config.table.simulated {
            context.warn("SIMULATED: the rows come from a simulated source; the model says so in every answer");
        }
        let given = context.clone();
        let settings = config.clone();
        let (trained, html) = blocking("training", move || {
            let prepared = prepare(&settings, &frame, &lookups)?;
            drop(frame);
            let split = split(&settings, &prepared.rows)?;
            let mut trained = prepared.train(split, &given)?;
            let inspection = inspect(&trained.bundle, &trained.holdout, given.threads.max(1));
            trained.report["inspection"] = json!(inspection);
            let html = page(
                &settings.model,
                &settings.description,
                settings.table.simulated,
                &trained.report,
                &inspection,
            );
            Ok((trained, html))
        })
        .await?;
        let page_blob = bucket
            .put_blob(html.into_bytes().into())
            .await
            .map_err(table::from_bucket)?;
        let blob = bucket
            .put_blob(trained.bytes.into())
            .await
            .map_err(table::from_bucket)?;
        let report =
            serde_json::to_vec_pretty(&trained.report).map_err(|error| TaskError::permanent(error.to_string()))?;
        let report_blob = bucket.put_blob(report.into()).await.map_err(table::from_bucket)?;
        let tables =
            std::iter::once(&config.table).chain(config.lookups.values().filter_map(|lookup| lookup.table.as_ref()));
        let model = Model {
            name: config.model.clone(),
            version: None,
            bundle: to_blob(&blob),
            metrics: trained.metrics,
            rows: trained.rows,
            inputs: tables.map(table_name).collect(),
            source: config.table.source.clone(),
            simulated: config.table.simulated,
            parameters: parameters(&config),
            report: trained.report,
        };
        let summary = format!("{} chosen of {}", trained.candidate, config.candidates.len());
        let report = |file_name: &str, blob| Report {
            summary: summary.clone(),
            file_name: file_name.to_owned(),
            blob: to_blob(blob),
        };
        Ok(Outputs::default()
            .with("model", Output::Model(Box::new(model)))
            .with("report", Output::Report(report("training.json", &report_blob)))
            .with("page", Output::Report(report("training.html", &page_blob))))
    }
}

/// The places of the lookups that name a table.
///
/// # Errors
/// A table that cannot be read, lacks a column or holds no place.
pub async fn read_lookups(
    bucket: &Bucket,
    config: &TrainConfig,
    context: &TaskContext,
) -> Result<BTreeMap<String, Places>, TaskError> {
    let mut lookups = BTreeMap::new();
    for (name, lookup) in &config.lookups {
        if let Some(places) = &lookup.table {
            let frame = table::read(bucket, places).await?;
            lookups.insert(name.clone(), read_places(&frame, places, lookup)?);
            context.info(format!(
                "lookup `{name}`: {} places from {}",
                places.rows,
                place_of(places)
            ));
        }
    }
    Ok(lookups)
}

fn table_name(table: &Table) -> String {
    match table.version {
        Some(version) => format!("{}@{version}", table.dataset),
        None => table.files.first().map(|file| file.sha256.clone()).unwrap_or_default(),
    }
}

/// The configuration, with the names of tables in their place.
fn parameters(config: &TrainConfig) -> Value {
    let mut value = serde_json::to_value(config).unwrap_or_default();
    value["table"] = json!(table_name(&config.table));
    for (name, lookup) in &config.lookups {
        if let Some(table) = &lookup.table {
            value["lookups"][name]["table"] = json!(table_name(table));
        }
    }
    value
}

fn read_places(frame: &DataFrame, about: &Table, lookup: &LookupConfig) -> Result<Places, TaskError> {
    let place = place_of(about);
    let names = texts(column(frame, &lookup.key, &place)?, &place)?;
    let x = numbers(column(frame, &lookup.x, &place)?, &place)?;
    let y = numbers(column(frame, &lookup.y, &place)?, &place)?;
    let mut places = Places::default();
    for (row, name) in names.iter().enumerate() {
        if let (Some(name), true) = (name, x[row].is_finite() && y[row].is_finite()) {
            places.insert(name, Place { x: x[row], y: y[row] });
        }
    }
    if places.is_empty() {
        return Err(TaskError::permanent(format!(
            "{place} has no row with a name in `{}` and numbers in `{}` and `{}`",
            lookup.key, lookup.x, lookup.y
        )));
    }
    Ok(places)
}
