//! The plugin `train.model`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use polars::prelude::DataFrame;
use ratchet_core::plugin::{
    ConfigProblem, Model, Output, Outputs, Place, Plugin, Port, PortKind, Report, RowCounts, Table, TaskContext,
    TaskError,
};
use ratchet_model::features::{Join, JoinConfig, Pipeline, StepConfig, plan_joins};
use ratchet_model::{Bundle, FieldKind, Rows, Schema, UnusedField};
use serde_json::{Value, json};

use super::boosting::Resources;
use super::config::{SplitConfig, TrainConfig, UnusedConfig, UnusedKind, problems};
use super::evaluate::{accuracy_metrics, holdout_metrics, selection_metric};
use super::fit::{Learnt, Part, Setting, fit_bundle, fit_features, learn};
use super::line::Line;
use super::lookups::{self, Found, LookupConfig};
use super::rows::{ModelRows, model_known, read_rows, schema_of};
use super::split::{Split, split};
use crate::blocking::blocking;
use crate::table::{self, open_bucket, to_blob};
use crate::words::count;

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
        let given = lookups::given(&bucket, &config).await?;
        for (called, lookup) in &given {
            let rows = count(lookup.table.len() as u64);
            context.info(format!(
                "lookup `{called}`: {}@{}, {rows} rows",
                lookup.name, lookup.version
            ));
        }
        let simulated = config.table.simulated || given.values().any(|lookup| lookup.simulated);
        if simulated {
            context.warn("SIMULATED: the rows come from a simulated source; the model says so in every answer");
        }
        let parameters = parameters(&config, &given);
        let (settings, within) = (config.clone(), context.clone());
        let trained = blocking("training", move || train(&settings, &frame, &given, simulated, &within)).await?;
        let blob = bucket
            .put_blob(trained.bundle.into())
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

/// The configuration without the table, which the lineage names, and with the versions of lookups that were joined.
fn parameters(config: &TrainConfig, given: &BTreeMap<String, Found>) -> Value {
    let mut config = config.clone();
    for (called, lookup) in &mut config.lookups {
        lookup.lookup = None;
        if let Some(found) = given.get(called) {
            lookup.name.clone_from(&found.name);
            lookup.version = Some(found.version);
        }
    }
    let mut value = serde_json::to_value(config).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("table");
    }
    value
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

/// How rows find those of lookups, and that features read only what is there in time: all problems at once.
fn check_features(
    config: &TrainConfig,
    features: &[StepConfig],
    lookups: &[JoinConfig<'_>],
    schema: &Schema,
) -> Result<Vec<Join>, TaskError> {
    let list = match plan_joins(lookups, features, schema) {
        Err(problems) => problems,
        Ok(joins) => {
            let pipeline = Pipeline::joining(joins.clone());
            let problems = Pipeline::check(features, &pipeline.fields(schema), model_known(config.predict_at));
            if problems.is_empty() {
                return Ok(joins);
            }
            problems.iter().map(ToString::to_string).collect()
        }
    };
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
    given: &BTreeMap<String, Found>,
    simulated: bool,
    context: &TaskContext,
) -> Result<Trained, TaskError> {
    let target = config.target.to_target();
    let features = lookups::features(config, given);
    let join_configs = lookups::join_configs(config, given);
    let tables = lookups::tables(given);
    let mut schema = schema_of(frame, &config.table, &features, &join_configs, &config.model)?;
    schema.unused = unused_fields(config, &schema)?;
    let joins = check_features(config, &features, &join_configs, &schema)?;
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
        features: &features,
        joins: &joins,
        lookups: &tables,
        predict_at: model_known(config.predict_at),
        window: &window,
        simulated,
        resources,
    };
    let failed = |what: &str| {
        let what = format!("{what} of `{}`", config.model);
        move |problem: String| TaskError::permanent(format!("{what}: {problem}"))
    };
    let read = |bytes: &[u8]| {
        let bundle = Bundle::read(bytes).and_then(|bundle| bundle.with_lookups(&tables));
        bundle.map_err(|error| TaskError::permanent(error.to_string()))
    };

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
    let unmatched = unmatched(&bundle, &all.rows);
    for (lookup, rows) in &unmatched {
        context.info(format!(
            "lookup `{lookup}` has no row for {rows} of {} training rows",
            all.rows.len()
        ));
    }
    let report = json!({
        "candidates": trials,
        "chosen": candidate.name(),
        "chosen_by": selection_metric(&bundle),
        "holdout": metrics,
        "features": bundle.content().pipeline.features(),
        "window": bundle.content().window,
        "golden_rows": golden,
        "bundle_bytes": bytes.len(),
        "unmatched_rows": unmatched,
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

/// How many training rows found nothing, per lookup.
fn unmatched(bundle: &Bundle, rows: &Rows) -> BTreeMap<String, usize> {
    let (_, unmatched) = bundle.features_and_unmatched(rows);
    let lookups = bundle.lookups().map(|(called, _)| called.to_owned());
    let counts = unmatched.iter().map(|rows| rows.iter().filter(|row| **row).count());
    lookups.zip(counts).collect()
}

/// The fields of a request that nothing reads.
fn unused_fields(config: &TrainConfig, schema: &Schema) -> Result<Vec<UnusedField>, TaskError> {
    let read = |unused: &&UnusedConfig| schema.position(&unused.name).is_some();
    if let Some(unused) = config.unused.iter().find(read) {
        let message = format!(
            "`unused` names `{}`, which a feature of `{}` reads",
            unused.name, config.model
        );
        return Err(TaskError::permanent(message).with_help("take it out of one of them"));
    }
    let fields = config.unused.iter().map(|unused| UnusedField {
        name: unused.name.clone(),
        kind: match unused.kind {
            UnusedKind::Number => FieldKind::Number,
            UnusedKind::Text => FieldKind::Text,
            UnusedKind::Timestamp => FieldKind::Timestamp,
        },
        because: unused.because.clone(),
    });
    Ok(fields.collect())
}

fn describe(metrics: &BTreeMap<String, f64>) -> String {
    let pairs: Vec<String> = metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    pairs.join(", ")
}
