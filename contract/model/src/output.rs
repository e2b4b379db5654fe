//! From the scores of a model's outputs to what it predicts.

use serde::{Deserialize, Serialize};

use crate::answer::Prediction;
use crate::arithmetic::{log_odds, logistic};
use crate::conformal::Interval;
use crate::features::Matrix;
use crate::predictor::{Link, Predictor};
use crate::target::{Target, TargetKind, class_probabilities};

/// Scale and shift of log odds, fitted on the validation rows (Platt 1999).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Multiplies the score.
    pub slope: f64,
    /// Added afterwards.
    pub shift: f64,
}

/// One predictor with what its score means.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOutput {
    /// From features to score.
    pub predictor: Predictor,
    /// What the score is.
    pub link: Link,
    /// Applied to log odds, for outputs that are probabilities.
    pub calibration: Option<Calibration>,
}

impl ModelOutput {
    /// A score as a probability, calibrated if it was.
    pub fn probability(&self, score: f64) -> f64 {
        match self.calibration {
            None => self.link.apply(score),
            Some(Calibration { slope, shift }) => {
                let odds = match self.link {
                    Link::Logistic => score,
                    Link::Identity => log_odds(score),
                };
                logistic(slope * odds + shift)
            }
        }
    }
}

/// What a model predicts for rows of features. `offsets` reach from a number's score to the ends of its interval, on the scale of
/// training.
pub fn predict(
    target: &Target,
    outputs: &[ModelOutput],
    offsets: Option<Interval>,
    features: &Matrix,
) -> Vec<Prediction> {
    let scores: Vec<Vec<f64>> = outputs.iter().map(|output| output.predictor.scores(features)).collect();
    (0..features.rows)
        .map(|row| predict_row(target, outputs, offsets, scores.iter().map(|scores| scores[row])))
        .collect()
}

fn predict_row(
    target: &Target,
    outputs: &[ModelOutput],
    offsets: Option<Interval>,
    scores: impl Iterator<Item = f64>,
) -> Prediction {
    match &target.kind {
        TargetKind::Regression { transform } => {
            let score = scores.sum::<f64>();
            let interval = offsets.map(|offsets| Interval {
                lower: transform.backward(score + offsets.lower),
                upper: transform.backward(score + offsets.upper),
            });
            Prediction {
                value: transform.backward(score),
                interval,
                probabilities: Vec::new(),
            }
        }
        TargetKind::Binary { weights, .. } => {
            let probability: f64 = probabilities_of(scores, outputs).sum();
            let probabilities = vec![1.0 - probability, probability];
            Prediction {
                value: most_weighty(&probabilities, weights) as f64,
                interval: None,
                probabilities,
            }
        }
        TargetKind::Ordinal { classes, weights } => {
            let cuts: Vec<f64> = probabilities_of(scores, outputs).collect();
            of_classes(classes, weights, class_probabilities(&cuts))
        }
        TargetKind::Multiclass { classes, weights } => {
            // Each was asked by itself; together they are made to add up.
            let asked: Vec<f64> = probabilities_of(scores, outputs).collect();
            let sum: f64 = asked.iter().sum();
            let share = |asked: &f64| {
                if sum > 0.0 {
                    asked / sum
                } else {
                    1.0 / classes.len() as f64
                }
            };
            of_classes(classes, weights, asked.iter().map(share).collect())
        }
    }
}

fn probabilities_of(scores: impl Iterator<Item = f64>, outputs: &[ModelOutput]) -> impl Iterator<Item = f64> {
    scores.zip(outputs).map(|(score, output)| output.probability(score))
}

fn of_classes(classes: &[i64], weights: &[f64], probabilities: Vec<f64>) -> Prediction {
    Prediction {
        value: classes[most_weighty(&probabilities, weights)] as f64,
        interval: None,
        probabilities,
    }
}

/// Position of the greatest product of probability and weight; the first of several.
pub fn most_weighty(probabilities: &[f64], weights: &[f64]) -> usize {
    (1..weights.len()).fold(0, |best, class| {
        if probabilities[class] * weights[class] > probabilities[best] * weights[best] {
            class
        } else {
            best
        }
    })
}
