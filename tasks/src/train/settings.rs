//! Candidates and their settings, as they stand under `candidates` of `train.model`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One model to try.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Candidate {
    /// Least squares for numbers, logistic regression for classes.
    Linear(LinearConfig),
    /// One decision tree.
    Tree(TreeConfig),
    /// Gradient-boosted trees.
    Boosting(BoostingConfig),
}

impl Candidate {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Candidate::Linear(_) => "linear",
            Candidate::Tree(_) => "tree",
            Candidate::Boosting(_) => "boosting",
        }
    }
}

/// Settings of the linear baseline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearConfig {
    /// L2 penalty of logistic regression.
    pub alpha: f64,
}

impl Default for LinearConfig {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

/// Settings of the decision tree.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TreeConfig {
    /// Nodes between root and leaf at most.
    pub depth: usize,
    /// Rows in a leaf at least.
    pub leaf_rows: usize,
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self {
            depth: 7,
            leaf_rows: 30,
        }
    }
}

/// Settings of boosting.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BoostingConfig {
    /// Number of trees.
    pub trees: usize,
    /// Step of each tree.
    pub learning_rate: f32,
    /// Leaves of a tree at most.
    pub leaves: usize,
    /// Nodes between root and leaf at most.
    pub depth: usize,
    /// Share of the rows that a tree sees.
    pub row_share: f32,
    /// Share of the features that a tree sees.
    pub feature_share: f64,
    /// Groups that the values of a feature are cut into at most: fewer are quicker, and see less.
    pub bins: u16,
    /// L2 penalty of leaf values.
    pub l2: f32,
    /// Weight of the rows in a leaf at least.
    pub leaf_weight: f32,
    /// Trees that may bring nothing on the newest rows that fit (the last fifth of the keys without a time) before it ends;
    /// `trees` is then the most. 0: all trees are grown.
    pub patience: usize,
    /// Rounds of fitting again with each row weighted by the inverse of its residual: from the mean towards the median.
    pub reweight: u32,
}

impl Default for BoostingConfig {
    fn default() -> Self {
        Self {
            trees: 300,
            learning_rate: 0.05,
            leaves: 31,
            depth: 8,
            row_share: 0.8,
            feature_share: 0.7,
            bins: 256,
            l2: 1.0,
            leaf_weight: 10.0,
            patience: 0,
            reweight: 0,
        }
    }
}
