//! What stands under `search` of `train.model`.

use ratchet_model::arithmetic::{exp, ln};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::BoostingConfig;

/// How better settings of boosting are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SearchConfig {
    /// Every setting that is drawn is tried on all folds with all rows.
    Random(RandomSearch),
    /// Many settings are tried on few rows; the best go on to more, until the last are tried on all (Jamieson and Talwalkar 2016).
    Halving(HalvingSearch),
}

/// Random search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomSearch {
    /// Settings that are drawn.
    #[serde(default = "default_trials")]
    pub trials: usize,
    /// Folds on which each is judged: rolling origins where rows have a time, else parts of the keys.
    #[serde(default = "default_folds")]
    pub folds: usize,
    /// What is drawn.
    pub boosting: BoostingSpace,
}

/// Successive halving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HalvingSearch {
    /// Settings that are drawn.
    #[serde(default = "default_halving_trials")]
    pub trials: usize,
    /// Folds on which each is judged: rolling origins where rows have a time, else parts of the keys.
    #[serde(default = "default_folds")]
    pub folds: usize,
    /// One in so many goes on to the next round, which has so many times the rows.
    #[serde(default = "default_factor")]
    pub factor: usize,
    /// What is drawn.
    pub boosting: BoostingSpace,
}

fn default_trials() -> usize {
    20
}

fn default_halving_trials() -> usize {
    27
}

fn default_folds() -> usize {
    3
}

fn default_factor() -> usize {
    3
}

/// Ranges `[least, most]` of boosting's settings. One without a range stays as in the first `boosting` candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BoostingSpace {
    /// Number of trees, drawn evenly over its logarithm.
    pub trees: Option<[f64; 2]>,
    /// Step of each tree, drawn evenly over its logarithm.
    pub learning_rate: Option<[f64; 2]>,
    /// Leaves of a tree at most, drawn evenly over its logarithm.
    pub leaves: Option<[f64; 2]>,
    /// Nodes between root and leaf at most.
    pub depth: Option<[f64; 2]>,
    /// Share of the rows that a tree sees.
    pub row_share: Option<[f64; 2]>,
    /// Share of the features that a tree sees.
    pub feature_share: Option<[f64; 2]>,
    /// L2 penalty of leaf values, drawn evenly over its logarithm.
    pub l2: Option<[f64; 2]>,
    /// Weight of the rows in a leaf at least, drawn evenly over its logarithm.
    pub leaf_weight: Option<[f64; 2]>,
}

impl SearchConfig {
    /// Number of settings, number of folds, and the factor between rounds (none: one round).
    pub fn sizes(&self) -> (usize, usize, Option<usize>) {
        match self {
            SearchConfig::Random(search) => (search.trials, search.folds, None),
            SearchConfig::Halving(search) => (search.trials, search.folds, Some(search.factor)),
        }
    }

    /// What is drawn.
    pub fn space(&self) -> &BoostingSpace {
        match self {
            SearchConfig::Random(search) => &search.boosting,
            SearchConfig::Halving(search) => &search.boosting,
        }
    }

