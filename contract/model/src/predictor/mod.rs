//! Predictors: from features to a raw score. Flat, without code, checked before use.

mod forest;
mod linear;
mod shapley;

pub use forest::{Forest, ForestArrays, Tree, TreeNode};
pub use linear::Linear;
pub use shapley::ForestShapley;

use crate::arithmetic::logistic;
use crate::features::Matrix;

/// What a raw score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The score is the value, or the probability itself.
    Identity,
    /// The score is log odds.
    Logistic,
}

/// One output of a model: a value, or the probability of one cut between classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictor {
    /// Weights and an intercept.
    Linear(Linear),
    /// Trees.
    Forest(Forest),
}

impl Predictor {
    /// The raw score of one row of features.
    pub fn score(&self, features: &[f64]) -> f64 {
        match self {
            Predictor::Linear(linear) => linear.score(features),
            Predictor::Forest(forest) => forest.score(features),
        }
    }

    /// The raw scores of all rows.
    pub fn scores(&self, matrix: &Matrix) -> Vec<f64> {
        match self {
            Predictor::Linear(linear) => (0..matrix.rows).map(|row| linear.score(matrix.row(row))).collect(),
            Predictor::Forest(forest) => forest.scores(matrix),
        }
    }

    /// Everything that could make it read out of bounds, loop or answer NaN; `features` is the width of a row.
    pub fn validate(&self, features: usize) -> Result<(), String> {
        match self {
            Predictor::Linear(linear) => linear.validate(features),
            Predictor::Forest(forest) => forest.validate(features),
        }
    }

    /// Memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Predictor::Linear(linear) => linear.weights.len() * 16,
            Predictor::Forest(forest) => forest.memory_bytes(),
        }
    }
}

impl Link {
    /// Raw score to value or probability.
    pub fn apply(self, score: f64) -> f64 {
        match self {
            Link::Identity => score,
            Link::Logistic => logistic(score),
        }
    }
}
