//! Prediction intervals from residuals of rows that the predictor did not see (split conformal prediction,
//! Papadopoulos et al. 2002; Lei et al. 2018).

use serde::{Deserialize, Serialize};

/// An interval around a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Signed residuals (actual minus predicted, on the scale the predictor was trained on), sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Residuals(Vec<f64>);

impl Residuals {
    /// Sorts the residuals.
    pub fn new(mut residuals: Vec<f64>) -> Self {
        residuals.sort_by(f64::total_cmp);
        Self(residuals)
    }

    /// The sorted values.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// True if sorted and finite.
    pub fn is_valid(&self) -> bool {
        self.0.iter().all(|value| value.is_finite()) && self.0.is_sorted()
    }

    /// Offsets to the lower and upper end such that a new row lies within with probability `coverage`, the tails
    /// equal. Of `n` residuals the order statistics at `(n + 1) * tail` are taken, rounded outwards; with too few
    /// residuals the extremes. `None` without any.
    pub fn offsets(&self, coverage: f64) -> Option<Interval> {
        let count = self.0.len();
        if count == 0 {
            return None;
        }
        let tail = (1.0 - coverage) / 2.0;
        // A hair is added because (1 - 0.9) / 2 is a hair below 0.05.
        let below = ((count as f64 + 1.0) * tail + 1e-9).floor() as usize;
        let lower = self.0[below.clamp(1, count) - 1];
        let upper = self.0[count - below.clamp(1, count)];
        Some(Interval { lower, upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_lie_beyond_each_end() {
        let residuals = Residuals::new((1..=99).rev().map(f64::from).collect());
        assert_eq!(
            residuals.offsets(0.9),
            Some(Interval {
                lower: 5.0,
                upper: 95.0
            })
        );
        assert_eq!(
            Residuals::new(vec![3.0]).offsets(0.9),
            Some(Interval { lower: 3.0, upper: 3.0 })
        );
        assert_eq!(Residuals::default().offsets(0.9), None);
    }
}
