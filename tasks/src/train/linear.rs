//! The linear baseline: least squares by linfa, and logistic regression.

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use ratchet_model::features::Matrix;
use ratchet_model::metrics::mean;
use ratchet_model::predictor::Linear;

use super::logistic::Logistic;

/// Feature-wise means, scales, and the features worth a weight: neither constant nor a combination of earlier ones, such
/// as the last level of a one-hot encoding, which would leave the equations without a single solution.
struct Prepared {
    means: Vec<f64>,
    scales: Vec<f64>,
    kept: Vec<usize>,
    standard: Array2<f64>,
}

fn prepare(features: &Matrix) -> Prepared {
    let rows = features.rows;
    let mut means = vec![0.0; features.columns];
    let mut scales = vec![0.0; features.columns];
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut kept = Vec::new();
    for column in 0..features.columns {
        let values = || (0..rows).map(|row| features.row(row)[column]);
        let seen = || values().filter(|value| !value.is_nan());
        let count = seen().count().max(1) as f64;
        let mean = seen().sum::<f64>() / count;
        let variance = seen().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        means[column] = mean;
        if variance.sqrt() <= 1e-9 * (1.0 + mean.abs()) {
            continue;
        }
        let scale = variance.sqrt();
        scales[column] = scale;
        let standard: Vec<f64> = values()
            .map(|value| if value.is_nan() { 0.0 } else { (value - mean) / scale })
            .collect();
        // Modified Gram-Schmidt: what is left of the column after all kept ones.
        let mut rest = standard.clone();
        for direction in &basis {
            let share: f64 = rest.iter().zip(direction).map(|(a, b)| a * b).sum();
            rest.iter_mut()
                .zip(direction)
                .for_each(|(value, part)| *value -= share * part);
        }
        let length = rest.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length < 1e-4 * (rows as f64).sqrt() {
            continue;
        }
        rest.iter_mut().for_each(|value| *value /= length);
        basis.push(rest);
        columns.push(standard);
        kept.push(column);
    }
    drop(basis);
    let standard = Array2::from_shape_fn((rows, kept.len()), |(row, column)| columns[column][row]);
    Prepared {
        means,
        scales,
        kept,
        standard,
    }
}

fn assemble(prepared: &Prepared, weights: &[f64], intercept: f64) -> Linear {
    let mut all = vec![0.0; prepared.means.len()];
    let mut shift = intercept;
    for (column, weight) in prepared.kept.iter().zip(weights) {
        all[*column] = weight / prepared.scales[*column];
        shift -= all[*column] * prepared.means[*column];
    }
    Linear {
        weights: all,
        fill: prepared.means.clone(),
        intercept: shift,
    }
}

/// Least squares.
pub fn fit_regression(features: &Matrix, target: &[f64]) -> Result<Linear, String> {
    let mut prepared = prepare(features);
    if prepared.kept.is_empty() {
        return Ok(assemble(&prepared, &[], mean(target.iter().copied())));
    }
    let dataset = Dataset::new(std::mem::take(&mut prepared.standard), Array1::from(target.to_vec()));
    let model = linfa_linear::LinearRegression::new()
        .fit(&dataset)
        .map_err(|error| error.to_string())?;
    Ok(assemble(&prepared, &model.params().to_vec(), model.intercept()))
}

/// Logistic regression of rows that weigh differently; the score is the log odds of true.
pub fn fit_binary(features: &Matrix, target: &[bool], weights: &[f64], alpha: f64) -> Linear {
    let prepared = prepare(features);
    let problem = Logistic {
        rows: &prepared.standard,
        target,
        weights,
        alpha,
    };
    let (slopes, intercept) = problem.fit();
    assemble(&prepared, &slopes, intercept)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn features() -> Matrix {
        // A number, a constant, a one-hot pair (the second is 1 minus the first), a gap.
        let mut values = Vec::new();
        for row in 0..60 {
            let x = f64::from(row % 10);
            let hot = f64::from(row % 2);
            values.extend([if row == 7 { f64::NAN } else { x }, 3.0, hot, 1.0 - hot]);
        }
        Matrix {
            values,
            rows: 60,
            columns: 4,
        }
    }

    #[test]
    fn constants_and_the_last_level_get_no_weight() {
        let features = features();
        let target: Vec<f64> = (0..60)
            .map(|row| 5.0 + 2.0 * f64::from(row % 10) + 7.0 * f64::from(row % 2))
            .collect();
        let linear = fit_regression(&features, &target).unwrap();
        assert_eq!(linear.weights[1], 0.0);
        assert_eq!(linear.weights[3], 0.0);
        assert!((linear.score(features.row(8)) - target[8]).abs() < 0.5);
    }

    #[test]
    fn logistic_scores_rise_with_true() {
        let features = features();
        let target: Vec<bool> = (0..60).map(|row| row % 10 + row % 3 > 5).collect();
        let linear = fit_binary(&features, &target, &[1.0; 60], 1.0);
        assert!(linear.score(&[9.0, 3.0, 0.0, 1.0]) > linear.score(&[0.0, 3.0, 0.0, 1.0]));
    }
}
