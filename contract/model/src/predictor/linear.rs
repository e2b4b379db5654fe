//! A weighted sum of features.

/// Weights, an intercept, and what stands in for a missing feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// One weight per feature.
    pub weights: Vec<f64>,
    /// Value of a missing feature: its mean in training.
    pub fill: Vec<f64>,
    /// Score where all features are 0.
    pub intercept: f64,
}

impl Linear {
    /// Intercept plus the weighted sum, in feature order.
    pub fn score(&self, features: &[f64]) -> f64 {
        let pairs = self.weights.iter().zip(features.iter().zip(&self.fill));
        pairs.fold(self.intercept, |sum, (weight, (value, fill))| {
            sum + weight * if value.is_nan() { *fill } else { *value }
        })
    }

    /// Adds what each feature contributes to the score, its weight times its distance from its mean in training, and returns the
    /// score of a row whose features are all at their means.
    pub fn explain(&self, features: &[f64], contributions: &mut [f64]) -> f64 {
        let mut base = self.intercept;
        for (place, contribution) in contributions.iter_mut().enumerate() {
            let (weight, fill, value) = (self.weights[place], self.fill[place], features[place]);
            base += weight * fill;
            if !value.is_nan() {
                *contribution += weight * (value - fill);
            }
        }
        base
    }

    /// See [`super::Predictor::validate`].
    pub fn validate(&self, features: usize) -> Result<(), String> {
        if self.weights.len() != features || self.fill.len() != features {
            let (weights, fill) = (self.weights.len(), self.fill.len());
            return Err(format!("{weights} weights and {fill} means for {features} features"));
        }
        let all = self.weights.iter().chain(&self.fill).chain([&self.intercept]);
        if all.into_iter().any(|value| !value.is_finite()) {
            return Err("a weight is not finite".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_feature_counts_as_its_mean() {
        let linear = Linear {
            weights: vec![2.0, 10.0],
            fill: vec![0.0, 3.0],
            intercept: 1.0,
        };
        assert_eq!(linear.score(&[4.0, f64::NAN]), 1.0 + 8.0 + 30.0);
        let mut contributions = [0.0; 2];
        assert_eq!(linear.explain(&[4.0, f64::NAN], &mut contributions), 31.0);
        assert_eq!(contributions, [8.0, 0.0]);
        assert!(linear.validate(3).is_err());
        assert!(
            Linear {
                intercept: f64::NAN,
                ..linear
            }
            .validate(2)
            .is_err()
        );
    }
}
