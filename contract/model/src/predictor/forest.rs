//! Trees in flat arrays. A node is 16 bytes: single-row latency is what serving exists for.

use crate::features::Matrix;

/// Rows that go through one tree after the other: few enough to stay in the nearest cache, as each tree does meanwhile.
const BLOCK: usize = 64;

/// Rows, or trees, that are gone through side by side: while one walk waits for its node, the others move.
const LANES: usize = 8;

/// Marks a leaf in [`TreeNode::feature`].
pub const LEAF: u32 = u32::MAX;

/// The highest number of nodes between a root and a leaf that a bundle may hold.
const DEEPEST: usize = 512;

/// A node as training hands it over; children are positions in the same tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TreeNode {
    /// Ends here with this value.
    Leaf {
        /// Added to the score.
        value: f64,
    },
    /// Goes left where the feature is below the threshold.
    Split {
        /// Position of the feature.
        feature: u32,
        /// Below goes left, the rest right.
        threshold: f64,
        /// Position of the left child; greater than this node's.
        left: u32,
        /// Position of the right child; greater than this node's.
        right: u32,
        /// Where a missing value goes.
        missing_left: bool,
    },
}

/// One tree, its root first.
pub type Tree = Vec<TreeNode>;

/// `right` of an inner node; `left` is found by `LEFT_MISSING` in its top bit.
pub(super) const MISSING_LEFT: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// Threshold of a split, value of a leaf.
    pub(super) number: f64,
    /// Feature of a split, or [`LEAF`].
    pub(super) feature: u32,
    /// Position of the right child; the left one follows its parent. The top bit says where missing values go.
    pub(super) right: u32,
}

/// A sum of trees over a base score.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    pub(super) base: f64,
    pub(super) nodes: Vec<Node>,
    pub(super) roots: Vec<u32>,
    /// How many training rows came to each node; only explanations need it.
    pub(super) covers: Option<Vec<u32>>,
}

/// The arrays of a forest, as stored in a bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForestArrays {
    /// Base score.
    pub base: f64,
    /// Threshold of a split, value of a leaf.
    pub numbers: Vec<f64>,
    /// Feature of a split, `u32::MAX` for a leaf.
    pub features: Vec<u32>,
    /// Position of the right child, the top bit set where missing values go left.
    pub rights: Vec<u32>,
    /// Position of each tree's root.
    pub roots: Vec<u32>,
    /// Training rows that came to each node; bundles of earlier programs lack them.
    pub covers: Option<Vec<u32>>,
}

impl Forest {
    /// Lays trees out so that a left child follows its parent.
    ///
    /// Fails on trees that are not trees: a child that is out of range, its own ancestor, or has two parents.
    pub fn new(base: f64, trees: &[Tree]) -> Result<Forest, String> {
        let mut forest = Forest {
            base,
            nodes: Vec::new(),
            roots: Vec::with_capacity(trees.len()),
            covers: None,
        };
        for (number, tree) in trees.iter().enumerate() {
            let root = forest.nodes.len();
            forest
                .roots
                .push(u32::try_from(root).map_err(|_| "too many nodes".to_owned())?);
            forest
                .lay_out(tree, 0, 0)
                .map_err(|problem| format!("tree {number}: {problem}"))?;
            if forest.nodes.len() - root > tree.len() {
                return Err(format!("tree {number}: a node has two parents"));
            }
        }
        if forest.nodes.len() >= MISSING_LEFT as usize {
            return Err("too many nodes".to_owned());
        }
        Ok(forest)
    }

    fn lay_out(&mut self, tree: &Tree, node: usize, depth: usize) -> Result<u32, String> {
        if depth > DEEPEST || self.nodes.len() > (MISSING_LEFT as usize) {
            return Err("it is too deep or holds a cycle".to_owned());
        }
        let position = self.nodes.len();
        match tree.get(node) {
            None => return Err(format!("node {node} is not there")),
            Some(TreeNode::Leaf { value }) => self.nodes.push(Node {
                number: *value,
                feature: LEAF,
                right: 0,
            }),
            Some(TreeNode::Split {
                feature,
                threshold,
                left,
                right,
                missing_left,
            }) => {
                if (*left as usize) <= node || (*right as usize) <= node {
                    return Err(format!("a child of node {node} does not come after it"));
                }
                self.nodes.push(Node {
                    number: *threshold,
                    feature: *feature,
                    right: 0,
                });
                self.lay_out(tree, *left as usize, depth + 1)?;
                let right = self.lay_out(tree, *right as usize, depth + 1)?;
                self.nodes[position].right = if *missing_left { right | MISSING_LEFT } else { right };
            }
        }
        u32::try_from(position).map_err(|_| "too many nodes".to_owned())
    }

