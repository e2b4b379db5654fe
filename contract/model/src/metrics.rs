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

/// Mean of the classes' F1 scores over `classes`; a class that is neither there nor predicted counts 0, as in
/// scikit-learn's `f1_score(labels=classes, average="macro", zero_division=0)`.
pub fn macro_f1(actual: &[i64], predicted: &[i64], classes: &[i64]) -> f64 {
    mean(classes.iter().map(|class| {
        let count = |test: &dyn Fn(i64, i64) -> bool| {
            actual.iter().zip(predicted).filter(|(a, p)| test(**a, **p)).count() as f64
        };
        let both = count(&|a, p| a == *class && p == *class);
        let either = count(&|a, _| a == *class) + count(&|_, p| p == *class);
        if either > 0.0 { 2.0 * both / either } else { 0.0 }
    }))
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
    fn ranked_probability_score_punishes_distance() {
        let near = ranked_probability_score(1, &[0.0, 1.0, 0.0], &[1, 2, 3]);
        let far = ranked_probability_score(1, &[0.0, 0.0, 1.0], &[1, 2, 3]);
        assert_eq!((near, far), (1.0, 2.0));
    }
}
