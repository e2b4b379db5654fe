//! The decision tree for classes, by linfa-trees.
//!
//! Three things it does have to be made good: it panics on missing values (they are filled with the feature's mean, and
//! serving sends a missing value where the mean would go), ties between classes follow the order of a hash map (true rows
//! weigh 1.0003, which leaves none), and its leaves hold a class instead of a probability (refitted from the rows).

use std::collections::BTreeMap;

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, SplitQuality, TreeNode as LinfaNode};
use ndarray::{Array1, Array2};
use ratchet_model::features::Matrix;
use ratchet_model::predictor::{Forest, Tree, TreeNode};

use super::settings::TreeConfig;

/// Rows of the overall share that are mixed into a leaf's own.
const SMOOTHING: f64 = 5.0;

/// What a true row weighs more than a false one.
const TRUE_WEIGHT: f32 = 1.0003;

/// Fits a tree whose score is the probability of true.
pub fn fit_binary(features: &Matrix, target: &[bool], weights: &[f64], config: &TreeConfig) -> Result<Forest, String> {
    let means: Vec<f64> = (0..features.columns).map(|column| mean(features, column)).collect();
    let filled = Array2::from_shape_fn((features.rows, features.columns), |(row, column)| {
        let value = features.row(row)[column];
        if value.is_nan() { means[column] } else { value }
    });
    let weights: Array1<f32> = target
        .iter()
        .zip(weights)
        .map(|(flag, weight)| *weight as f32 * if *flag { TRUE_WEIGHT } else { 1.0 })
        .collect();
    let dataset = Dataset::new(filled, Array1::from(target.to_vec())).with_weights(weights);
    let tree = DecisionTree::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(config.depth))
        .min_weight_split(2.0 * config.leaf_rows as f32)
        .min_weight_leaf(config.leaf_rows as f32)
        .fit(&dataset)
        .map_err(|error| error.to_string())?;
    let mut nodes = Tree::new();
    flatten(tree.root_node(), &means, &mut nodes)?;
    let mut forest = Forest::new(0.0, &[nodes])?;
    let overall = target.iter().filter(|flag| **flag).count() as f64 / target.len().max(1) as f64;
    let mut counts: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (row, flag) in target.iter().enumerate() {
        let entry = counts.entry(forest.leaf(features.row(row))).or_default();
        entry.0 += 1.0;
        entry.1 += f64::from(u8::from(*flag));
    }
    forest.set_leaf_values(|leaf| {
        let (rows, hits) = counts.get(&leaf).copied().unwrap_or_default();
        Some((hits + SMOOTHING * overall) / (rows + SMOOTHING))
    });
    Ok(forest)
}

fn mean(features: &Matrix, column: usize) -> f64 {
    let seen = || {
        (0..features.rows)
            .map(|row| features.row(row)[column])
            .filter(|value| !value.is_nan())
    };
    let mean = ratchet_model::metrics::mean(seen());
    if mean.is_nan() { 0.0 } else { mean }
}

fn flatten(node: &LinfaNode<f64, bool>, means: &[f64], nodes: &mut Tree) -> Result<u32, String> {
    let position = nodes.len();
    nodes.push(TreeNode::Leaf { value: 0.0 });
    let children: Vec<&LinfaNode<f64, bool>> = node.children().into_iter().flatten().map(AsRef::as_ref).collect();
    if let (false, [left, right]) = (node.is_leaf(), children.as_slice()) {
        let (feature, threshold, _) = node.split();
        let left = flatten(left, means, nodes)?;
        let right = flatten(right, means, nodes)?;
        let missing_left = means.get(feature).is_some_and(|mean| *mean < threshold);
        let feature = u32::try_from(feature).map_err(|_| "too many features".to_owned())?;
        nodes[position] = TreeNode::Split {
            feature,
            threshold,
            left,
            right,
            missing_left,
        };
    }
    u32::try_from(position).map_err(|_| "a tree has too many nodes".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn leaves_hold_probabilities_and_gaps_are_no_panic() {
        let mut values = Vec::new();
        let mut target = Vec::new();
        for row in 0..400 {
            let x = f64::from(row % 20);
            values.extend([if row % 37 == 0 { f64::NAN } else { x }, f64::from(row % 3)]);
            target.push(x > 12.0 && row % 9 != 0);
        }
        let features = Matrix {
            values,
            rows: 400,
            columns: 2,
        };
        let config = TreeConfig {
            depth: 3,
            leaf_rows: 10,
        };
        let forest = fit_binary(&features, &target, &[1.0; 400], &config).unwrap();
        assert!(forest.validate(2).is_ok());
        let (high, low) = (forest.score(&[18.0, 1.0]), forest.score(&[3.0, 1.0]));
        assert!(high > 0.8 && high < 1.0, "{high}");
        assert!((0.0..0.1).contains(&low), "{low}");
        assert_eq!(forest, fit_binary(&features, &target, &[1.0; 400], &config).unwrap());
    }
}
