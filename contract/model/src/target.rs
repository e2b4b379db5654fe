//! What a model predicts, and how a predictor's scores become it.

use serde::{Deserialize, Serialize};

use crate::arithmetic::{exp, ln};

/// The scale on which a regression is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The target itself.
    #[default]
    None,
    /// Its square root; targets are not negative.
    SquareRoot,
    /// Its natural logarithm; targets are positive.
    Logarithm,
}

impl Transform {
    /// Target to training scale. NaN where the transform is not defined.
    pub fn forward(self, value: f64) -> f64 {
        match self {
            Transform::None => value,
            Transform::SquareRoot if value < 0.0 => f64::NAN,
            Transform::SquareRoot => value.sqrt(),
            Transform::Logarithm if value <= 0.0 => f64::NAN,
            Transform::Logarithm => ln(value),
        }
    }

    /// Training scale to target.
    pub fn backward(self, score: f64) -> f64 {
        match self {
            Transform::None => score,
            Transform::SquareRoot => score.max(0.0) * score.max(0.0),
            Transform::Logarithm => exp(score),
        }
    }
}

/// The kind of answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// A number.
    Regression {
        /// Scale of training.
        transform: Transform,
    },
    /// Whether the target is above a limit.
    Binary {
        /// The limit, in the unit of the target column.
        above: f64,
    },
    /// One of several whole numbers in order.
    Ordinal {
        /// Ascending; values beyond the ends count as the ends.
        classes: Vec<i64>,
        /// A class's probability is multiplied by its weight before the greatest is taken.
        weights: Vec<f64>,
    },
}

/// What a model predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Column of the training table.
    pub column: String,
    /// Kind of answer.
    pub kind: TargetKind,
    /// Name of the field that holds the answer.
    pub answer: String,
}

impl Target {
    /// The truth of a row as the answer would say it: the number, 0 or 1, or the class. NaN stays NaN.
    pub fn truth(&self, value: f64) -> f64 {
        match &self.kind {
            _ if value.is_nan() => f64::NAN,
            TargetKind::Regression { .. } => value,
            TargetKind::Binary { above } => f64::from(u8::from(value > *above)),
            TargetKind::Ordinal { classes, .. } => {
                let (Some(first), Some(last)) = (classes.first(), classes.last()) else {
                    return f64::NAN;
                };
                value.round().clamp(*first as f64, *last as f64)
            }
        }
    }

    /// True if both ask the same of the same column, so that their answers can be compared: the same limit, the same
    /// classes. How a model was trained (scale, weights of classes) does not matter.
    pub fn asks_the_same(&self, other: &Target) -> bool {
        let same_kind = match (&self.kind, &other.kind) {
            (TargetKind::Regression { .. }, TargetKind::Regression { .. }) => true,
            (TargetKind::Binary { above }, TargetKind::Binary { above: others }) => above == others,
            (TargetKind::Ordinal { classes, .. }, TargetKind::Ordinal { classes: others, .. }) => classes == others,
            _ => false,
        };
        same_kind && self.column == other.column
    }

    /// How many predictors it takes: one, or one per cut between classes.
    pub fn outputs(&self) -> usize {
        match &self.kind {
            TargetKind::Ordinal { classes, .. } => classes.len().saturating_sub(1),
            _ => 1,
        }
    }

    /// Everything that would make an answer meaningless.
    pub fn validate(&self) -> Result<(), String> {
        match &self.kind {
            TargetKind::Binary { above } if !above.is_finite() => Err("the limit is not finite".to_owned()),
            TargetKind::Ordinal { classes, weights } => {
                let ascending = classes.windows(2).all(|pair| pair[0] < pair[1]);
                let positive = weights.iter().all(|weight| weight.is_finite() && *weight > 0.0);
                if classes.len() < 2 || !ascending || weights.len() != classes.len() || !positive {
                    return Err("classes are not two or more ascending numbers with a weight each".to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Probabilities of ordered classes from the probabilities of 'more than class k'. These come from independent
/// predictors, so they are first made to fall (running minimum).
pub fn class_probabilities(more_than: &[f64]) -> Vec<f64> {
    let mut probabilities = Vec::with_capacity(more_than.len() + 1);
    let mut before = 1.0_f64;
    for value in more_than {
        let value = value.clamp(0.0, before);
        probabilities.push(before - value);
        before = value;
    }
    probabilities.push(before);
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_probabilities_add_up_even_when_cuts_cross() {
        let probabilities = class_probabilities(&[0.6, 0.7, 0.1]);
        assert_eq!(probabilities.len(), 4);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(probabilities.iter().all(|value| *value >= 0.0));
    }

    #[test]
    fn transforms_undo_themselves_and_refuse_what_they_cannot_take() {
        for transform in [Transform::None, Transform::SquareRoot, Transform::Logarithm] {
            assert!((transform.backward(transform.forward(318.2)) - 318.2).abs() < 1e-9);
        }
        assert!(Transform::SquareRoot.forward(-1.0).is_nan());
        assert!(Transform::Logarithm.forward(0.0).is_nan());
    }

    #[test]
    fn another_limit_is_another_question() {
        let target = |above| Target {
            column: "seconds".to_owned(),
            kind: TargetKind::Binary { above },
            answer: "late".to_owned(),
        };
        assert!(target(360.0).asks_the_same(&target(360.0)));
        assert!(!target(360.0).asks_the_same(&target(420.0)));
    }

    #[test]
    fn five_and_more_pumps_count_as_five() {
        let kind = TargetKind::Ordinal {
            classes: vec![1, 2, 3, 4, 5],
            weights: vec![1.0; 5],
        };
        let target = Target {
            column: "pumps".to_owned(),
            kind,
            answer: "pumps".to_owned(),
        };
        assert_eq!([0.0, 3.0, 9.0].map(|value| target.truth(value)), [1.0, 3.0, 5.0]);
        assert_eq!(target.outputs(), 4);
        assert!(target.validate().is_ok());
    }
}
