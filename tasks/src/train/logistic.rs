//! Logistic regression whose rows may weigh differently: Newton's method on the penalized log likelihood, which is convex.

use ndarray::{Array1, Array2, Axis, s};
use ratchet_model::arithmetic::{exp, ln, logistic};

/// Steps at most. A handful is enough unless the rows are separable without a penalty.
const STEPS: usize = 50;

/// Mean gradient below which it has arrived.
const GRADIENT: f64 = 1e-9;

/// Added to the curvature for each row, so that there is a step where probabilities are certain and nothing is penalized.
const RIDGE: f64 = 1e-12;

/// Shorter steps than this share of Newton's bring nothing any more.
const SHORTEST: f64 = 1e-6;

/// Rows that are multiplied at a time, so that no second copy of the features is made.
const ROWS: usize = 1024;

/// What is minimized: `sum(weight * log(1 + exp(-+score))) + alpha / 2 * |slopes|^2`.
pub struct Logistic<'a> {
    /// Features, a line for each row.
    pub rows: &'a Array2<f64>,
    /// True or false.
    pub target: &'a [bool],
    /// How much each row counts.
    pub weights: &'a [f64],
    /// L2 penalty; the intercept is not penalized.
    pub alpha: f64,
}

impl Logistic<'_> {
    /// The slopes and the intercept.
    pub fn fit(&self) -> (Vec<f64>, f64) {
        let columns = self.rows.ncols();
        let mut parameters = Array1::zeros(columns + 1);
        let mut scores = self.scores(&parameters);
        for _ in 0..STEPS {
            let Some(step) = self.step(&parameters, &scores) else {
                break;
            };
            let before = self.loss(&parameters, &scores);
            let mut share = 1.0;
            let (next, reached) = loop {
                let next = &parameters - &(&step * share);
                let reached = self.scores(&next);
                if share < SHORTEST || self.loss(&next, &reached) <= before {
                    break (next, reached);
                }
                share /= 2.0;
            };
            (parameters, scores) = (next, reached);
        }
        (parameters.slice(s![..columns]).to_vec(), parameters[columns])
    }

    fn scores(&self, parameters: &Array1<f64>) -> Array1<f64> {
        let columns = self.rows.ncols();
        self.rows.dot(&parameters.slice(s![..columns])) + parameters[columns]
    }

    fn loss(&self, parameters: &Array1<f64>, scores: &Array1<f64>) -> f64 {
        let slopes = parameters.slice(s![..self.rows.ncols()]);
        let rows = scores.iter().zip(self.target).zip(self.weights);
        let losses = rows.map(|((score, flag), weight)| {
            let margin = if *flag { *score } else { -score };
            weight * (ln(1.0 + exp(-margin.abs())) + (-margin).max(0.0))
        });
        losses.sum::<f64>() + self.alpha / 2.0 * slopes.dot(&slopes)
    }

    /// Newton's step; none where the gradient has vanished.
    fn step(&self, parameters: &Array1<f64>, scores: &Array1<f64>) -> Option<Array1<f64>> {
        let columns = self.rows.ncols();
        let shares = scores.mapv(logistic);
        let weights = Array1::from(self.weights.to_vec());
        let truth: Array1<f64> = self.target.iter().map(|flag| f64::from(u8::from(*flag))).collect();
        let errors = (&shares - &truth) * &weights;
        let curvatures = shares.mapv(|share| share * (1.0 - share)) * &weights;

        let mut gradient = parameters * self.alpha;
        gradient
            .slice_mut(s![..columns])
            .scaled_add(1.0, &self.rows.t().dot(&errors));
        gradient[columns] = errors.sum();
        let count = self.target.len() as f64;
        if gradient.iter().all(|part| part.abs() <= GRADIENT * count) {
            return None;
        }

        let mut curvature = Array2::zeros((columns + 1, columns + 1));
        let pieces = self.rows.axis_chunks_iter(Axis(0), ROWS);
        for (piece, curvatures) in pieces.zip(curvatures.axis_chunks_iter(Axis(0), ROWS)) {
            let scaled = &piece * &curvatures.insert_axis(Axis(1));
            curvature
                .slice_mut(s![..columns, ..columns])
                .scaled_add(1.0, &scaled.t().dot(&piece));
        }
        let cross = self.rows.t().dot(&curvatures);
        curvature.slice_mut(s![..columns, columns]).assign(&cross);
        curvature.slice_mut(s![columns, ..columns]).assign(&cross);
        curvature[[columns, columns]] = curvatures.sum();
        for column in 0..=columns {
            let penalty = if column < columns { self.alpha } else { 0.0 };
            curvature[[column, column]] += penalty + RIDGE * count;
        }
        solve(curvature, gradient)
    }
}

