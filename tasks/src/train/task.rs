//! The plugin `train.model`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use polars::prelude::DataFrame;
use ratchet_core::plugin::{
    ConfigProblem, Model, Output, Outputs, Plugin, Port, PortKind, Report, RowCounts, Table, TaskContext, TaskError,
};
use ratchet_model::features::{Pipeline, Place, Places};
use ratchet_model::{Bundle, Known, Schema};
use serde_json::{Value, json};

use super::boosting::Resources;
use super::config::{LookupConfig, SplitConfig, TrainConfig, problems};
use super::evaluate::{accuracy_metrics, holdout_metrics, selection_metric};
use super::fit::{Learnt, Part, Setting, fit_bundle, fit_features, learn};
use super::line::Line;
use super::rows::{ModelRows, numbers, read_rows, schema_of, texts};
use super::split::{Split, split};
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
                description: "All candidates with their metrics.",
            },
        ]
    }

    fn validate(config: &TrainConfig) -> Vec<ConfigProblem> {
        problems(config)
    }

    async fn run(config: TrainConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let mut lookups = BTreeMap::new();
        for (name, lookup) in &config.lookups {
            if let Some(places) = &lookup.table {
                let frame = table::read(&bucket, places).await?;
                lookups.insert(name.clone(), read_places(&frame, places, lookup)?);
                context.info(format!(
                    "lookup `{name}`: {} places from {}",
                    places.rows,
                    place_of(places)
                ));
            }
        }
        if config.table.simulated {
            context.warn("SIMULATED: the rows come from a simulated source; the model says so in every answer");
        }
        let given = context.clone();
        let settings = config.clone();
        let trained = blocking("training", move || train(&settings, &frame, &lookups, &given)).await?;
        let blob = bucket
            .put_blob(trained.bundle.into())
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
        let report = Report {
            summary,
            file_name: "training.json".to_owned(),
            blob: to_blob(&report_blob),
        };
        Ok(Outputs::default()
            .with("model", Output::Model(Box::new(model)))
            .with("report", Output::Report(report)))
    }
}

fn table_name(table: &Table) -> String {
    match table.version {
        Some(version) => format!("{}@{version}", table.dataset),
        None => table.files.first().map(|file| file.sha256.clone()).unwrap_or_default(),
    }
}