    /// The base score plus the value of each tree's leaf, in tree order.
    pub fn score(&self, features: &[f64]) -> f64 {
        let mut score = self.base;
        let mut trees = self.roots.chunks_exact(LANES);
        for roots in &mut trees {
            let leaves = self.descend_together(std::array::from_fn(|tree| roots[tree] as usize), [features; LANES]);
            leaves.into_iter().for_each(|leaf| score += self.nodes[leaf].number);
        }
        for root in trees.remainder() {
            score += self.nodes[self.descend(*root as usize, features)].number;
        }
        score
    }

    /// The scores of all rows, each to the bit that [`Forest::score`] gives.
    pub fn scores(&self, features: &Matrix) -> Vec<f64> {
        if features.rows < LANES {
            return (0..features.rows).map(|row| self.score(features.row(row))).collect();
        }
        let mut scores = vec![self.base; features.rows];
        self.each_leaf(features, |row, leaf| scores[row] += self.nodes[leaf].number);
        scores
    }

    /// Tells the leaf of every row in every tree; each row meets the trees in their order.
    fn each_leaf(&self, features: &Matrix, mut tell: impl FnMut(usize, usize)) {
        for first in (0..features.rows).step_by(BLOCK) {
            let end = features.rows.min(first + BLOCK);
            for root in &self.roots {
                for lane in (first..end).step_by(LANES) {
                    if lane + LANES > end {
                        (lane..end).for_each(|row| tell(row, self.descend(*root as usize, features.row(row))));
                        continue;
                    }
                    let rows = std::array::from_fn(|step| features.row(lane + step));
                    let leaves = self.descend_together([*root as usize; LANES], rows).into_iter();
                    leaves.enumerate().for_each(|(step, leaf)| tell(lane + step, leaf));
                }
            }
        }
    }

    /// The position of the leaf that a row ends in, for a forest of one tree.
    pub fn leaf(&self, features: &[f64]) -> usize {
        self.roots
            .first()
            .map_or(0, |root| self.descend(*root as usize, features))
    }

    /// The leaf below a node that a row ends in.
    fn descend(&self, mut position: usize, features: &[f64]) -> usize {
        while let Some(next) = self.step(position, features) {
            position = next;
        }
        position
    }

