//! One training: rows are prepared once, then a split of them becomes a bundle with its metrics.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::resume_unwind;
use std::thread;

use polars::prelude::DataFrame;
use ratchet_core::plugin::{RowCounts, TaskContext, TaskError};
use ratchet_model::features::{Join, JoinConfig, LookupTables, Pipeline, StepConfig, plan_joins};
use ratchet_model::{Bundle, Column, FieldKind, Rows, Schema, Target, UnusedField};
use serde_json::{Value, json};

use super::boosting::Resources;
use super::candidate::settle;
use super::config::{SplitConfig, TrainConfig, UnusedConfig, UnusedKind};
use super::evaluate::{accuracy_metrics, holdout_metrics, selection_metric};
use super::fit::{Learnt, Part, Setting, fit_draft, fit_features, fit_final, learn, write_bundle};
use super::line::Line;
use super::lookups::{self, Found};
use super::rows::{ModelRows, model_known, read_rows, schema_of};
use super::search::search;
use super::seasons;
use super::settings::Candidate;
use super::split::Split;
use crate::words::count;

/// A table as a model sees it, ready to be split.
pub struct Prepared<'a> {
    config: &'a TrainConfig,
    features: Vec<StepConfig>,
    joins: Vec<Join>,
    lookups: LookupTables,
    simulated: bool,
    schema: Schema,
    target: Target,
    line: Line<'a>,
    /// The rows.
    pub rows: ModelRows,
}

/// What a training made.
pub struct Trained {
    /// The bundle's bytes.
    pub bytes: Vec<u8>,
    /// The bundle as read back from them.
    pub bundle: Bundle,
    /// Kind of the chosen candidate.
    pub candidate: &'static str,
    /// On the holdout.
    pub metrics: BTreeMap<String, f64>,
    /// Rows by part.
    pub rows: RowCounts,
    /// Candidates and what was learnt on the way.
    pub report: Value,
    /// The rows that judge.
    pub holdout: Part,
}

/// Reads the rows and checks that the features may use them.
///
/// # Errors
/// Columns that are not there, cannot be read, or are known too late.
pub fn prepare<'a>(
    config: &'a TrainConfig,
    frame: &DataFrame,
    given: &BTreeMap<String, Found>,
) -> Result<Prepared<'a>, TaskError> {
    let target = config.target.to_target();
    let features = lookups::features(config, given);
    let join_configs = lookups::join_configs(config, given);
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
    seasons::check(config, &schema)?;
    let line = match &config.split {
        Some(SplitConfig::Hash(split)) => Line::Hash(&split.key),
        None => Line::Time(&config.time),
    };
    let rows = read_rows(frame, &config.table, &schema, &target, &line)?;
    check_categories(config, &schema, &rows.rows)?;
    Ok(Prepared {
        config,
        features,
        joins,
        lookups: lookups::tables(given),
        simulated: config.table.simulated || given.values().any(|lookup| lookup.simulated),
        schema,
        target,
        line,
        rows,
    })
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

/// A fit that came to nothing. Its problem may end with the remedy behind a semicolon.
pub fn refused(what: &str, problem: &str) -> TaskError {
    match problem.rsplit_once("; ") {
        Some((problem, help)) => TaskError::permanent(format!("{what}: {problem}")).with_help(help),
        None => TaskError::permanent(format!("{what}: {problem}")),
    }
}

/// Categories that a field may have at most: beyond this many it names rows rather than kinds.
const MOST_CATEGORIES: usize = 100_000;

fn check_categories(config: &TrainConfig, schema: &Schema, rows: &Rows) -> Result<(), TaskError> {
    let read = config.features.iter().filter_map(|step| match step {
        StepConfig::TargetMean { .. } | StepConfig::OneHot { .. } | StepConfig::Frequency { .. } => Some(step.fields()),
        _ => None,
    });
    let names: BTreeSet<String> = read.flatten().collect();
    for name in names {
        let Some(Column::Text(values)) = schema.position(&name).map(|position| &rows.columns()[position]) else {
            continue;
        };
        let different = values.iter().flatten().collect::<HashSet<_>>().len();
        if different > MOST_CATEGORIES {
            let message = format!(
                "`{name}` has {} different values, and {} are the most for a category: it names rows rather than kinds",
                count(different as u64),
                count(MOST_CATEGORIES as u64)
            );
            return Err(TaskError::permanent(message)
                .with_help("leave it out of the features, or cut it to what rows have in common in SQL"));
        }
    }
    Ok(())
}

