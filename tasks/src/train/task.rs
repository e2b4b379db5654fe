//! The plugin `train.model`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ratchet_core::plugin::{
    ConfigProblem, Model, Output, Outputs, Place, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError,
};
use serde_json::{Value, json};

use super::config::{TrainConfig, problems};
use super::inspect::inspect;
use super::lookups::{self, Found, LookupConfig};
use super::page::page;
use super::split::split;
use super::training::prepare;
use crate::blocking::blocking;
use crate::table::{self, open_bucket, to_blob};

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

    async fn fingerprint(config: &TrainConfig, _place: &Place) -> Result<Option<String>, TaskError> {
        let newest = |lookup: &&LookupConfig| !lookup.name.is_empty() && lookup.version.is_none();
        match config.lookups.values().find(newest) {
            None => Ok(None),
            Some(lookup) => Err(TaskError::permanent(format!(
                "the newest version of `{}` is joined, whichever that is then",
                lookup.name
            ))
            .with_help("name a `version` if the training is to be taken from the cache")),
        }
    }

    async fn run(config: TrainConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let given = lookups::given(&bucket, &config, &context.replay).await?;
        lookups::say(&given, context);
        let simulated = config.table.simulated || given.values().any(|lookup| lookup.simulated);
        if simulated {
            context.warn("SIMULATED: the rows come from a simulated source; the model says so in every answer");
        }
        let parameters = parameters(&config, &given);
        let (settings, within) = (config.clone(), context.clone());
        let (trained, html) = blocking("training", move || {
            let prepared = prepare(&settings, &frame, &given)?;
            drop(frame);
            let split = split(&settings, &prepared.rows)?;
            let mut trained = prepared.train(split, &within)?;
            let inspection = inspect(&trained.bundle, &trained.holdout, within.threads.max(1));
            trained.report["inspection"] = json!(inspection);
            let html = page(
                &settings.model,
                &settings.description,
                simulated,
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
        let model = Model {
            name: config.model.clone(),
            version: None,
            bundle: to_blob(&blob),
            metrics: trained.metrics,
            rows: trained.rows,
            inputs: vec![table_name(&config.table)],
            source: config.table.source.clone(),
            simulated,
            parameters,
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

fn table_name(table: &Table) -> String {
    match table.version {
        Some(version) => format!("{}@{version}", table.dataset),
        None => table.files.first().map(|file| file.sha256.clone()).unwrap_or_default(),
    }
}

/// The configuration, with the names of tables and of the versions of lookups in their place.
fn parameters(config: &TrainConfig, given: &BTreeMap<String, Found>) -> Value {
    let mut config = config.clone();
    let table = table_name(&config.table);
    for (called, lookup) in &mut config.lookups {
        lookup.lookup = None;
        if let Some(found) = given.get(called) {
            lookup.name.clone_from(&found.name);
            lookup.version = found.version;
        }
    }
    let mut value = serde_json::to_value(config).unwrap_or_default();
    value["table"] = json!(table);
    value
}
