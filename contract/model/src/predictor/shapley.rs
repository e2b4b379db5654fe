//! Shapley values of a forest's score for one row (Lundberg, Erion, Lee 2018, path-dependent).
//!
//! The game: the players are the features, and what a set of them is worth is the score when a split on any other feature sends
//! the row both ways, weighted by the training rows that went each way. A leaf is then worth its value times a product over the
//! features on its path, whose factor is `one` (does the row go this way?) for a player in the set and `zero` (the share of training
//! rows that did) for one outside. The Shapley value of such a product is an integral over a polynomial (Owen 1972):
//!
//! ```text
//! phi(i) = value * (one(i) - zero(i)) * integral from 0 to 1 of the product over j != i of (one(j) t + zero(j) (1 - t)) dt
//! ```
//!
//! Gauss-Legendre quadrature is exact for it up to rounding, all of its terms are positive, and so deep paths lose no digits as
//! they do where TreeSHAP takes a feature out of its sum of subset weights.

use super::forest::{Forest, LEAF, MISSING_LEFT};
use crate::arithmetic::cos;

/// What a forest needs to be explained, row after row.
#[derive(Debug)]
pub struct ForestShapley<'a> {
    forest: &'a Forest,
    covers: &'a [u32],
    /// Points between 0 and 1 and their weights.
    quadrature: Vec<(f64, f64)>,
}

/// A feature on the way to a node.
#[derive(Clone, Copy, Debug)]
struct Step {
    feature: u32,
    /// 1 if the row goes this way wherever the path asks for the feature, else 0.
    one: f64,
    /// Share of the training rows that went this way.
    zero: f64,
}

struct Walk<'a, 'b> {
    shapley: &'b ForestShapley<'a>,
    features: &'b [f64],
    path: Vec<Step>,
    /// Product over the path at each point of the quadrature, a run of points for each level.
    products: Vec<f64>,
    base: f64,
    values: &'b mut [f64],
}

impl<'a> ForestShapley<'a> {
    /// None if the forest does not know how many training rows its nodes saw.
    pub fn new(forest: &'a Forest) -> Option<ForestShapley<'a>> {
        let covers = forest.covers.as_deref()?;
        // As many points as make polynomials of one degree less than the features on the longest path exact.
        let points = forest.depth().div_ceil(2).max(1);
        Some(ForestShapley {
            forest,
            covers,
            quadrature: gauss_legendre(points),
        })
    }

    /// Adds each feature's contribution to `values` and returns the score of a row of which nothing is known.
    pub fn explain(&self, features: &[f64], values: &mut [f64]) -> f64 {
        let mut walk = Walk {
            shapley: self,
            features,
            path: Vec::new(),
            products: vec![1.0; self.quadrature.len()],
            base: self.forest.base,
            values,
        };
        for root in &self.forest.roots {
            walk.visit(*root as usize);
        }
        walk.base
    }
}

impl Walk<'_, '_> {
    fn visit(&mut self, position: usize) {
        let node = self.shapley.forest.nodes[position];
        if node.feature == LEAF {
            return self.leaf(node.number);
        }
        let value = self.features[node.feature as usize];
        let goes_left = match value.is_nan() {
            true => node.right & MISSING_LEFT != 0,
            false => value < node.number,
        };
        let right = (node.right & !MISSING_LEFT) as usize;
        for (child, taken) in [(position + 1, goes_left), (right, !goes_left)] {
            let rows = f64::from(self.shapley.covers[position]);
            // Where no training row ever came, both ways are as likely.
            let share = match rows {
                0.0 => 0.5,
                rows => f64::from(self.shapley.covers[child]) / rows,
            };
            self.descend(child, node.feature, f64::from(u8::from(taken)), share);
        }
    }

