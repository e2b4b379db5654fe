//! What a challenger may not lose, however much it gains elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::correction::Correction;
use super::mcnemar::Mcnemar;
use super::slices::SliceEffect;

/// Probabilities below this count as certain.
const LEVEL: f64 = 0.05;

/// What a challenger may not lose. `null` takes a rail down.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardRails {
    /// No slice may be worse off.
    #[serde(default = "default_slices")]
    pub slices: Option<SliceRail>,
    /// How much the calibration error may rise: of intervals the distance between the share of rows that they hold and the share
    /// promised, of probabilities the expected calibration error. Default: by 0.05.
    #[serde(default = "default_calibration")]
    pub calibration: Option<Limit>,
    /// Classes only: false lets a challenger pass whose decisions are wrong more often, and by no accident.
    #[serde(default = "yes")]
    pub decisions: bool,
    /// How many times the champion's time for one row it may take. Both are timed in this process, so that the numbers differ
    /// from run to run; without it nothing is timed.
    #[serde(default)]
    pub latency: Option<Limit>,
    /// How many times the champion's bytes its bundle may have.
    #[serde(default)]
    pub size: Option<Limit>,
}

/// A number that may not be passed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The greatest that is allowed.
    pub at_most: f64,
    /// Only say so.
    #[serde(default)]
    pub warn_only: bool,
}

/// Slices that are looked at one by one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceRail {
    /// Columns whose values make slices. Default: the field of the model's own `slices`, if it has any.
    #[serde(default)]
    pub fields: Vec<String>,
    /// A loss of more than this share of the opponent's is one too many, if it is no accident.
    #[serde(default = "default_worse_by")]
    pub worse_by: f64,
    /// Slices with fewer rows are left out.
    #[serde(default = "default_fewest")]
    pub fewest_rows: usize,
    /// How the number of slices is allowed for.
    #[serde(default)]
    pub correction: Correction,
    /// Only say so.
    #[serde(default)]
    pub warn_only: bool,
}

fn default_slices() -> Option<SliceRail> {
    Some(SliceRail {
        fields: Vec::new(),
        worse_by: default_worse_by(),
        fewest_rows: default_fewest(),
        correction: Correction::default(),
        warn_only: false,
    })
}

fn default_calibration() -> Option<Limit> {
    Some(Limit {
        at_most: 0.05,
        warn_only: false,
    })
}

fn default_worse_by() -> f64 {
    0.1
}

fn default_fewest() -> usize {
    100
}

fn yes() -> bool {
    true
}

impl Default for GuardRails {
    fn default() -> Self {
        Self {
            slices: default_slices(),
            calibration: default_calibration(),
            decisions: yes(),
            latency: None,
            size: None,
        }
    }
}

/// Whether one rail holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RailResult {
    /// `slices`, `calibration`, `decisions`, `latency`, `size`.
    pub rail: String,
    /// True if nothing is lost.
    pub holds: bool,
    /// True if a rail that does not hold is only told.
    pub warn_only: bool,
    /// What was seen, in words.
    pub detail: String,
}

impl RailResult {
    /// True if it keeps the challenger from being better.
    pub fn refuses(&self) -> bool {
        !self.holds && !self.warn_only
    }
}

/// What the rails look at: the challenger first, the champion second.
pub struct Facts<'a> {
    /// Gains per slice.
    pub slices: &'a [SliceEffect],
    /// Calibration errors.
    pub calibration: Option<(f64, f64)>,
    /// Decisions of classes, and the probability of so many wrong ones by chance, where rows of one block are alike.
    pub decisions: Option<(&'a Mcnemar, f64)>,
    /// Seconds for one row.
    pub latency: Option<(f64, f64)>,
    /// Bytes of the bundles.
    pub bytes: (u64, u64),
}