    /// What is wrong with it, and the remedy.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        let (trials, folds, factor) = self.sizes();
        if !(2..=1000).contains(&trials) || !(2..=20).contains(&folds) {
            let message = format!("a search of {trials} settings on {folds} folds");
            return Some((message, "draw 2 to 1000 `trials` and judge them on 2 to 20 `folds`"));
        }
        if factor.is_some_and(|factor| !(2..=10).contains(&factor)) {
            let message = "`factor` is not from 2 to 10".to_owned();
            return Some((message, "3 lets one setting of three go on to three times the rows"));
        }
        let limits = self.space().limits();
        if limits.iter().all(|limits| limits.range.is_none()) {
            let message = "the search draws nothing".to_owned();
            return Some((message, "give a range, such as `learning_rate: [0.02, 0.1]`"));
        }
        for Limits {
            name,
            range,
            least,
            most,
        } in limits
        {
            if let Some([from, to]) = range
                && !(from >= least && to <= most && from <= to)
            {
                let message = format!("the range [{from}, {to}] of `{name}` does not lie within {least} to {most}");
                return Some((message, "write the lower end first"));
            }
        }
        None
    }

    /// Settings drawn from `random`, which gives numbers from 0 to 1.
    pub fn draw(&self, base: &BoostingConfig, mut random: impl FnMut() -> f64) -> BoostingConfig {
        let space = self.space();
        // Each setting takes its number whether it has a range or not, so that a range changes no other setting.
        let mut even = |range: Option<[f64; 2]>| {
            let share = random();
            range.map(|[from, to]| from + share * (to - from))
        };
        let logarithm = |range: Option<[f64; 2]>| range.map(|ends| ends.map(ln));
        let trees = even(logarithm(space.trees)).map(exp);
        let learning_rate = even(logarithm(space.learning_rate)).map(exp);
        let leaves = even(logarithm(space.leaves)).map(exp);
        let depth = even(space.depth);
        let row_share = even(space.row_share);
        let feature_share = even(space.feature_share);
        let l2 = even(logarithm(space.l2)).map(exp);
        let leaf_weight = even(logarithm(space.leaf_weight)).map(exp);
        BoostingConfig {
            trees: trees.map_or(base.trees, |value| value.round() as usize),
            learning_rate: learning_rate.map_or(base.learning_rate, |value| value as f32),
            leaves: leaves.map_or(base.leaves, |value| value.round() as usize),
            depth: depth.map_or(base.depth, |value| value.round() as usize),
            row_share: row_share.map_or(base.row_share, |value| value as f32),
            feature_share: feature_share.unwrap_or(base.feature_share),
            l2: l2.map_or(base.l2, |value| value as f32),
            leaf_weight: leaf_weight.map_or(base.leaf_weight, |value| value as f32),
            ..base.clone()
        }
    }
}

/// What may stand in a range.
struct Limits {
    name: &'static str,
    range: Option<[f64; 2]>,
    least: f64,
    most: f64,
}

impl BoostingSpace {
    /// Each range with its name and the ends that make sense.
    fn limits(&self) -> [Limits; 8] {
        let limits = |name, range, least, most| Limits {
            name,
            range,
            least,
            most,
        };
        [
            limits("trees", self.trees, 1.0, 10_000.0),
            limits("learning_rate", self.learning_rate, 1e-4, 1.0),
            limits("leaves", self.leaves, 2.0, 4_096.0),
            limits("depth", self.depth, 1.0, 64.0),
            limits("row_share", self.row_share, 0.05, 1.0),
            limits("feature_share", self.feature_share, 0.05, 1.0),
            limits("l2", self.l2, 1e-6, 1e6),
            limits("leaf_weight", self.leaf_weight, 1e-6, 1e6),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(space: BoostingSpace) -> SearchConfig {
        SearchConfig::Random(RandomSearch {
            trials: 20,
            folds: 3,
            boosting: space,
        })
    }

    #[test]
    fn draws_keep_to_their_ranges_and_leave_the_rest_alone() {
        let config = search(BoostingSpace {
            learning_rate: Some([0.01, 0.1]),
            leaves: Some([15.0, 127.0]),
            ..BoostingSpace::default()
        });
        assert_eq!(config.problem(), None);
        let base = BoostingConfig::default();
        for share in [0.0, 0.37, 1.0] {
            let drawn = config.draw(&base, || share);
            assert!((0.0099..=0.1001).contains(&drawn.learning_rate), "{drawn:?}");
            assert!((15..=127).contains(&drawn.leaves), "{drawn:?}");
            assert_eq!((drawn.trees, drawn.l2), (base.trees, base.l2));
        }
        assert_eq!(config.draw(&base, || 0.5).learning_rate, 0.031_622_775);
    }

    #[test]
    fn a_range_that_cannot_be_drawn_from_is_named() {
        let said = |space| search(space).problem().map(|(message, _)| message);
        assert_eq!(
            said(BoostingSpace::default()).as_deref(),
            Some("the search draws nothing")
        );
        let upside_down = BoostingSpace {
            leaves: Some([60.0, 20.0]),
            ..BoostingSpace::default()
        };
        assert!(said(upside_down).is_some_and(|message| message.contains("`leaves`")));
        let zero = BoostingSpace {
            learning_rate: Some([0.0, 0.1]),
            ..BoostingSpace::default()
        };
        assert!(said(zero).is_some_and(|message| message.contains("[0, 0.1]")));
    }
}
