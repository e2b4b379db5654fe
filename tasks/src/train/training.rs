//! One training: rows are prepared once, then a split of them becomes a bundle with its metrics.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use polars::prelude::DataFrame;
use ratchet_core::plugin::{RowCounts, TaskContext, TaskError};
use ratchet_model::features::{Pipeline, Places, StepConfig};
use ratchet_model::{Bundle, Column, Known, Rows, Schema, Target};
use serde_json::{Value, json};

use super::boosting::Resources;
use super::candidate::settle;
use super::config::{SplitConfig, TrainConfig};
use super::evaluate::{accuracy_metrics, holdout_metrics, selection_metric};
use super::fit::{Part, Setting, fit_bundle, fit_features, learn};
use super::line::Line;
use super::rows::{ModelRows, read_rows, schema_of};
use super::search::search;
use super::settings::Candidate;
use super::split::Split;
use crate::words::count;

/// A table as a model sees it, ready to be split.
pub struct Prepared<'a> {
    config: &'a TrainConfig,
    lookups: &'a BTreeMap<String, Places>,
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
    lookups: &'a BTreeMap<String, Places>,
) -> Result<Prepared<'a>, TaskError> {
    let target = config.target.to_target();
    let schema = schema_of(frame, &config.table, &config.features, &config.model)?;
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
    check_categories(config, &schema, &rows.rows)?;
    Ok(Prepared {
        config,
        lookups,
        schema,
        target,
        line,
        rows,
    })
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

fn known(known: ratchet_core::plugin::Known) -> Known {
    match known {
        ratchet_core::plugin::Known::Call => Known::Call,
        ratchet_core::plugin::Known::Dispatch => Known::Dispatch,
        ratchet_core::plugin::Known::After => Known::After,
    }
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
    let names: BTreeSet<&str> = read.flatten().collect();
    for name in names {
        let Some(Column::Text(values)) = schema.position(name).map(|position| &rows.columns()[position]) else {
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
            lookups: self.lookups,
            predict_at: known(config.predict_at),
            window: &window,
            simulated: config.table.simulated,
            resources: Resources {
                seed: config.seed.unwrap_or(context.seed),
                threads: context.threads.max(1),
            },
        };
        let validation = self.part(&validation);
        let chosen = self.choose(&setting, &self.part(&fit), &validation, context)?;
        let name = chosen.candidate.name();
        context.progress(0.9, format!("fitting {name} on all training rows"));
        // Of a million rows each part is large: one is let go before the next is made.
        let all = self.part(&train);
        let learnt = learn(&setting, &chosen.draft, &validation, &all.truth)
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        drop(validation);
        let features = fit_features(&setting, &all).map_err(self.failed("fitting the features"))?;
        let bytes =
            fit_bundle(&setting, &chosen.candidate, &all, &features, Some(&learnt)).map_err(self.failed(name))?;
        drop((all, features));
        let holdout = self.part(&holdout);
        let bundle = read(&bytes)?;
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
            "left_out": {"without_target": without_target, "without_time": self.rows.without_time},
        });
        if let Some(searched) = chosen.searched {
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

    /// The best candidate on the validation rows, with the ones of the search among them.
    fn choose(
        &self,
        setting: &Setting<'_>,
        fit: &Part,
        validation: &Part,
        context: &TaskContext,
    ) -> Result<Chosen, TaskError> {
        let mut candidates = self.config.candidates.clone();
        let mut searched = None;
        if let Some(config) = &self.config.search {
            let found = search(setting, fit, config, context)?;
            candidates.push(Candidate::Boosting(found.settings));
            searched = Some(found.report);
        }
        let features = fit_features(setting, fit).map_err(self.failed("fitting the features"))?;
        let mut trials = Vec::new();
        let mut best: Option<(Candidate, f64, Bundle)> = None;
        for (number, candidate) in candidates.iter().enumerate() {
            if context.is_cancelled() {
                return Err(TaskError::transient("training was cancelled"));
            }
            let fraction = number as f64 / (candidates.len() as f64 + 1.0);
            context.progress(fraction, format!("fitting {}", candidate.name()));
            let failed = self.failed(&format!("candidate {number} ({})", candidate.name()));
            let candidate = settle(setting, candidate, fit, context).map_err(&failed)?;
            let bytes = fit_bundle(setting, &candidate, fit, &features, None).map_err(failed)?;
            let bundle = read(&bytes)?;
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
                best = Some((candidate, selection, bundle));
            }
        }
        let (candidate, _, draft) = best.ok_or_else(|| {
            self.failed("choosing a candidate")("no candidate gave a number on the validation rows".to_owned())
        })?;
        Ok(Chosen {
            candidate,
            draft,
            trials,
            searched,
        })
    }
}

struct Chosen {
    candidate: Candidate,
    /// Fitted on the rows before the validation rows.
    draft: Bundle,
    trials: Vec<Value>,
    searched: Option<Value>,
}

fn read(bytes: &[u8]) -> Result<Bundle, TaskError> {
    Bundle::read(bytes).map_err(|error| TaskError::permanent(error.to_string()))
}

fn describe(metrics: &BTreeMap<String, f64>) -> String {
    let pairs: Vec<String> = metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    pairs.join(", ")
}
