//! Gradient-boosted trees by forust-ml, laid out as a flat forest.

use forust_ml::GradientBooster;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::metric::Metric;
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use ratchet_model::features::Matrix;
use ratchet_model::predictor::{Forest, Tree, TreeNode};

use super::candidate::Judge;
use super::settings::{BoostingConfig, TreeConfig};

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

/// Fits a forest; `weights` are per row. With `patience`, it ends by the rows that judge, whose error after each tree comes
/// back with it.
pub fn fit(
    features: &Matrix,
    target: &[f64],
    weights: &[f64],
    loss: Loss,
    config: &BoostingConfig,
    resources: Resources,
    judge: Option<Judge<'_>>,
) -> Result<(Forest, Option<Vec<f64>>), String> {
    if config.bins == 0 {
        return Err("`bins` of boosting is 0; leave it out, or give 2 or more".to_owned());
    }
    let mut booster = booster(loss, resources)
        .set_iterations(config.trees)
        .set_learning_rate(config.learning_rate)
        .set_max_leaves(config.leaves)
        .set_max_depth(config.depth)
        .set_subsample(config.row_share)
        .set_colsample_bytree(config.feature_share)
        .set_nbins(config.bins)
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
    let Some(judge) = judge.filter(|_| config.patience > 0) else {
        return Ok((train(booster, features, target, weights, None)?.0, None));
    };
    booster.early_stopping_rounds = Some(config.patience);
    booster.evaluation_metric = Some(match loss {
        Loss::Squared => Metric::RootMeanSquaredError,
        Loss::Log => Metric::LogLoss,
    });
    let (forest, curve) = train(booster, features, target, weights, Some(judge))?;
    Ok((forest, Some(curve)))
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
    Ok(train(booster, features, target, &vec![1.0; target.len()], None)?.0)
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

/// forust reads column after column.
fn by_column(features: &Matrix) -> Vec<f64> {
    let mut columns = Vec::with_capacity(features.values.len());
    for column in 0..features.columns {
        columns.extend((0..features.rows).map(|row| features.row(row)[column]));
    }
    columns
}

fn train(
    mut booster: GradientBooster,
    features: &Matrix,
    target: &[f64],
    weights: &[f64],
    judge: Option<Judge<'_>>,
) -> Result<(Forest, Vec<f64>), String> {
    let columns = by_column(features);
    let matrix = forust_ml::Matrix::new(&columns, features.rows, features.columns);
    let judged = judge.map(|judge| (by_column(judge.features), vec![1.0; judge.truth.len()], judge));
    let evaluation = judged.as_ref().map(|(columns, weights, judge)| {
        let matrix = forust_ml::Matrix::new(columns, judge.features.rows, judge.features.columns);
        vec![(matrix, judge.truth, weights.as_slice())]
    });
    booster
        .fit(&matrix, target, weights, evaluation)
        .map_err(|error| error.to_string())?;
    if let Some(best) = booster.best_iteration {
        booster.trees.truncate(best + 1);
    }
    let curve = booster
        .evaluation_history
        .take()
        .map(|history| history.data)
        .unwrap_or_default();
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
    Ok((Forest::new(booster.base_score, &trees)?, curve))
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
            fit(
                &features,
                &target,
                &vec![1.0; 2000],
                Loss::Squared,
                &config,
                resources,
                None,
            )
            .unwrap()
            .0
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
    fn impatient_boosting_ends_where_the_judge_sees_no_gain() {
        let (features, target) = example();
        let config = BoostingConfig {
            trees: 400,
            patience: 5,
            learning_rate: 0.3,
            ..BoostingConfig::default()
        };
        let judge = Judge {
            features: &features,
            truth: &target.iter().rev().copied().collect::<Vec<f64>>(),
        };
        let resources = Resources { seed: 7, threads: 2 };
        let fitted = fit(
            &features,
            &target,
            &vec![1.0; 2000],
            Loss::Squared,
            &config,
            resources,
            Some(judge),
        );
        let (forest, curve) = fitted.unwrap();
        let curve = curve.unwrap();
        let best = curve.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(forest.trees() < 400);
        assert_eq!(curve[forest.trees() - 1], best);
        assert_eq!(curve.len(), forest.trees() + 5);
    }

    #[test]
    fn no_bins_are_refused() {
        let (features, target) = example();
        let config = BoostingConfig {
            bins: 0,
            ..BoostingConfig::default()
        };
        let resources = Resources { seed: 7, threads: 1 };
        let weights = vec![1.0; 2000];
        let refused = fit(&features, &target, &weights, Loss::Squared, &config, resources, None).unwrap_err();
        assert!(refused.contains("`bins`"), "{refused}");
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
