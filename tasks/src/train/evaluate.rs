//! Metrics of a bundle on rows with a known truth.

use std::collections::BTreeMap;

use ratchet_model::{Answer, Bundle, Prediction, Rows, Target, TargetKind, metrics};

/// Accuracy alone: what candidates are compared by on the validation rows.
pub fn accuracy_metrics(bundle: &Bundle, predictions: &[Prediction], truth: &[f64]) -> BTreeMap<String, f64> {
    accuracy(&bundle.content().target, predictions, truth)
}

/// Accuracy of answers to what a target asks. A metric that does not exist (one class only) is NaN.
pub fn accuracy(target: &Target, predictions: &[Prediction], truth: &[f64]) -> BTreeMap<String, f64> {
    let values: Vec<f64> = predictions.iter().map(|prediction| prediction.value).collect();
    let pairs: Vec<(&str, f64)> = match &target.kind {
        TargetKind::Regression { .. } => vec![
            ("mae", metrics::mae(truth, &values)),
            ("mape", metrics::mape(truth, &values)),
            ("rmse", metrics::rmse(truth, &values)),
            ("r2", metrics::r2(truth, &values)),
        ],
        TargetKind::Binary { .. } => {
            let positive: Vec<bool> = truth.iter().map(|value| *value > 0.5).collect();
            let probabilities: Vec<f64> = predictions.iter().map(Prediction::probability).collect();
            vec![
                ("auc", metrics::auc(&positive, &probabilities)),
                ("accuracy", metrics::accuracy(&whole(truth), &whole(&values))),
                ("f1", metrics::f1(&whole(truth), &whole(&values), 1)),
                ("brier", metrics::brier(&positive, &probabilities)),
                ("log_loss", metrics::log_loss(&positive, &probabilities)),
            ]
        }
        TargetKind::Ordinal { classes, .. } => {
            let scores = truth.iter().zip(predictions).map(|(truth, prediction)| {
                metrics::ranked_probability_score(*truth as i64, &prediction.probabilities, classes)
            });
            vec![
                ("accuracy", metrics::accuracy(&whole(truth), &whole(&values))),
                ("macro_f1", metrics::macro_f1(&whole(truth), &whole(&values), classes)),
                ("ranked_probability_score", metrics::mean(scores)),
            ]
        }
        TargetKind::Multiclass { classes, .. } => {
            let rows = || truth.iter().zip(predictions);
            let brier = rows().map(|(truth, row)| metrics::class_brier(*truth as i64, &row.probabilities, classes));
            let loss = rows().map(|(truth, row)| metrics::class_log_loss(*truth as i64, &row.probabilities, classes));
            vec![
                ("accuracy", metrics::accuracy(&whole(truth), &whole(&values))),
                ("macro_f1", metrics::macro_f1(&whole(truth), &whole(&values), classes)),
                ("brier", metrics::mean(brier)),
                ("log_loss", metrics::mean(loss)),
            ]
        }
    };
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn whole(values: &[f64]) -> Vec<i64> {
    values.iter().map(|value| *value as i64).collect()
}

/// The metric that chooses among candidates; the least wins.
pub fn selection_metric(target: &Target) -> &'static str {
    match target.kind {
        TargetKind::Regression { .. } => "mae",
        TargetKind::Binary { .. } | TargetKind::Multiclass { .. } => "log_loss",
        TargetKind::Ordinal { .. } => "ranked_probability_score",
    }
}

/// All metrics of a finished bundle: accuracy, intervals, flags.
///
/// Beside the accuracy metrics: `coverage`, `interval_width` (mean, in the target's unit) and `pinball` (mean of both ends, each as
/// the quantile that it stands for) of numbers;
/// `out_of_distribution` (share of flagged rows); with slices `underestimation_flagged` (share of flagged rows),
/// `underestimated_where_flagged` and `underestimated_elsewhere` (share of rows above the prediction by more than the
/// margin) and `underestimation_excess`, their difference.
pub fn holdout_metrics(bundle: &Bundle, rows: &Rows, truth: &[f64]) -> BTreeMap<String, f64> {
    let answers = bundle.answer(rows);
    let predictions: Vec<Prediction> = answers.iter().map(|answer| answer.prediction.clone()).collect();
    let mut all = accuracy_metrics(bundle, &predictions, truth);
    let intervals: Vec<_> = predictions
        .iter()
        .filter_map(|prediction| prediction.interval)
        .collect();
    if intervals.len() == truth.len() {
        let lower: Vec<f64> = intervals.iter().map(|interval| interval.lower).collect();
        let upper: Vec<f64> = intervals.iter().map(|interval| interval.upper).collect();
        all.insert("coverage".to_owned(), metrics::coverage(truth, &lower, &upper));
        let width = metrics::mean(intervals.iter().map(|interval| interval.upper - interval.lower));
        all.insert("interval_width".to_owned(), width);
        let tail = (1.0 - bundle.content().coverage) / 2.0;
        let ends = metrics::pinball(truth, &lower, tail) + metrics::pinball(truth, &upper, 1.0 - tail);
        all.insert("pinball".to_owned(), ends / 2.0);
    }
    let flagged = |answer: &Answer<'_>| f64::from(u8::from(!answer.outside.is_empty()));
    all.insert(
        "out_of_distribution".to_owned(),
        metrics::mean(answers.iter().map(flagged)),
    );
    if let Some(slices) = &bundle.content().slices {
        let under = |row: usize| f64::from(u8::from(truth[row] > predictions[row].value + slices.margin));
        let is_flagged = |row: &usize| answers[*row].risk.is_some_and(|risk| risk.flagged);
        let (risky, others): (Vec<usize>, Vec<usize>) = (0..truth.len()).partition(is_flagged);
        let share = |part: &[usize]| metrics::mean(part.iter().map(|row| under(*row)));
        all.insert(
            "underestimation_flagged".to_owned(),
            risky.len() as f64 / truth.len() as f64,
        );
        all.insert("underestimated_where_flagged".to_owned(), share(&risky));
        all.insert("underestimated_elsewhere".to_owned(), share(&others));
        all.insert("underestimation_excess".to_owned(), share(&risky) - share(&others));
    }
    // A metric that does not exist (one class only, no flagged row) is left out: JSON has no NaN.
    all.retain(|_, value| value.is_finite());
    all
}
