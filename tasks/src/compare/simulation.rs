//! How often each test is wrong when there is nothing to find: many made-up comparisons of two models of which none is better. The shares
//! are printed (`--nocapture`) and held against what chance allows at the stated level.

use super::bootstrap::{FEWEST_BLOCKS, Verdict, block_effect, verdict};
use super::correction::Correction;
use super::diebold_mariano::forecast_effect;
use super::slices::{Judged, slice_effects};
use crate::simulate::random::Random;

/// One-sided level of a promotion, in percent.
const LEVEL: f64 = 0.025;

/// Fails if `wrong` of `tries` would come up less than once in a thousand times at this level (normal approximation).
fn hold(what: &str, wrong: usize, tries: usize, level: f64) {
    let share = wrong as f64 / tries as f64;
    let most = level + 3.09 * (level * (1.0 - level) / tries as f64).sqrt();
    println!(
        "{what}: {wrong} of {tries} are wrong, {:.2} %; {:.2} % are stated",
        share * 100.0,
        level * 100.0
    );
    assert!(share <= most, "{what}: {share} is more than {most}");
}

fn share_better(tries: usize, mut once: impl FnMut(u64) -> Verdict) -> usize {
    (0..tries as u64).filter(|seed| once(*seed) == Verdict::Better).count()
}

#[test]
fn blocks_of_days_promote_as_seldom_as_stated() {
    for (days, tries) in [(10, 4_000), (30, 4_000)] {
        let mut random = Random::new(11);
        let wrong = share_better(tries, |seed| {
            let mut gains = Vec::new();
            let mut labels = Vec::new();
            for day in 0..days {
                let common = random.normal();
                let rows = 5 + random.below(20);
                gains.extend((0..rows).map(|_| common + random.normal()));
                labels.extend(std::iter::repeat_n(day, rows));
            }
            block_effect(&gains, &labels, seed).map_or(Verdict::Inconclusive, |effect| {
                verdict(&effect, 0.0, 0.5, FEWEST_BLOCKS)
            })
        });
        hold(&format!("bootstrap of {days} days"), wrong, tries, LEVEL);
    }
}

#[test]
fn forecasts_promote_as_seldom_as_stated_although_neighbors_err_together() {
    let (hours, horizon, tries) = (24 * 60, 6, 2_000);
    // Where neighbors resemble each other as much as hours of weather do, slightly more than stated are promoted.
    for (memory, level) in [(0.0, LEVEL), (0.8, 0.03)] {
        let mut random = Random::new(17);
        let wrong = share_better(tries, |_| {
            let mut value = 0.0;
            let gains: Vec<f64> = (0..hours)
                .map(|_| {
                    value = memory * value + random.normal();
                    value
                })
                .collect();
            let instants: Vec<i64> = (0..hours).collect();
            forecast_effect(&gains, &instants, horizon)
                .map_or(Verdict::Inconclusive, |(effect, _)| verdict(&effect, 0.0, 0.5, 60))
        });
        hold(&format!("Diebold and Mariano, memory {memory}"), wrong, tries, level);
    }
}

#[test]
fn slices_refuse_as_seldom_as_stated_however_many_there_are() {
    let tries = 2_000;
    for correction in [Correction::Holm, Correction::BenjaminiHochberg] {
        let mut random = Random::new(23);
        let wrong = (0..tries).filter(|_| {
            let rows = 1_200;
            let gains: Vec<f64> = (0..rows).map(|_| random.normal()).collect();
            let blocks: Vec<i64> = (0..rows).map(|row| row / 40).collect();
            let values = (0..rows).map(|row| Some(format!("{}", row % 12))).collect();
            let judged = Judged {
                gains: &gains,
                other_losses: &vec![1.0; gains.len()],
                blocks: &blocks,
            };
            let effects = slice_effects(&judged, &[("slice".to_owned(), values)], 50, correction);
            effects.is_ok_and(|effects| effects.len() == 12 && effects.iter().any(|effect| effect.p_worse < 0.05))
        });
        hold(&format!("slices, {correction:?}"), wrong.count(), tries, 0.05);
    }
}
