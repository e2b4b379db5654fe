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
        /// The probabilities of no and yes are multiplied by these before the greater is taken.
        #[serde(default = "equal", skip_serializing_if = "is_equal")]
        weights: [f64; 2],
    },
    /// One of several whole numbers in order.
    Ordinal {
        /// Ascending; values beyond the ends count as the ends.
        classes: Vec<i64>,
        /// A class's probability is multiplied by its weight before the greatest is taken.
        weights: Vec<f64>,
    },
    /// One of several whole numbers without an order, such as codes.
    Multiclass {
        /// Ascending; a row with any other value has no truth.
        classes: Vec<i64>,
        /// As for classes in order.
        weights: Vec<f64>,
    },
}

/// What one output of a model of classes is asked about the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Question {
    /// Is it above this?
    Above(f64),
    /// Is it this class?
    Is(i64),
}

impl Question {
    /// The answer, for a truth as [`Target::truth`] says it.
    pub fn holds(self, truth: f64) -> bool {
        match self {
            Question::Above(limit) => truth > limit,
            Question::Is(class) => truth == class as f64,
        }
    }
}

fn equal() -> [f64; 2] {
    [1.0; 2]
}

fn is_equal(weights: &[f64; 2]) -> bool {
    *weights == equal()
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
            TargetKind::Binary { above, .. } => f64::from(u8::from(value > *above)),
            TargetKind::Ordinal { classes, .. } => {
                let (Some(first), Some(last)) = (classes.first(), classes.last()) else {
                    return f64::NAN;
                };
                value.round().clamp(*first as f64, *last as f64)
            }
            TargetKind::Multiclass { classes, .. } => {
                let known = classes.iter().map(|class| *class as f64);
                known.into_iter().find(|class| *class == value).unwrap_or(f64::NAN)
            }
        }
    }

    /// True if both ask the same of the same column, so that their answers can be compared: the same limit, the same
    /// classes. How a model was trained (scale, weights of classes) does not matter.
    pub fn asks_the_same(&self, other: &Target) -> bool {
        let same_kind = match (&self.kind, &other.kind) {
            (TargetKind::Regression { .. }, TargetKind::Regression { .. }) => true,
            (TargetKind::Binary { above, .. }, TargetKind::Binary { above: others, .. }) => above == others,
            (TargetKind::Ordinal { classes, .. }, TargetKind::Ordinal { classes: others, .. })
            | (TargetKind::Multiclass { classes, .. }, TargetKind::Multiclass { classes: others, .. }) => {
                classes == others
            }
            _ => false,
        };
        same_kind && self.column == other.column
    }

    /// What its outputs are asked, one each; none for numbers, whose one output is the number.
    pub fn questions(&self) -> Vec<Question> {
        match &self.kind {
            TargetKind::Regression { .. } => Vec::new(),
            // The truth is 0 or 1.
            TargetKind::Binary { .. } => vec![Question::Above(0.5)],
            TargetKind::Ordinal { classes, .. } => classes
                .windows(2)
                .map(|pair| Question::Above((pair[0] as f64 + pair[1] as f64) / 2.0))
                .collect(),
            TargetKind::Multiclass { classes, .. } => classes.iter().map(|class| Question::Is(*class)).collect(),
        }
    }

    /// How many predictors it takes: one, one per cut between classes, or one per class.
    pub fn outputs(&self) -> usize {
        self.questions().len().max(1)
    }

    /// Everything that would make an answer meaningless.
    pub fn validate(&self) -> Result<(), String> {
        match &self.kind {
            TargetKind::Binary { above, .. } if !above.is_finite() => Err("the limit is not finite".to_owned()),
            TargetKind::Binary { weights, .. } if !are_weights(weights) => {
                Err("the weights of no and yes are not above 0".to_owned())
            }
            TargetKind::Ordinal { classes, weights } | TargetKind::Multiclass { classes, weights } => {
                let ascending = classes.windows(2).all(|pair| pair[0] < pair[1]);
                if classes.len() < 2 || !ascending || weights.len() != classes.len() || !are_weights(weights) {
                    return Err("classes are not two or more ascending numbers with a weight each".to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn are_weights(weights: &[f64]) -> bool {
    weights.iter().all(|weight| weight.is_finite() && *weight > 0.0)
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
    fn codes_have_no_order_and_others_no_truth() {
        let target = Target {
            column: "vehicle".to_owned(),
            kind: TargetKind::Multiclass {
                classes: vec![2, 5, 9],
                weights: vec![1.0; 3],
            },
            answer: "vehicle".to_owned(),
        };
        assert_eq!(target.outputs(), 3);
        assert_eq!([2.0, 9.0].map(|value| target.truth(value)), [2.0, 9.0]);
        assert!(target.truth(3.0).is_nan());
        let asked = target.questions();
        assert_eq!(
            asked.iter().map(|question| question.holds(5.0)).collect::<Vec<_>>(),
            [false, true, false]
        );
    }

    #[test]
    fn another_limit_is_another_question() {
        let target = |above| Target {
            column: "seconds".to_owned(),
            kind: TargetKind::Binary {
                above,
                weights: equal(),
            },
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
