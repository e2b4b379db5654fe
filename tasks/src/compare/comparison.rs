//! What a comparison found, as data: the output `comparison`, which promotions and reports read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bootstrap::{Effect, Verdict};
use super::guard_rails::RailResult;
use super::holdout::Uses;
use super::mcnemar::Mcnemar;
use super::slices::SliceEffect;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The new version.
    pub challenger: Challenger,
    /// The version that it met; none if nothing was in production.
    pub champion: Option<Champion>,
    /// The other side, in words.
    pub opponent: String,
    /// The alias that the champion holds.
    pub alias: String,
    /// What it came to.
    pub verdict: Verdict,
    /// True if the challenger is surely worse, or breaks a guard rail.
    pub worse: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// Name of the loss: `mae`, `brier`, `ranked_probability_score`.
    pub loss: String,
    /// How certainty was found.
    pub test: Test,
    /// The gain; none with fewer than two blocks.
    pub effect: Option<Effect>,
    /// Mean loss of the opponent, which shares are of; none without rows.
    pub opponent_loss: Option<f64>,
    /// Gain that was required, as a share of the opponent's loss.
    pub margin: f64,
    /// Smallest gain worth having, as such a share.
    pub worth: f64,
    /// Metrics of both on the same rows.
    pub metrics: Sides,
    /// Whose decisions are right where they differ, for classes.
    pub decisions: Option<Mcnemar>,
    /// What may not be lost, and whether it was.
    pub guard_rails: Vec<RailResult>,
    /// The gain in each slice that was looked at.
    pub slices: Vec<SliceEffect>,
    /// The rows that judged.
    pub holdout: Holdout,
    /// What a block is called, in the plural.
    pub blocks: String,
    /// Rows in the champion's training window.
    pub rows_left_out: usize,
    /// True if the challenger learnt from simulated rows.
    pub simulated: bool,
}

/// The new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// Name of the model.
    pub name: String,
    /// Number, once registered.
    pub version: Option<u64>,
    /// Digest of the bundle.
    pub digest: String,
    /// The last instant that it learnt from; none where rows have no time.
    pub until: Option<String>,
}

/// The version in production.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Champion {
    /// Number.
    pub version: u64,
    /// Digest of the bundle.
    pub digest: String,
    /// The last instant that it learnt from; none where rows have no time.
    pub until: Option<String>,
}

/// How the interval of a gain was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Whole blocks were drawn again and again.
    BlockBootstrap,
    /// Diebold and Mariano's, instant by instant.
    DieboldMariano {
        /// Rows ahead that the answer lies.
        horizon: usize,
        /// Cosines that tell the long-run variance, each a degree of freedom.
        cosines: usize,
    },
}

/// Metrics by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    /// Of the new version.
    pub challenger: BTreeMap<String, f64>,
    /// Of the other side.
    pub opponent: BTreeMap<String, f64>,
}

/// The rows that judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// First instant, or share of the keys.
    pub from: Value,
    /// End, which is not part of it.
    pub until: Value,
    /// How often these rows were looked at before.
    pub uses: Uses,
}

impl Comparison {
    /// `name@version` of the challenger, or its name alone.
    pub fn challenger_name(&self) -> String {
        match self.challenger.version {
            Some(version) => format!("{}@{version}", self.challenger.name),
            None => self.challenger.name.clone(),
        }
    }

    /// `value` of the loss as percent of the opponent's; none if there is no such loss.
    pub fn percent(&self, value: f64) -> Option<f64> {
        let loss = self.opponent_loss.filter(|loss| *loss > 0.0)?;
        Some(value / loss * 100.0)
    }
}
