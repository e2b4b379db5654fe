//! Is one model better than another? Rows of one block (a day, a courier, a cell on the map) are not
//! independent, so blocks are drawn, not rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::simulate::random::Random;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;

/// Fewer blocks than these decide nothing.
pub const FEWEST_BLOCKS: usize = 10;

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The gain is certain enough.
    Better,
    /// A gain worth having is certain enough not to be there.
    NotBetter,
    /// These rows cannot tell.
    Inconclusive,
}

impl Verdict {
    /// The word for it, as in ports and reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::NotBetter => "not_better",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// The gain of the challenger: the mean of the other's loss minus its own, in the unit of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Rows.
    pub rows: usize,
    /// Blocks.
    pub blocks: usize,
    /// Mean gain; positive where the challenger is better.
    pub gain: f64,
    /// Bootstrap standard error of the gain.
    pub standard_error: f64,
    /// Lower end of the two-sided 95 % interval.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// The smallest gain that as many blocks would show in four of five tries.
    pub detectable: f64,
}

/// The gain per row with its interval, by a bootstrap of whole blocks (Kuensch 1989; Cameron, Gelbach and Miller 2008):
/// the standard error of the resampled mean, with the quantile of Student's t at blocks - 1 degrees of freedom. `None`
/// with fewer than two blocks.
pub fn block_effect(gains: &[f64], labels: &[i64], seed: u64) -> Option<Effect> {
    let mut blocks: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (gain, label) in gains.iter().zip(labels) {
        let block = blocks.entry(*label).or_default();
        block.0 += gain;
        block.1 += 1.0;
    }
    let blocks: Vec<(f64, f64)> = blocks.into_values().collect();
    if blocks.len() < 2 {
        return None;
    }
    let mean_of = |sum: (f64, f64)| sum.0 / sum.1;
    let gain = mean_of(
        blocks
            .iter()
            .fold((0.0, 0.0), |sum, block| (sum.0 + block.0, sum.1 + block.1)),
    );
    let mut random = Random::new(seed);
    let means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sum = (0.0, 0.0);
            for _ in 0..blocks.len() {
                let block = blocks[random.below(blocks.len())];
                sum = (sum.0 + block.0, sum.1 + block.1);
            }
            mean_of(sum)
        })
        .collect();
    let center = means.iter().sum::<f64>() / RESAMPLES as f64;
    let variance = means.iter().map(|mean| (mean - center) * (mean - center)).sum::<f64>() / (RESAMPLES as f64 - 1.0);
    // A resample of B blocks varies by (B - 1) / B of what B new blocks would.
    let count = blocks.len() as f64;
    let standard_error = (variance * count / (count - 1.0)).sqrt();
    let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    let reach = student.inverse_cdf(0.975) * standard_error;
    let detectable = reach + student.inverse_cdf(0.8) * standard_error;
    Some(Effect {
        rows: gains.len(),
        blocks: blocks.len(),
        gain,
        standard_error,
        lower: gain - reach,
        upper: gain + reach,
        detectable,
    })
}

/// The verdict: better when the whole interval lies above `margin`; not better when it lies below the smallest gain
/// worth having; inconclusive otherwise, and always with fewer than `fewest` blocks.
pub fn verdict(effect: &Effect, margin: f64, worth: f64, fewest: usize) -> Verdict {
    if effect.blocks < fewest {
        Verdict::Inconclusive
    } else if effect.lower > margin {
        Verdict::Better
    } else if effect.upper < worth.max(margin) {
        Verdict::NotBetter
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Gains of `days` days of 20 rows with a common part per day.
    fn example(random: &mut Random, days: i64, shift: f64) -> (Vec<f64>, Vec<i64>) {
        let mut gains = Vec::new();
        let mut labels = Vec::new();
        for day in 0..days {
            let common = random.normal();
            for _ in 0..20 {
                gains.push(shift + common + random.normal());
                labels.push(day);
            }
        }
        (gains, labels)
    }

    fn of((gains, days): (Vec<f64>, Vec<i64>)) -> Verdict {
        verdict(&block_effect(&gains, &days, 1).unwrap(), 0.0, 0.5, FEWEST_BLOCKS)
    }

    #[test]
    fn a_clear_gain_is_better_and_a_clear_loss_is_not() {
        let mut random = Random::new(12);
        assert_eq!(of(example(&mut random, 30, 2.0)), Verdict::Better);
        assert_eq!(of(example(&mut random, 30, -2.0)), Verdict::NotBetter);
    }

    #[test]
    fn few_days_decide_nothing() {
        let mut random = Random::new(13);
        let (gains, days) = example(&mut random, 9, 5.0);
        assert_eq!(block_effect(&gains[..20], &days[..20], 1), None);
        assert_eq!(of((gains, days)), Verdict::Inconclusive);
    }
}