    /// Visits a child with its split added to the path, and takes it off again.
    fn descend(&mut self, child: usize, feature: u32, one: f64, zero: f64) {
        let before = self.path.iter().position(|step| step.feature == feature);
        let old = before.map_or(
            Step {
                feature,
                one: 1.0,
                zero: 1.0,
            },
            |place| self.path[place],
        );
        let new = Step {
            feature,
            one: old.one * one,
            zero: old.zero * zero,
        };
        // No set of features brings the row here.
        if new.one == 0.0 && new.zero == 0.0 {
            return;
        }
        let points = self.shapley.quadrature.len();
        let level = self.products.len() - points;
        for (point, (t, _)) in self.shapley.quadrature.iter().enumerate() {
            let product = self.products[level + point] / old.at(*t) * new.at(*t);
            self.products.push(product);
        }
        match before {
            Some(place) => self.path[place] = new,
            None => self.path.push(new),
        }
        self.visit(child);
        match before {
            Some(place) => self.path[place] = old,
            None => drop(self.path.pop()),
        }
        self.products.truncate(level + points);
    }

    fn leaf(&mut self, value: f64) {
        let quadrature = &self.shapley.quadrature;
        let products = &self.products[self.products.len() - quadrature.len()..];
        for step in &self.path {
            let others = quadrature.iter().zip(products);
            let integral: f64 = others
                .map(|((t, weight), product)| weight * product / step.at(*t))
                .sum();
            self.values[step.feature as usize] += value * (step.one - step.zero) * integral;
        }
        self.base += value * self.path.iter().map(|step| step.zero).product::<f64>();
    }
}

impl Step {
    /// Its factor where a share `t` of the features is known. Positive between 0 and 1.
    fn at(self, t: f64) -> f64 {
        self.one * t + self.zero * (1.0 - t)
    }
}

/// Points and weights on the interval from 0 to 1, by Newton's method from Chebyshev's points (Abramowitz and Stegun, 25.4.29).
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let count = points as f64;
    (0..points)
        .map(|point| {
            let mut x = cos(std::f64::consts::PI * (point as f64 + 0.75) / (count + 0.5));
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut before, mut current) = (1.0, x);
                for degree in 2..=points {
                    let degree = degree as f64;
                    let next = ((2.0 * degree - 1.0) * x * current - (degree - 1.0) * before) / degree;
                    (before, current) = (current, next);
                }
                slope = count * (x * current - before) / (x * x - 1.0);
                let step = current / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            ((1.0 + x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::Matrix;
    use crate::predictor::{Tree, TreeNode};

    #[test]
    fn quadrature_integrates_powers_exactly() {
        for points in 1..40 {
            for power in 0..2 * points as i32 {
                let found: f64 = gauss_legendre(points)
                    .iter()
                    .map(|(t, weight)| weight * t.powi(power))
                    .sum();
                let exact = 1.0 / f64::from(power + 1);
                assert!((found - exact).abs() < 1e-13, "{points} points, power {power}: {found}");
            }
        }
    }

    /// Numbers that look random and follow from a seed.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self, below: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % below
        }

        fn value(&mut self) -> f64 {
            match self.next(8) {
                0 => f64::NAN,
                _ => self.next(1000) as f64 / 10.0,
            }
        }
    }

    fn grow(numbers: &mut Numbers, features: u64, depth: u64, tree: &mut Tree) -> u32 {
        let position = tree.len();
        tree.push(TreeNode::Leaf {
            value: numbers.next(2000) as f64 / 10.0 - 100.0,
        });
        if depth > 0 && numbers.next(5) > 0 {
            let left = grow(numbers, features, depth - 1, tree);
            let right = grow(numbers, features, depth - 1, tree);
            tree[position] = TreeNode::Split {
                feature: numbers.next(features) as u32,
                threshold: numbers.next(1000) as f64 / 10.0,
                left,
                right,
                missing_left: numbers.next(2) == 0,
            };
        }
        position as u32
    }

    fn matrix(numbers: &mut Numbers, rows: usize, columns: usize) -> Matrix {
        let values = (0..rows * columns).map(|_| numbers.value()).collect();
        Matrix { values, rows, columns }
    }

    /// What the features in `known` are worth, by the definition.
    fn worth(forest: &Forest, position: usize, row: &[f64], known: u32) -> f64 {
        let covers = forest.covers.as_ref().unwrap();
        let node = forest.nodes[position];
        if node.feature == LEAF {
            return node.number;
        }
        let children = [position + 1, (node.right & !MISSING_LEFT) as usize];
        let value = row[node.feature as usize];
        let left = if value.is_nan() {
            node.right & MISSING_LEFT != 0
        } else {
            value < node.number
        };
        if known & (1 << node.feature) != 0 {
            return worth(forest, children[usize::from(!left)], row, known);
        }
        let rows = f64::from(covers[position]);
        let shares = children.map(|child| {
            if rows == 0.0 {
                0.5
            } else {
                f64::from(covers[child]) / rows
            }
        });
        children
            .iter()
            .zip(shares)
            .map(|(child, share)| share * worth(forest, *child, row, known))
            .sum()
    }

    /// Shapley values by the sum over all subsets, and the worth of none.
    fn brute_force(forest: &Forest, row: &[f64]) -> (Vec<f64>, f64) {
        let count = row.len() as u32;
        let value = |known: u32| {
            let trees = forest
                .roots
                .iter()
                .map(|root| worth(forest, *root as usize, row, known));
            forest.base + trees.sum::<f64>()
        };
        let factorial = |number: u32| (1..=number).map(f64::from).product::<f64>();
        let contribution = |feature: u32| {
            (0..1_u32 << count)
                .filter(|known| known & (1 << feature) == 0)
                .map(|known| {
                    let size = known.count_ones();
                    let weight = factorial(size) * factorial(count - size - 1) / factorial(count);
                    weight * (value(known | (1 << feature)) - value(known))
                })
                .sum()
        };
        ((0..count).map(contribution).collect(), value(0))
    }

    proptest! {
        #[test]
        fn contributions_are_the_shapley_values_by_definition(seed in any::<u64>(), features in 1_usize..7, depth in 0_u64..7) {
            let mut numbers = Numbers(seed);
            let trees: Vec<Tree> = (0..3)
                .map(|_| {
                    let mut tree = Tree::new();
                    grow(&mut numbers, features as u64, depth, &mut tree);
                    tree
                })
                .collect();
            let mut forest = Forest::new(numbers.next(100) as f64, &trees).unwrap();
            // Few rows, so that some nodes see none.
            forest.count_covers(&matrix(&mut numbers, 25, features));
            prop_assert!(forest.validate(features).is_ok());
            let shapley = ForestShapley::new(&forest).unwrap();
            let rows = matrix(&mut numbers, 4, features);
            for row in (0..4).map(|row| rows.row(row)) {
                let mut found = vec![0.0; features];
                let base = shapley.explain(row, &mut found);
                let (expected, nothing_known) = brute_force(&forest, row);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
                }
                prop_assert!((base - nothing_known).abs() < 1e-9);
                prop_assert!((base + found.iter().sum::<f64>() - forest.score(row)).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_path_of_forty_features_still_adds_up() {
        let depth = 40;
        let mut tree = Tree::new();
        for level in 0..depth {
            let position = tree.len() as u32;
            tree.push(TreeNode::Split {
                feature: level,
                threshold: 50.0,
                left: position + 1,
                right: position + 2,
                missing_left: true,
            });
            tree.push(TreeNode::Leaf {
                value: f64::from(level * level),
            });
        }
        tree.push(TreeNode::Leaf { value: -1000.0 });
        let mut forest = Forest::new(3.0, &[tree]).unwrap();
        let mut numbers = Numbers(5);
        // Most rows go far down.
        let values = (0..5000 * depth)
            .map(|_| 47.0 + numbers.next(1000) as f64 / 10.0)
            .collect();
        forest.count_covers(&Matrix {
            values,
            rows: 5000,
            columns: depth as usize,
        });
        let mut found = vec![0.0; depth as usize];
        let row = vec![99.0; depth as usize];
        let base = ForestShapley::new(&forest).unwrap().explain(&row, &mut found);
        assert!((base + found.iter().sum::<f64>() - forest.score(&row)).abs() < 1e-9);
    }

    #[test]
    fn without_covers_there_is_no_explanation() {
        let forest = Forest::new(0.0, &[vec![TreeNode::Leaf { value: 1.0 }]]).unwrap();
        assert!(ForestShapley::new(&forest).is_none());
    }
}
