//! One definition of each metric, for training, comparison and live accuracy.
//!
//! All functions take slices of one length; an empty slice gives NaN.

use crate::arithmetic::ln;

/// Mean absolute error, in the unit of the target.
pub fn mae(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(a, p)| (a - p).abs()))
}

/// Root of the mean squared error, in the unit of the target.
pub fn rmse(actual: &[f64], predicted: &[f64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(a, p)| (a - p) * (a - p))).sqrt()
}

/// Share of the variance that is explained: 1 - SSE / SST; NaN when the target is constant.
pub fn r2(actual: &[f64], predicted: &[f64]) -> f64 {
    let center = mean(actual.iter().copied());
    let total: f64 = actual.iter().map(|a| (a - center) * (a - center)).sum();
    let error: f64 = actual.iter().zip(predicted).map(|(a, p)| (a - p) * (a - p)).sum();
    if total > 0.0 { 1.0 - error / total } else { f64::NAN }
}

/// Mean absolute error as a share of the actual value, over the rows whose actual value is not 0; NaN without any.
pub fn mape(actual: &[f64], predicted: &[f64]) -> f64 {
    let pairs = actual.iter().zip(predicted).filter(|(a, _)| **a != 0.0);
    mean(pairs.map(|(a, p)| ((a - p) / a).abs()))
}

/// Pinball loss of a predicted quantile (Koenker and Bassett 1978), in the unit of the target: a row above the prediction
/// costs `quantile` times the distance, a row below it the rest.
pub fn pinball(actual: &[f64], predicted: &[f64], quantile: f64) -> f64 {
    mean(actual.iter().zip(predicted).map(|(a, p)| {
        let above = a - p;
        (quantile * above).max((quantile - 1.0) * above)
    }))
}

