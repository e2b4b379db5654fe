//! What a model goes by, seen on rows that it did not learn from: nothing of this decides anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_model::{Bundle, Column, FieldKind, Prediction, Rows, TargetKind, metrics};
use serde::Serialize;

use super::evaluate::{accuracy_metrics, selection_metric};
use super::fit::Part;
use crate::parallel::in_parallel;
use crate::simulate::random::Random;

/// Rows on which importance is measured at most.
const IMPORTANCE_ROWS: usize = 500;

/// Times that each field is shuffled.
const SHUFFLES: usize = 2;

/// Rows whose answers are averaged for partial dependence.
const DEPENDENCE_ROWS: usize = 200;

/// Fields whose partial dependence is computed: the most important ones.
const DEPENDENCE_FIELDS: usize = 4;

/// Points of a partial dependence at most.
const POINTS: usize = 15;

/// Slices that are listed at most, the ones with most rows.
const SLICES: usize = 30;

/// Rows below which a slice's metrics are noise.
const SLICE_ROWS: usize = 20;

/// What a model goes by.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The metric that importance and slices speak of; less is better.
    pub metric: &'static str,
    /// Fields by how much the metric rises when their values are shuffled among the rows (Breiman 2001), greatest first.
    pub importance: Vec<Importance>,
    /// Mean answer over the rows when all of them have one value of a field (Friedman 2001).
    pub partial_dependence: Vec<Dependence>,
    /// Metrics by value of the field that `slices` names.
    pub slices: Vec<SliceMetrics>,
    /// Classes, and rows by actual and predicted class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<(Vec<i64>, Vec<Vec<u64>>)>,
}

/// Importance of a field.
#[derive(Clone, Debug, Serialize)]
pub struct Importance {
    /// The field.
    pub field: String,
    /// Rise of the metric.
    pub rise: f64,
}

/// Partial dependence on a field.
#[derive(Clone, Debug, Serialize)]
pub struct Dependence {
    /// The field.
    pub field: String,
    /// True if its values are categories, which have no order.
    pub is_category: bool,
    /// Value and mean answer (the probability of yes for yes-or-no targets).
    pub points: Vec<(String, f64)>,
}

/// Metrics of a slice.
#[derive(Clone, Debug, Serialize)]
pub struct SliceMetrics {
    /// Value of the field.
    pub value: String,
    /// Rows.
    pub rows: usize,
    /// All metrics of the slice that exist.
    pub metrics: BTreeMap<String, f64>,
    /// Mean answer minus mean truth.
    pub bias: f64,
}

/// Looks at a bundle through rows that it did not learn from.
pub fn inspect(bundle: &Bundle, part: &Part, threads: usize) -> Inspection {
    let metric = selection_metric(&bundle.content().target);
    let sample = part.select(&spread(part.truth.len(), IMPORTANCE_ROWS));
    let mut importance = importances(bundle, &sample, metric, threads);
    importance.sort_by(|a, b| b.rise.total_cmp(&a.rise).then_with(|| a.field.cmp(&b.field)));
    let few = sample.rows.select(&spread(sample.truth.len(), DEPENDENCE_ROWS));
    let leading = importance.iter().take(DEPENDENCE_FIELDS);
    let partial_dependence = leading.filter_map(|found| dependence(bundle, &found.field, &part.rows, &few));
    let predictions = bundle.predict(&part.rows);
    Inspection {
        metric,
        partial_dependence: partial_dependence.collect(),
        slices: slices(bundle, part, &predictions),
        confusion: confusion(bundle, &part.truth, &predictions),
        importance,
    }
}

/// So many positions at most, evenly over all.
fn spread(rows: usize, at_most: usize) -> Vec<usize> {
    (0..rows).step_by(rows.div_ceil(at_most).max(1)).collect()
}

fn importances(bundle: &Bundle, sample: &Part, metric: &'static str, threads: usize) -> Vec<Importance> {
    let measure = |rows: &Rows| {
        let measured = accuracy_metrics(bundle, &bundle.predict(rows), &sample.truth);
        measured.get(metric).copied().unwrap_or(f64::NAN)
    };
    let before = measure(&sample.rows);
    let fields = &bundle.schema().fields;
    let of_field = |position: usize| {
        let mut random = Random::new(bundle.content().seed ^ position as u64);
        let after = (0..SHUFFLES).map(|_| {
            measure(&with_column(&sample.rows, position, |column| {
                shuffled(column, &mut random)
            }))
        });
        Importance {
            field: fields[position].name.clone(),
            rise: metrics::mean(after) - before,
        }
    };
    let positions: Vec<usize> = (0..fields.len()).collect();
    let found = in_parallel(threads, &positions, |position| of_field(*position));
    found
        .into_iter()
        .filter(|importance| importance.rise.is_finite())
        .collect()
}

