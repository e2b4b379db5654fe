//! Gradient-boosted trees by forust-ml, laid out as a flat forest.

use forust_ml::GradientBooster;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use ratchet_model::features::Matrix;
use ratchet_model::predictor::{Forest, Tree, TreeNode};

use super::config::{BoostingConfig, TreeConfig};

/// What does not come from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Seed of the samples of rows and features.
    pub seed: u64,
    /// Threads; the result does not depend on it.
    pub threads: usize,
}

/// Squared loss or log loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// For numbers.
    Squared,
    /// For 0 and 1; the score is log odds.
    Log,
}

/// Fits a forest; `weights` are per row.
pub fn fit(
    features: &Matrix,
    target: &[f64],
    weights: &[f64],
    loss: Loss,
    config: &BoostingConfig,
    resources: Resources,
) -> Result<Forest, String> {
    let mut booster = booster(loss, resources)
        .set_iterations(config.trees)
        .set_learning_rate(config.learning_rate)
        .set_max_leaves(config.leaves)
        .set_max_depth(config.depth)
        .set_subsample(config.row_share)
        .set_colsample_bytree(config.feature_share)
        .set_l2(config.l2)
        .set_min_leaf_weight(match loss {
            Loss::Squared => config.leaf_weight,
            // The weight of a row is p (1 - p) there, a quarter at most.
            Loss::Log => config.leaf_weight / 4.0,
        })
        .set_sample_method(if config.row_share < 1.0 {
            SampleMethod::Random
        } else {
            SampleMethod::None
        });
    booster.grow_policy = GrowPolicy::LossGuide;
    train(booster, features, target, weights)
}

/// One regression tree: a forest of one tree at learning rate 1.
pub fn fit_tree(
    features: &Matrix,
    target: &[f64],
    config: &TreeConfig,
    resources: Resources,
) -> Result<Forest, String> {
    let booster = booster(Loss::Squared, resources)
        .set_iterations(1)
        .set_learning_rate(1.0)
        .set_max_depth(config.depth)
        .set_l2(0.0)
        .set_min_leaf_weight(config.leaf_rows as f32);
    train(booster, features, target, &vec![1.0; target.len()])
}

fn booster(loss: Loss, resources: Resources) -> GradientBooster {
    let objective = match loss {
        Loss::Squared => ObjectiveType::SquaredLoss,
        Loss::Log => ObjectiveType::LogLoss,
    };
    GradientBooster::default()
        .set_objective_type(objective)
        .set_initialize_base_score(true)
        .set_seed(resources.seed)
        .set_parallel(resources.threads > 1)
        .set_num_threads(Some(resources.threads))
}

fn train(mut booster: GradientBooster, features: &Matrix, target: &[f64], weights: &[f64]) -> Result<Forest, String> {
    // forust reads column after column.
    let mut columns = Vec::with_capacity(features.values.len());
    for column in 0..features.columns {
        columns.extend((0..features.rows).map(|row| features.row(row)[column]));
    }
    let matrix = forust_ml::Matrix::new(&columns, features.rows, features.columns);
    booster
        .fit(&matrix, target, weights, None)
        .map_err(|error| error.to_string())?;
    let mut trees: Vec<Tree> = Vec::with_capacity(booster.trees.len());
    for tree in &booster.trees {
        let nodes = tree.nodes.iter().map(|node| {
            if node.is_leaf {
                return Ok(TreeNode::Leaf {
                    value: f64::from(node.weight_value),
                });
            }
            let position = |value: usize| u32::try_from(value).map_err(|_| "a tree has too many nodes".to_owned());
            Ok(TreeNode::Split {
                feature: position(node.split_feature)?,
                threshold: node.split_value,
                left: position(node.left_child)?,
                right: position(node.right_child)?,
                missing_left: node.missing_node == node.left_child,
            })
        });
        trees.push(nodes.collect::<Result<Tree, String>>()?);
    }
    Forest::new(booster.base_score, &trees)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn example() -> (Matrix, Vec<f64>) {
        let mut values = Vec::new();
        let mut target = Vec::new();
        for row in 0..2000_u32 {
            let x = f64::from(row.wrapping_mul(2_654_435_761) % 1000) / 10.0;
            let y = f64::from(row.wrapping_mul(40_503) % 97);
            values.extend([if row % 31 == 0 { f64::NAN } else { x }, y]);
            target.push(if x > 50.0 { 300.0 } else { 100.0 } + y);
        }
        (
            Matrix {
                values,
                rows: 2000,
                columns: 2,
            },
            target,
        )
    }

    #[test]
    fn the_flat_forest_scores_as_the_trainer_does_whatever_the_threads() {
        let (features, target) = example();
        let config = BoostingConfig {
            trees: 120,
            ..BoostingConfig::default()
        };
        let fit_with = |threads| {
            let resources = Resources { seed: 7, threads };
            fit(&features, &target, &vec![1.0; 2000], Loss::Squared, &config, resources).unwrap()
        };
        let forest = fit_with(1);
        assert_eq!(forest, fit_with(2));
        assert_eq!(forest, fit_with(7));
        assert!(forest.validate(2).is_ok());
        let error: f64 = (0..2000)
            .map(|row| (forest.score(features.row(row)) - target[row]).abs())
            .sum::<f64>()
            / 2000.0;
        assert!(error < 15.0, "{error}");
    }

    #[test]
    fn one_tree_is_one_tree() {
        let (features, target) = example();
        let forest = fit_tree(
            &features,
            &target,
            &TreeConfig::default(),
            Resources { seed: 1, threads: 2 },
        )
        .unwrap();
        assert_eq!(forest.trees(), 1);
        assert!(forest.score(&[80.0, 10.0]) > forest.score(&[20.0, 10.0]) + 150.0);
    }
}