/// Area under the ROC curve: the chance that a positive row gets a higher score than a negative one, ties by half.
/// Mann-Whitney form with mean ranks. NaN when one class is absent.
pub fn auc(positive: &[bool], score: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..score.len()).collect();
    order.sort_by(|a, b| score[*a].total_cmp(&score[*b]));
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && score[order[end]] == score[order[start]] {
            end += 1;
        }
        let rank = (start + end + 1) as f64 / 2.0;
        let hits = order[start..end].iter().filter(|row| positive[**row]).count();
        rank_sum += rank * hits as f64;
        start = end.max(start + 1);
    }
    let positives = positive.iter().filter(|flag| **flag).count() as f64;
    let negatives = positive.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return f64::NAN;
    }
    (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

/// Share of rows whose class is right.
pub fn accuracy(actual: &[i64], predicted: &[i64]) -> f64 {
    mean(actual.iter().zip(predicted).map(|(a, p)| f64::from(u8::from(a == p))))
}

/// Harmonic mean of precision and recall of one class; 0 when it is neither there nor predicted, as scikit-learn's
/// `zero_division=0` has it.
pub fn f1(actual: &[i64], predicted: &[i64], class: i64) -> f64 {
    let pairs = || actual.iter().zip(predicted);
    let both = pairs().filter(|(a, p)| **a == class && **p == class).count() as f64;
    let either = pairs()
        .map(|(a, p)| f64::from(u8::from(*a == class) + u8::from(*p == class)))
        .sum::<f64>();
    if either > 0.0 { 2.0 * both / either } else { 0.0 }
}

/// Mean of the classes' F1 scores over `classes`, as in scikit-learn's
/// `f1_score(labels=classes, average="macro", zero_division=0)`.
pub fn macro_f1(actual: &[i64], predicted: &[i64], classes: &[i64]) -> f64 {
    mean(classes.iter().map(|class| f1(actual, predicted, *class)))
}

/// Rows by actual class (one line each) and predicted class (one column each), in the order of `classes`; rows with
/// another class are not counted.
pub fn confusion(actual: &[i64], predicted: &[i64], classes: &[i64]) -> Vec<Vec<u64>> {
    let position = |class: i64| classes.iter().position(|known| *known == class);
    let mut counts = vec![vec![0; classes.len()]; classes.len()];
    for (actual, predicted) in actual.iter().zip(predicted) {
        if let (Some(line), Some(column)) = (position(*actual), position(*predicted)) {
            counts[line][column] += 1;
        }
    }
    counts
}

/// Mean squared distance of a probability from what happened (0 or 1).
pub fn brier(positive: &[bool], probability: &[f64]) -> f64 {
    mean(positive.iter().zip(probability).map(|(flag, p)| {
        let actual = f64::from(u8::from(*flag));
        (actual - p) * (actual - p)
    }))
}

/// Mean negative logarithm of the probability given to what happened; probabilities are kept 1e-15 away from 0 and 1.
pub fn log_loss(positive: &[bool], probability: &[f64]) -> f64 {
    mean(positive.iter().zip(probability).map(|(flag, p)| {
        let p = p.clamp(1e-15, 1.0 - 1e-15);
        -ln(if *flag { p } else { 1.0 - p })
    }))
}

/// Ranked probability score of ordered classes (Epstein 1969): the sum over the cuts of the squared distance between
/// cumulative probability and what happened, per row. `probabilities` are in the order of `classes`.
pub fn ranked_probability_score(actual: i64, probabilities: &[f64], classes: &[i64]) -> f64 {
    let mut cumulative = 0.0;
    let mut score = 0.0;
    for (class, probability) in classes.iter().zip(probabilities) {
        cumulative += probability;
        let happened = f64::from(u8::from(actual <= *class));
        score += (cumulative - happened) * (cumulative - happened);
    }
    score
}

/// Brier score of one row over several classes (Brier 1950): the sum of the squared distances of their probabilities from what
/// happened. `probabilities` are in the order of `classes`.
pub fn class_brier(actual: i64, probabilities: &[f64], classes: &[i64]) -> f64 {
    let pairs = classes.iter().zip(probabilities);
    pairs
        .map(|(class, p)| {
            let happened = f64::from(u8::from(actual == *class));
            (p - happened) * (p - happened)
        })
        .sum()
}

/// Negative logarithm of the probability given to the class that happened, kept 1e-15 away from 0; NaN for a class that is not
/// among `classes`.
pub fn class_log_loss(actual: i64, probabilities: &[f64], classes: &[i64]) -> f64 {
    let found = classes.iter().position(|class| *class == actual);
    found.map_or(f64::NAN, |class| -ln(probabilities[class].max(1e-15)))
}

/// Share of rows within their interval, both ends included.
pub fn coverage(actual: &[f64], lower: &[f64], upper: &[f64]) -> f64 {
    mean(
        actual
            .iter()
            .zip(lower.iter().zip(upper))
            .map(|(a, (l, u))| f64::from(u8::from(l <= a && a <= u))),
    )
}

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_metrics_by_hand() {
        let (actual, predicted) = ([1.0, 2.0, 6.0], [2.0, 2.0, 4.0]);
        assert_eq!(mae(&actual, &predicted), 1.0);
        assert_eq!(rmse(&actual, &predicted), (5.0_f64 / 3.0).sqrt());
        assert!((r2(&actual, &predicted) - (1.0 - 5.0 / 14.0)).abs() < 1e-15);
        assert!(r2(&[3.0, 3.0], &[1.0, 2.0]).is_nan());
    }

    #[test]
    fn relative_errors_leave_out_what_has_no_size() {
        assert_eq!(mape(&[100.0, 0.0, -50.0], &[110.0, 3.0, -45.0]), 0.1);
        assert!(mape(&[0.0], &[1.0]).is_nan());
    }

    #[test]
    fn a_high_quantile_pays_more_for_rows_above_it() {
        assert_eq!(pinball(&[10.0, 0.0], &[6.0, 4.0], 0.75), (3.0 + 1.0) / 2.0);
        assert_eq!(
            pinball(&[10.0, 3.0], &[6.0, 6.0], 0.5),
            mae(&[10.0, 3.0], &[6.0, 6.0]) / 2.0
        );
    }

    #[test]
    fn the_confusion_matrix_counts_lines_by_what_happened() {
        let counts = confusion(&[1, 1, 2, 3], &[1, 2, 2, 1], &[1, 2, 3]);
        assert_eq!(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
    }

    #[test]
    fn auc_counts_pairs_and_halves_ties() {
        assert_eq!(auc(&[false, true, false, true], &[0.1, 0.4, 0.4, 0.9]), 0.875);
        assert!(auc(&[true, true], &[0.1, 0.2]).is_nan());
    }

    #[test]
    fn macro_f1_counts_absent_classes_as_zero() {
        let value = macro_f1(&[1, 1, 2], &[1, 2, 2], &[1, 2, 3]);
        assert!((value - (2.0 / 3.0 + 2.0 / 3.0 + 0.0) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn classes_without_order_are_all_equally_wrong() {
        let score = |actual| class_brier(actual, &[0.5, 0.5, 0.0], &[1, 2, 3]);
        assert_eq!((score(1), score(2), score(3)), (0.5, 0.5, 1.5));
        assert_eq!(class_log_loss(2, &[0.5, 0.5, 0.0], &[1, 2, 3]), -ln(0.5));
        assert!(class_log_loss(7, &[0.5, 0.5, 0.0], &[1, 2, 3]).is_nan());
    }

    #[test]
    fn ranked_probability_score_punishes_distance() {
        let near = ranked_probability_score(1, &[0.0, 1.0, 0.0], &[1, 2, 3]);
        let far = ranked_probability_score(1, &[0.0, 0.0, 1.0], &[1, 2, 3]);
        assert_eq!((near, far), (1.0, 2.0));
    }
}