    /// The leaves below several nodes, each for a row of its own.
    fn descend_together(&self, mut positions: [usize; LANES], rows: [&[f64]; LANES]) -> [usize; LANES] {
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for (position, row) in positions.iter_mut().zip(rows) {
                if let Some(next) = self.step(*position, row) {
                    *position = next;
                    is_moving = true;
                }
            }
        }
        positions
    }

    /// The child that a row goes to; none below a leaf.
    #[inline]
    fn step(&self, position: usize, features: &[f64]) -> Option<usize> {
        let node = self.nodes[position];
        if node.feature == LEAF {
            return None;
        }
        let value = features[node.feature as usize];
        // Without a branch: which way a row goes cannot be foreseen.
        let left = (value < node.number) | (value.is_nan() & (node.right & MISSING_LEFT != 0));
        Some(if left {
            position + 1
        } else {
            (node.right & !MISSING_LEFT) as usize
        })
    }

    /// Replaces the values of leaves by position.
    pub fn set_leaf_values(&mut self, value: impl Fn(usize) -> Option<f64>) {
        for (position, node) in self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.feature == LEAF)
        {
            if let Some(value) = value(position) {
                node.number = value;
            }
        }
    }

    /// Counts the rows that come to each node. Explanations weigh the two ways of a split by these counts.
    pub fn count_covers(&mut self, features: &Matrix) {
        let mut covers = vec![0; self.nodes.len()];
        self.each_leaf(features, |_, leaf| covers[leaf] += 1);
        // Children stand behind their parents.
        for (position, node) in self.nodes.iter().enumerate().rev() {
            if node.feature != LEAF {
                covers[position] = covers[position + 1] + covers[(node.right & !MISSING_LEFT) as usize];
            }
        }
        self.covers = Some(covers);
    }

    /// Training rows that came to each node, if they were counted.
    pub fn covers(&self) -> Option<&[u32]> {
        self.covers.as_deref()
    }

    /// The most splits between a root and a leaf.
    pub(super) fn depth(&self) -> usize {
        // In layout order: the level of each right child that is still to come, the nearest last.
        let mut open: Vec<usize> = Vec::new();
        let (mut level, mut deepest) = (0, 0);
        for node in &self.nodes {
            if node.feature == LEAF {
                deepest = deepest.max(level);
                level = open.pop().unwrap_or(0);
            } else {
                level += 1;
                open.push(level);
            }
        }
        deepest
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// See [`super::Predictor::memory_bytes`].
    pub fn memory_bytes(&self) -> usize {
        let covers = self.covers.as_ref().map_or(0, Vec::len);
        self.nodes.len() * size_of::<Node>() + (self.roots.len() + covers) * 4
    }

    /// The arrays to store.
    pub fn to_arrays(&self) -> ForestArrays {
        ForestArrays {
            base: self.base,
            numbers: self.nodes.iter().map(|node| node.number).collect(),
            features: self.nodes.iter().map(|node| node.feature).collect(),
            rights: self.nodes.iter().map(|node| node.right).collect(),
            roots: self.roots.clone(),
            covers: self.covers.clone(),
        }
    }

    /// From stored arrays. [`Forest::validate`] has to follow before the first score.
    pub fn from_arrays(arrays: ForestArrays) -> Result<Forest, String> {
        let ForestArrays {
            base,
            numbers,
            features,
            rights,
            roots,
            covers,
        } = arrays;
        if numbers.len() != features.len() || numbers.len() != rights.len() {
            return Err("its arrays differ in length".to_owned());
        }
        let nodes = numbers.into_iter().zip(features).zip(rights);
        let nodes = nodes
            .map(|((number, feature), right)| Node { number, feature, right })
            .collect();
        Ok(Forest {
            base,
            nodes,
            roots,
            covers,
        })
    }

    /// See [`super::Predictor::validate`]. A right child lies behind its parent's left subtree and before the next
    /// tree, so that every walk goes forward and ends.
    pub fn validate(&self, features: usize) -> Result<(), String> {
        if !self.base.is_finite() || self.nodes.iter().any(|node| !node.number.is_finite()) {
            return Err("a threshold or value is not finite".to_owned());
        }
        for (tree, root) in self.roots.iter().enumerate() {
            let start = *root as usize;
            let end = self.roots.get(tree + 1).map_or(self.nodes.len(), |next| *next as usize);
            if start >= end || end > self.nodes.len() || (tree == 0 && start != 0) {
                return Err(format!("tree {tree} has no nodes"));
            }
            let last = self
                .check_subtree(start, end, features)
                .map_err(|problem| format!("tree {tree}: {problem}"))?;
            if last != end {
                return Err(format!("tree {tree} has nodes that nothing leads to"));
            }
        }
        if self.roots.is_empty() && !self.nodes.is_empty() {
            return Err("it has nodes but no tree".to_owned());
        }
        self.check_covers()
    }

    /// Each row that comes to a split goes on to one of its children. Needs the structure to be whole.
    fn check_covers(&self) -> Result<(), String> {
        let Some(covers) = &self.covers else { return Ok(()) };
        if covers.len() != self.nodes.len() {
            return Err("its counts of training rows differ from its nodes in number".to_owned());
        }
        for (position, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.feature != LEAF) {
            let right = (node.right & !MISSING_LEFT) as usize;
            if covers[position + 1].checked_add(covers[right]) != Some(covers[position]) {
                return Err(format!(
                    "the children of node {position} saw other training rows than itself"
                ));
            }
        }
        Ok(())
    }

    /// Walks a subtree in layout order and returns the position behind it.
    fn check_subtree(&self, start: usize, end: usize, features: usize) -> Result<usize, String> {
        // Right children that are still to come, the nearest last.
        let mut open: Vec<usize> = Vec::new();
        let mut position = start;
        loop {
            if position >= end {
                return Err(format!("node {position} lies outside of its tree"));
            }
            let node = self.nodes[position];
            position += 1;
            if node.feature != LEAF {
                if node.feature as usize >= features {
                    return Err(format!(
                        "node {} reads feature {} of {features}",
                        position - 1,
                        node.feature
                    ));
                }
                open.push((node.right & !MISSING_LEFT) as usize);
                if open.len() > DEEPEST {
                    return Err("it is too deep".to_owned());
                }
                continue;
            }
            match open.pop() {
                None => return Ok(position),
                Some(right) if right == position => {}
                Some(right) => return Err(format!("a right child should be node {position}, but is {right}")),
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn split(feature: u32, threshold: f64, left: u32, right: u32, missing_left: bool) -> TreeNode {
        TreeNode::Split {
            feature,
            threshold,
            left,
            right,
            missing_left,
        }
    }

    fn leaf(value: f64) -> TreeNode {
        TreeNode::Leaf { value }
    }

    fn forest() -> Forest {
        // Children in any order, as trainers leave them.
        let first = vec![
            split(0, 5.0, 2, 1, true),
            split(1, 1.0, 3, 4, false),
            leaf(1.0),
            leaf(2.0),
            leaf(4.0),
        ];
        let second = vec![leaf(0.5)];
        Forest::new(10.0, &[first, second]).unwrap()
    }

    #[test]
    fn below_goes_left_and_missing_where_it_learnt_to() {
        let forest = forest();
        assert!(forest.validate(2).is_ok());
        assert_eq!(forest.score(&[4.0, 0.0]), 11.5);
        assert_eq!(forest.score(&[5.0, 0.0]), 12.5);
        assert_eq!(forest.score(&[5.0, 1.0]), 14.5);
        assert_eq!(forest.score(&[f64::NAN, 9.0]), 11.5);
        assert_eq!(forest.score(&[9.0, f64::NAN]), 14.5);
    }

    #[test]
    fn arrays_bring_back_the_same_forest() {
        let forest = forest();
        assert_eq!(Forest::from_arrays(forest.to_arrays()).unwrap(), forest);
    }

    #[test]
    fn every_kind_of_damage_is_refused() {
        let damage = |change: &dyn Fn(&mut ForestArrays)| {
            let mut arrays = forest().to_arrays();
            change(&mut arrays);
            Forest::from_arrays(arrays).and_then(|forest| forest.validate(2))
        };
        assert!(damage(&|_| ()).is_ok());
        assert!(
            damage(&|arrays| arrays.features[0] = 2).is_err(),
            "feature out of range"
        );
        assert!(damage(&|arrays| arrays.rights[0] = 0).is_err(), "a cycle");
        assert!(damage(&|arrays| arrays.rights[0] = 99).is_err(), "a child out of range");
        assert!(
            damage(&|arrays| arrays.numbers[1] = f64::NAN).is_err(),
            "a value that is NaN"
        );
        assert!(
            damage(&|arrays| arrays.base = f64::INFINITY).is_err(),
            "an infinite base"
        );
        assert!(
            damage(&|arrays| arrays.roots[1] = 2).is_err(),
            "a root inside another tree"
        );
        assert!(damage(&|arrays| arrays.roots.clear()).is_err(), "no roots");
        assert!(damage(&|arrays| arrays.numbers.truncate(3)).is_err(), "a short array");
    }

    #[test]
    fn covers_are_counted_kept_and_checked() {
        let mut forest = forest();
        let values = vec![4.0, 0.0, 5.0, 0.0, 5.0, 1.0, f64::NAN, 0.0];
        forest.count_covers(&Matrix {
            values,
            rows: 4,
            columns: 2,
        });
        let arrays = forest.to_arrays();
        // Left children follow their parents: split, leaf, split, leaf, leaf; then the second tree.
        assert_eq!(arrays.covers, Some(vec![4, 2, 2, 1, 1, 4]));
        assert_eq!(Forest::from_arrays(arrays.clone()).unwrap(), forest);
        assert_eq!(forest.depth(), 2);
        for covers in [
            vec![4, 2, 2, 1, 1],
            vec![4, 2, 1, 1, 1, 4],
            vec![3, u32::MAX, 4, 2, 2, 4],
        ] {
            let arrays = ForestArrays {
                covers: Some(covers),
                ..arrays.clone()
            };
            assert!(Forest::from_arrays(arrays).unwrap().validate(2).is_err());
        }
    }

    #[test]
    fn trees_with_cycles_are_not_laid_out() {
        assert!(Forest::new(0.0, &[vec![split(0, 1.0, 0, 1, false), leaf(1.0)]]).is_err());
        assert!(Forest::new(0.0, &[vec![split(0, 1.0, 1, 7, false), leaf(1.0)]]).is_err());
    }
}