/// The rows with one column changed.
fn with_column(rows: &Rows, position: usize, change: impl FnOnce(&Column) -> Column) -> Rows {
    let mut columns = rows.columns().to_vec();
    columns[position] = change(&columns[position]);
    Rows::new(columns).unwrap_or_else(|| rows.clone())
}

fn shuffled(column: &Column, random: &mut Random) -> Column {
    let mut order: Vec<usize> = (0..column.len()).collect();
    for position in (1..order.len()).rev() {
        order.swap(position, random.below(position + 1));
    }
    column.select(&order)
}

fn dependence(bundle: &Bundle, name: &str, all: &Rows, few: &Rows) -> Option<Dependence> {
    let position = bundle.schema().position(name)?;
    let values: Vec<(String, Column)> = match (&all.columns()[position], bundle.schema().fields[position].kind) {
        (Column::Number(numbers), FieldKind::Number) => {
            let point = |value: f64| (value.to_string(), Column::Number(vec![value; few.len()]));
            quantiles(numbers).into_iter().map(point).collect()
        }
        (Column::Text(texts), FieldKind::Text) => {
            let point = |text: Arc<str>| (text.to_string(), Column::Text(vec![Some(text); few.len()]));
            most_frequent(texts).into_iter().map(point).collect()
        }
        _ => return None,
    };
    let points = values.into_iter().map(|(value, column)| {
        let moved = with_column(few, position, |_| column);
        let answers = bundle.predict(&moved);
        (value, metrics::mean(answers.iter().map(Prediction::monitored)))
    });
    Some(Dependence {
        field: name.to_owned(),
        is_category: bundle.schema().fields[position].kind == FieldKind::Text,
        points: points.collect(),
    })
}

/// Values at evenly spaced ranks, each once.
fn quantiles(numbers: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return Vec::new();
    };
    // The outermost hundredths are left out: a model says little where rows are rare.
    let rank = |point: usize| last / 100 + (last - 2 * (last / 100)) * point / (POINTS - 1);
    let mut values: Vec<f64> = (0..POINTS).map(|point| sorted[rank(point)]).collect();
    values.dedup();
    values
}

fn most_frequent(texts: &[Option<Arc<str>>]) -> Vec<Arc<str>> {
    let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for text in texts.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let mut ranked: Vec<(&Arc<str>, usize)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    ranked.into_iter().take(POINTS).map(|(text, _)| text.clone()).collect()
}

fn slices(bundle: &Bundle, part: &Part, predictions: &[Prediction]) -> Vec<SliceMetrics> {
    let Some(risks) = &bundle.content().slices else {
        return Vec::new();
    };
    let Column::Text(values) = &part.rows.columns()[risks.field] else {
        return Vec::new();
    };
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value {
            rows.entry(value).or_default().push(row);
        }
    }
    let mut ranked: Vec<(&str, Vec<usize>)> = rows.into_iter().filter(|(_, rows)| rows.len() >= SLICE_ROWS).collect();
    ranked.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(b.0)));
    let measured = ranked.into_iter().take(SLICES).map(|(value, rows)| {
        let truth: Vec<f64> = rows.iter().map(|row| part.truth[*row]).collect();
        let answers: Vec<Prediction> = rows.iter().map(|row| predictions[*row].clone()).collect();
        let mut found = accuracy_metrics(bundle, &answers, &truth);
        found.retain(|_, value| value.is_finite());
        let mean_answer = metrics::mean(answers.iter().map(Prediction::monitored));
        SliceMetrics {
            value: value.to_owned(),
            rows: rows.len(),
            metrics: found,
            bias: mean_answer - metrics::mean(truth.into_iter()),
        }
    });
    measured.collect()
}

fn confusion(bundle: &Bundle, truth: &[f64], predictions: &[Prediction]) -> Option<(Vec<i64>, Vec<Vec<u64>>)> {
    let classes = match &bundle.content().target.kind {
        TargetKind::Regression { .. } => return None,
        TargetKind::Binary { .. } => vec![0, 1],
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => classes.clone(),
    };
    let actual: Vec<i64> = truth.iter().map(|value| *value as i64).collect();
    let predicted: Vec<i64> = predictions.iter().map(|prediction| prediction.value as i64).collect();
    let counts = metrics::confusion(&actual, &predicted, &classes);
    Some((classes, counts))
}