/// The configuration without the tables, which the lineage names.
fn parameters(config: &TrainConfig) -> Value {
    let mut value = serde_json::to_value(config).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("table");
        for lookup in map
            .get_mut("lookups")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|map| map.values_mut())
        {
            if let Some(lookup) = lookup.as_object_mut() {
                lookup.remove("table");
            }
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

/// Seconds of a day.
const DAY: i64 = 86_400;

struct Trained {
    bundle: Vec<u8>,
    candidate: &'static str,
    metrics: BTreeMap<String, f64>,
    rows: RowCounts,
    report: Value,
}

fn part(rows: &ModelRows, line: &Line<'_>, indices: &[usize]) -> Part {
    Part {
        together: match line {
            Line::Time(_) => DAY,
            Line::Hash(_) => 1,
        },
        rows: rows.rows.select(indices),
        truth: indices.iter().map(|row| rows.truth[*row]).collect(),
        value: indices.iter().map(|row| rows.value[*row]).collect(),
        time: indices.iter().map(|row| rows.time[*row]).collect(),
    }
}

fn known(known: ratchet_core::plugin::Known) -> Known {
    match known {
        ratchet_core::plugin::Known::Call => Known::Call,
        ratchet_core::plugin::Known::Dispatch => Known::Dispatch,
        ratchet_core::plugin::Known::After => Known::After,
    }
}

/// All problems of the features at once.
fn check_features(config: &TrainConfig, schema: &Schema) -> Result<(), TaskError> {
    let problems = Pipeline::check(&config.features, schema, known(config.predict_at));
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(TaskError::permanent(format!(
        "the features of `{}` cannot be used: {}",
        config.model,
        list.join("; ")
    ))
    .with_help("a model may only read what is known when it answers (`predict_at`); leave the others out"))
}

fn train(
    config: &TrainConfig,
    frame: &DataFrame,
    lookups: &BTreeMap<String, Places>,
    context: &TaskContext,
) -> Result<Trained, TaskError> {
    let target = config.target.to_target();
    let mut schema = schema_of(frame, &config.table, &config.features, &config.model)?;
    check_features(config, &schema)?;
    if let Some(slices) = &config.slices
        && schema.position(&slices.field).is_none()
    {
        let message = format!(
            "slices go by `{}`, which no feature of `{}` reads",
            slices.field, config.model
        );
        return Err(TaskError::permanent(message).with_help("name a column that stands in `features`"));
    }
    let line = match &config.split {
        Some(SplitConfig::Hash(split)) => Line::Hash(&split.key),
        None => Line::Time(&config.time),
    };
    let rows = read_rows(frame, &config.table, &schema, &target, &line)?;
    let Split {
        fit,
        validation,
        train,
        holdout,
        window,
        without_target,
    } = split(config, &rows)?;
    context.info(format!(
        "{} rows fit, {} choose and calibrate, {} are held out; {without_target} without a target and {} without a time left out",
        fit.len(),
        validation.len(),
        holdout.len(),
        rows.without_time
    ));
    let (fit, validation, all, holdout) = (
        part(&rows, &line, &fit),
        part(&rows, &line, &validation),
        part(&rows, &line, &train),
        part(&rows, &line, &holdout),
    );
    for (position, field) in schema.fields.iter_mut().enumerate() {
        field.nullable = (0..all.rows.len()).any(|row| all.rows.columns()[position].is_missing(row));
    }
    let resources = Resources {
        seed: config.seed.unwrap_or(context.seed),
        threads: context.threads.max(1),
    };
    let setting = Setting {
        config,
        schema: &schema,
        target: &target,
        lookups,
        predict_at: known(config.predict_at),
        window: &window,
        simulated: config.table.simulated,
        resources,
    };
    let failed = |what: &str| {
        let what = format!("{what} of `{}`", config.model);
        move |problem: String| TaskError::permanent(format!("{what}: {problem}"))
    };
    let read = |bytes: &[u8]| Bundle::read(bytes).map_err(|error| TaskError::permanent(error.to_string()));

    let features = fit_features(&setting, &fit).map_err(failed("fitting the features"))?;
    let mut trials = Vec::new();
    let mut best: Option<(usize, f64, Bundle)> = None;
    let steps = config.candidates.len() as f64 + 1.0;
    for (number, candidate) in config.candidates.iter().enumerate() {
        if context.is_cancelled() {
            return Err(TaskError::transient("training was cancelled"));
        }
        context.progress(number as f64 / steps, format!("fitting {}", candidate.name()));
        let what = format!("candidate {number} ({})", candidate.name());
        let bytes = fit_bundle(&setting, candidate, &fit, &features, &Learnt::default()).map_err(failed(&what))?;
        let bundle = read(&bytes)?;
        let metrics = accuracy_metrics(&bundle, &bundle.predict(&validation.rows), &validation.truth);
        let selection = metrics.get(selection_metric(&bundle)).copied().unwrap_or(f64::NAN);
        context.info(format!("{}: {}", candidate.name(), describe(&metrics)));
        for (name, value) in &metrics {
            context.metric(format!("validation.{}.{name}", candidate.name()), *value, number as u64);
        }
        trials.push(json!({"candidate": candidate.name(), "settings": candidate, "validation": metrics}));
        if !selection.is_nan() && best.as_ref().is_none_or(|(_, least, _)| selection < *least) {
            best = Some((number, selection, bundle));
        }
    }
    let (chosen, _, draft) = best.ok_or_else(|| {
        failed("choosing a candidate")("no candidate gave a number on the validation rows".to_owned())
    })?;
    let candidate = &config.candidates[chosen];
    context.progress(
        (steps - 1.0) / steps,
        format!("fitting {} on all training rows", candidate.name()),
    );
    let learnt = learn(&setting, &draft, &validation).map_err(|error| TaskError::permanent(error.to_string()))?;
    let features = fit_features(&setting, &all).map_err(failed("fitting the features"))?;
    let bytes = fit_bundle(&setting, candidate, &all, &features, &learnt).map_err(failed(candidate.name()))?;
    let bundle = read(&bytes)?;
    let golden = bundle
        .check_golden_rows()
        .map_err(|error| TaskError::permanent(error.to_string()))?;
    let metrics = holdout_metrics(&bundle, &holdout.rows, &holdout.truth);
    context.info(format!("{} on the holdout: {}", candidate.name(), describe(&metrics)));
    let report = json!({
        "candidates": trials,
        "chosen": candidate.name(),
        "chosen_by": selection_metric(&bundle),
        "holdout": metrics,
        "features": bundle.content().pipeline.features(),
        "window": bundle.content().window,
        "golden_rows": golden,
        "bundle_bytes": bytes.len(),
        "left_out": {"without_target": without_target, "without_time": rows.without_time},
    });
    let rows = RowCounts {
        train: all.truth.len() as u64,
        validation: validation.truth.len() as u64,
        holdout: holdout.truth.len() as u64,
    };
    Ok(Trained {
        bundle: bytes,
        candidate: candidate.name(),
        metrics,
        rows,
        report,
    })
}

fn describe(metrics: &BTreeMap<String, f64>) -> String {
    let pairs: Vec<String> = metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    pairs.join(", ")
}