impl Prepared<'_> {
    fn part(&self, indices: &[usize]) -> Part {
        let rows = &self.rows;
        Part {
            is_timed: matches!(self.line, Line::Time(_)),
            rows: rows.rows.select(indices),
            truth: indices.iter().map(|row| rows.truth[*row]).collect(),
            value: indices.iter().map(|row| rows.value[*row]).collect(),
            time: indices.iter().map(|row| rows.time[*row]).collect(),
        }
    }

    fn failed(&self, what: &str) -> impl Fn(String) -> TaskError + use<> {
        let what = format!("{what} of `{}`", self.config.model);
        move |problem: String| refused(&what, &problem)
    }

    /// Fits all candidates, chooses one on the validation rows, fits it again on all training rows and judges it on the
    /// holdout.
    ///
    /// # Errors
    /// Rows that a candidate cannot learn from, and a cancellation.
    pub fn train(&self, split: Split, context: &TaskContext) -> Result<Trained, TaskError> {
        let config = self.config;
        let Split {
            fit,
            validation,
            train,
            holdout,
            window,
            without_target,
        } = split;
        context.info(format!(
            "{} rows fit, {} choose and calibrate, {} are held out; {without_target} without a target and {} without a time left out",
            fit.len(),
            validation.len(),
            holdout.len(),
            self.rows.without_time
        ));
        let rows = RowCounts {
            train: train.len() as u64,
            validation: validation.len() as u64,
            holdout: holdout.len() as u64,
        };
        let mut schema = self.schema.clone();
        for (field, column) in schema.fields.iter_mut().zip(self.rows.rows.columns()) {
            field.nullable = train.iter().any(|row| column.is_missing(*row));
        }
        let setting = Setting {
            config,
            schema: &schema,
            target: &self.target,
            features: &self.features,
            joins: &self.joins,
            lookups: &self.lookups,
            predict_at: model_known(config.predict_at),
            window: &window,
            simulated: self.simulated,
            resources: Resources {
                seed: config.seed.unwrap_or(context.seed),
                threads: context.threads.max(1),
            },
        };
        let validation = self.part(&validation);
        let fit = self.part(&fit);
        let (candidates, searched) = self.candidates(&setting, &fit, context)?;
        // One fit does not share its work well among threads. Two do: the candidate that is chosen as a rule is fitted on all
        // training rows at once, beside its drafts. Of a million rows each part is large: there one is let go before the next.
        let is_ahead = setting.resources.threads > 1 && train.len() <= AHEAD_ROWS;
        let favorite = favorite(&candidates).filter(|_| is_ahead);
        let beside = setting.on(setting.resources.threads / if favorite.is_some() { 2 } else { 1 });
        let refit = |number: usize| -> Result<_, String> {
            let all = self.part(&train);
            let fitted = fit_final(&beside, &candidates[number], &all)?;
            Ok((all, fitted))
        };
        let (chosen, ahead) = thread::scope(|scope| {
            let ahead = favorite.map(|number| {
                scope.spawn({
                    let refit = &refit;
                    move || refit(number)
                })
            });
            let chosen = self.choose(&beside, &candidates, fit, &validation, context);
            let ahead = ahead.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            (chosen, ahead)
        });
        let chosen = chosen?;
        let ahead = ahead.filter(|_| favorite == Some(chosen.number));
        let candidate = &candidates[chosen.number];
        let name = candidate.name();
        context.progress(0.9, format!("fitting {name} on all training rows"));
        let truth: Vec<f64> = train.iter().map(|row| self.rows.truth[*row]).collect();
        let learnt = learn(&setting, &chosen.draft, &validation, &truth)
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        drop(validation);
        let (all, fitted) = ahead
            .unwrap_or_else(|| refit(chosen.number))
            .map_err(self.failed(name))?;
        let bytes = write_bundle(&setting, candidate, &all, fitted, &learnt).map_err(self.failed(name))?;
        let bundle = self.read(&bytes)?;
        let unmatched = unmatched(&bundle, &all.rows);
        for (lookup, rows) in &unmatched {
            context.info(format!(
                "lookup `{lookup}` has no row for {rows} of {} training rows",
                all.rows.len()
            ));
        }
        drop(all);
        let holdout = self.part(&holdout);
        let golden = bundle
            .check_golden_rows()
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        let metrics = holdout_metrics(&bundle, &holdout.rows, &holdout.truth);
        context.info(format!("{name} on the holdout: {}", describe(&metrics)));
        let mut report = json!({
            "candidates": chosen.trials,
            "chosen": name,
            "chosen_by": selection_metric(&self.target),
            "holdout": metrics,
            "features": bundle.content().pipeline.features(),
            "window": bundle.content().window,
            "golden_rows": golden,
            "bundle_bytes": bytes.len(),
            "unmatched_rows": unmatched,
            "left_out": {"without_target": without_target, "without_time": self.rows.without_time},
        });
        if let Some(searched) = searched {
            report["search"] = searched;
        }
        Ok(Trained {
            bytes,
            bundle,
            candidate: name,
            metrics,
            rows,
            report,
            holdout,
        })
    }

    fn read(&self, bytes: &[u8]) -> Result<Bundle, TaskError> {
        let bundle = Bundle::read(bytes).and_then(|bundle| bundle.with_lookups(&self.lookups));
        bundle.map_err(|error| TaskError::permanent(error.to_string()))
    }

    /// The candidates that compete, each with its number of trees; what a search found is among them, with its report.
    fn candidates(
        &self,
        setting: &Setting<'_>,
        fit: &Part,
        context: &TaskContext,
    ) -> Result<(Vec<Candidate>, Option<Value>), TaskError> {
        let mut candidates = self.config.candidates.clone();
        let mut searched = None;
        if let Some(config) = &self.config.search {
            let found = search(setting, fit, config, context)?;
            candidates.push(Candidate::Boosting(found.settings));
            searched = Some(found.report);
        }
        for (number, candidate) in candidates.iter_mut().enumerate() {
            *candidate = settle(setting, candidate, fit, context).map_err(self.candidate_failed(number, candidate))?;
        }
        Ok((candidates, searched))
    }

    fn candidate_failed(&self, number: usize, candidate: &Candidate) -> impl Fn(String) -> TaskError + use<> {
        self.failed(&format!("candidate {number} ({})", candidate.name()))
    }

    /// The best candidate on the validation rows.
    fn choose(
        &self,
        setting: &Setting<'_>,
        candidates: &[Candidate],
        fit: Part,
        validation: &Part,
        context: &TaskContext,
    ) -> Result<Chosen, TaskError> {
        let features = fit_features(setting, &fit).map_err(self.failed("fitting the features"))?;
        let mut trials = Vec::new();
        let mut best: Option<(usize, f64, Bundle)> = None;
        for (number, candidate) in candidates.iter().enumerate() {
            if context.is_cancelled() {
                return Err(TaskError::transient("training was cancelled"));
            }
            let fraction = number as f64 / (candidates.len() as f64 + 1.0);
            context.progress(fraction, format!("fitting {}", candidate.name()));
            let bytes = fit_draft(setting, candidate, &fit, &features)
                .and_then(|fitted| write_bundle(setting, candidate, &fit, fitted, &Learnt::default()))
                .map_err(self.candidate_failed(number, candidate))?;
            let bundle = self.read(&bytes)?;
            let mut metrics = accuracy_metrics(&bundle, &bundle.predict(&validation.rows), &validation.truth);
            // A metric that does not exist (one class only) is left out: JSON has no NaN.
            metrics.retain(|_, value| value.is_finite());
            let selection = metrics.get(selection_metric(&self.target)).copied();
            context.info(format!("{}: {}", candidate.name(), describe(&metrics)));
            for (name, value) in &metrics {
                context.metric(format!("validation.{}.{name}", candidate.name()), *value, number as u64);
            }
            trials.push(json!({"candidate": candidate.name(), "settings": candidate, "validation": metrics}));
            if let Some(selection) = selection
                && best.as_ref().is_none_or(|(_, least, _)| selection < *least)
            {
                best = Some((number, selection, bundle));
            }
        }
        let (number, _, draft) = best.ok_or_else(|| {
            self.failed("choosing a candidate")("no candidate gave a number on the validation rows".to_owned())
        })?;
        Ok(Chosen { number, draft, trials })
    }
}

/// Training rows up to which the favorite is fitted ahead.
const AHEAD_ROWS: usize = 200_000;

/// The only candidate that boosts, which wins as a rule.
fn favorite(candidates: &[Candidate]) -> Option<usize> {
    let mut boosting = (0..candidates.len()).filter(|number| matches!(candidates[*number], Candidate::Boosting(_)));
    boosting.next().filter(|_| boosting.next().is_none())
}

struct Chosen {
    /// Which of the candidates.
    number: usize,
    /// Fitted on the rows before the validation rows.
    draft: Bundle,
    trials: Vec<Value>,
}

/// How many training rows found nothing, per lookup.
fn unmatched(bundle: &Bundle, rows: &Rows) -> BTreeMap<String, usize> {
    if bundle.lookups().next().is_none() {
        return BTreeMap::new();
    }
    let (_, unmatched) = bundle.features_and_unmatched(rows);
    let lookups = bundle.lookups().map(|(called, _)| called.to_owned());
    let counts = unmatched.iter().map(|rows| rows.iter().filter(|row| **row).count());
    lookups.zip(counts).collect()
}

fn describe(metrics: &BTreeMap<String, f64>) -> String {
    let pairs: Vec<String> = metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    pairs.join(", ")
}