impl GuardRails {
    /// What is wrong with it: pointer, message, remedy.
    pub(super) fn problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut problems = Vec::new();
        if let Some(slices) = &self.slices
            && !(0.0..1.0).contains(&slices.worse_by)
        {
            let message = format!("{} is not a share from 0 to 1", slices.worse_by);
            problems.push(("/slices/worse_by", message, "0.1 means a tenth of the opponent's loss"));
        }
        for (pointer, limit, least, help) in [
            (
                "/calibration/at_most",
                self.calibration,
                0.0,
                "write by how much the error may rise, such as 0.05",
            ),
            (
                "/latency/at_most",
                self.latency,
                1.0,
                "write a multiple of the champion's time, such as 2",
            ),
            (
                "/size/at_most",
                self.size,
                1.0,
                "write a multiple of the champion's size, such as 2",
            ),
        ] {
            if let Some(limit) = limit.filter(|limit| !limit.at_most.is_finite() || limit.at_most < least) {
                problems.push((
                    pointer,
                    format!("{} allows nothing that is sensible", limit.at_most),
                    help,
                ));
            }
        }
        problems
    }

    /// Every rail that stands and can be looked at.
    pub(super) fn check(&self, facts: &Facts<'_>) -> Vec<RailResult> {
        let mut results = Vec::new();
        if let Some(rail) = self.slices.as_ref().filter(|_| !facts.slices.is_empty()) {
            results.push(slices(rail, facts.slices));
        }
        if let (Some(limit), Some((ours, theirs))) = (self.calibration, facts.calibration) {
            results.push(RailResult {
                rail: "calibration".to_owned(),
                holds: ours - theirs <= limit.at_most,
                warn_only: limit.warn_only,
                detail: format!(
                    "calibration error {ours:.3}, the champion's is {theirs:.3}; it may rise by {}",
                    limit.at_most
                ),
            });
        }
        if let Some((mcnemar, p)) = facts.decisions.filter(|_| self.decisions) {
            results.push(RailResult {
                rail: "decisions".to_owned(),
                holds: mcnemar.only_challenger >= mcnemar.only_opponent || p >= LEVEL,
                warn_only: false,
                detail: format!(
                    "alone right on {} rows, the champion on {} (p = {p:.3})",
                    mcnemar.only_challenger, mcnemar.only_opponent
                ),
            });
        }
        if let (Some(limit), Some((ours, theirs))) = (self.latency, facts.latency) {
            let micros = |seconds: f64| seconds * 1e6;
            results.push(RailResult {
                rail: "latency".to_owned(),
                holds: ours <= theirs * limit.at_most,
                warn_only: limit.warn_only,
                detail: format!(
                    "{:.1} us for one row, the champion takes {:.1} us; {} times as long is allowed",
                    micros(ours),
                    micros(theirs),
                    limit.at_most
                ),
            });
        }
        if let Some(limit) = self.size {
            let (ours, theirs) = facts.bytes;
            results.push(RailResult {
                rail: "size".to_owned(),
                holds: ours as f64 <= theirs as f64 * limit.at_most,
                warn_only: limit.warn_only,
                detail: format!(
                    "{ours} bytes, the champion has {theirs}; {} times as many are allowed",
                    limit.at_most
                ),
            });
        }
        results
    }
}

fn slices(rail: &SliceRail, effects: &[SliceEffect]) -> RailResult {
    let worse = effects
        .iter()
        .filter(|effect| effect.gain < -rail.worse_by && effect.p_worse < LEVEL);
    let named: Vec<String> = worse
        .map(|effect| {
            format!(
                "{} = {} loses {:.1} % on {} rows",
                effect.field,
                effect.value,
                -effect.gain * 100.0,
                effect.rows
            )
        })
        .collect();
    let detail = match named.as_slice() {
        [] => format!(
            "none of {} slices surely loses more than {:.0} %",
            effects.len(),
            rail.worse_by * 100.0
        ),
        [one] => format!("{one}, of {} slices", effects.len()),
        [first, rest @ ..] => format!(
            "{first}, and {} more of {} slices lose too much",
            rest.len(),
            effects.len()
        ),
    };
    RailResult {
        rail: "slices".to_owned(),
        holds: named.is_empty(),
        warn_only: rail.warn_only,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(slices: &'a [SliceEffect], decisions: Option<(&'a Mcnemar, f64)>) -> Facts<'a> {
        Facts {
            slices,
            calibration: Some((0.08, 0.02)),
            decisions,
            latency: Some((3e-5, 1e-5)),
            bytes: (100, 90),
        }
    }

    #[test]
    fn each_rail_says_what_it_saw() {
        let slice = |value: &str, gain, p_worse| SliceEffect {
            field: "station".to_owned(),
            value: value.to_owned(),
            rows: 200,
            gain,
            lower: gain - 0.1,
            upper: gain + 0.1,
            p_worse,
        };
        let effects = [slice("a", -0.3, 0.2), slice("b", -0.2, 0.001), slice("c", -0.05, 0.001)];
        let decisions = Mcnemar {
            only_challenger: 5,
            only_opponent: 30,
            p: 0.0001,
            exact: false,
        };
        let limit = |at_most, warn_only| Some(Limit { at_most, warn_only });
        let rails = GuardRails {
            latency: limit(2.0, true),
            size: limit(2.0, false),
            ..GuardRails::default()
        };
        let results = rails.check(&facts(&effects, Some((&decisions, 0.001))));
        let seen: Vec<(&str, bool, bool)> = results
            .iter()
            .map(|result| (result.rail.as_str(), result.holds, result.refuses()))
            .collect();
        assert_eq!(
            seen,
            [
                ("slices", false, true),
                ("calibration", false, true),
                ("decisions", false, true),
                ("latency", false, false),
                ("size", true, false),
            ]
        );
        assert_eq!(results[0].detail, "station = b loses 20.0 % on 200 rows, of 3 slices");
    }

    #[test]
    fn a_rail_that_is_taken_down_says_nothing() {
        let rails: GuardRails =
            serde_json::from_value(serde_json::json!({ "slices": null, "calibration": null, "decisions": false }))
                .unwrap_or_default();
        assert!(rails.check(&facts(&[], None)).is_empty());
    }
}