/// Solves a symmetric, positive definite system by Cholesky's factors; none if it is not.
fn solve(mut matrix: Array2<f64>, mut right: Array1<f64>) -> Option<Array1<f64>> {
    let size = right.len();
    for column in 0..size {
        for row in column..size {
            let known = matrix.slice(s![row, ..column]).dot(&matrix.slice(s![column, ..column]));
            let rest = matrix[[row, column]] - known;
            matrix[[row, column]] = if row > column {
                rest / matrix[[column, column]]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    for row in 0..size {
        let known = matrix.slice(s![row, ..row]).dot(&right.slice(s![..row]));
        right[row] = (right[row] - known) / matrix[[row, row]];
    }
    for row in (0..size).rev() {
        let known = matrix.slice(s![row + 1.., row]).dot(&right.slice(s![row + 1..]));
        right[row] = (right[row] - known) / matrix[[row, row]];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features and answers that no line separates.
    fn example(rows: usize) -> (Array2<f64>, Vec<bool>) {
        let value = |row: usize, column: usize| ((row * 37 + column * 101) % 89) as f64 / 44.0 - 1.0;
        let features = Array2::from_shape_fn((rows, 3), |(row, column)| value(row, column));
        let target = (0..rows)
            .map(|row| value(row, 0) - 0.5 * value(row, 1) + value(row, 7) > 1.0)
            .collect();
        (features, target)
    }

    #[test]
    fn a_row_that_weighs_three_counts_like_three_rows() {
        let (rows, target) = example(300);
        let weights: Vec<f64> = target.iter().map(|flag| if *flag { 3.0 } else { 1.0 }).collect();
        let again: Vec<usize> = (0..300)
            .flat_map(|row| vec![row; if target[row] { 3 } else { 1 }])
            .collect();
        let fit = |rows: &Array2<f64>, target: &[bool], weights: &[f64]| {
            let (mut slopes, intercept) = Logistic {
                rows,
                target,
                weights,
                alpha: 1.0,
            }
            .fit();
            slopes.push(intercept);
            slopes
        };
        let repeated: Vec<bool> = again.iter().map(|row| target[*row]).collect();
        let weighted = fit(&rows, &target, &weights);
        let counted = fit(&rows.select(Axis(0), &again), &repeated, &vec![1.0; again.len()]);
        let plain = fit(&rows, &target, &[1.0; 300]);
        for ((weighted, counted), plain) in weighted.iter().zip(&counted).zip(&plain) {
            assert!((weighted - counted).abs() < 1e-9, "{weighted} is not {counted}");
            assert!((weighted - plain).abs() > 1e-3, "{weighted} is {plain}");
        }
    }

    /// What scikit-learn 1.9 says: `LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12, class_weight={0: 1, 1: 3})`.
    const SLOPES: [f64; 3] = [
        3.514_389_583_649_096,
        -3.633_173_515_507_462_7,
        -1.137_263_053_091_789_3,
    ];
    const INTERCEPT: f64 = -3.411_921_426_631_475;

    #[test]
    fn weights_and_penalty_mean_what_they_mean_to_scikit_learn() {
        let (rows, target) = example(300);
        let weights: Vec<f64> = target.iter().map(|flag| if *flag { 3.0 } else { 1.0 }).collect();
        let (slopes, intercept) = Logistic {
            rows: &rows,
            target: &target,
            weights: &weights,
            alpha: 1.0,
        }
        .fit();
        for (found, expected) in slopes.iter().zip(SLOPES).chain([(&intercept, INTERCEPT)]) {
            assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
        }
    }

    #[test]
    fn separable_rows_without_a_penalty_come_to_an_end() {
        let rows = Array2::from_shape_fn((40, 1), |(row, _)| row as f64 - 19.5);
        let target: Vec<bool> = (0..40).map(|row| row >= 20).collect();
        let (slopes, intercept) = Logistic {
            rows: &rows,
            target: &target,
            weights: &[1.0; 40],
            alpha: 0.0,
        }
        .fit();
        assert!(
            slopes[0] > 1.0 && slopes[0].is_finite() && intercept.abs() < 1.0,
            "{slopes:?} {intercept}"
        );
    }
}
