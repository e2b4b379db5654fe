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

/// Gains of one instant after the other: each keeps `memory` of the one before it, all together move as much as independent ones of
/// deviation 1. With `noise`, seven tenths of the variance forget everything.
fn gains(random: &mut Random, hours: usize, memory: f64, noise: bool) -> Vec<f64> {
    let mut value = random.normal();
    let share: f64 = if noise { 0.3 } else { 1.0 };
    (0..hours)
        .map(|_| {
            value = memory * value + (1.0 - memory * memory).sqrt() * random.normal();
            share.sqrt() * value + (1.0 - share).sqrt() * random.normal()
        })
        .collect()
}

fn share_of_forecasts(tries: usize, hours: usize, memory: f64, noise: bool, gain: f64) -> usize {
    let mut random = Random::new(17);
    let instants: Vec<i64> = (0..hours as i64).collect();
    share_better(tries, |_| {
        let mut gains = gains(&mut random, hours, memory, noise);
        gains.iter_mut().for_each(|value| *value += gain);
        forecast_effect(&gains, &instants, 6)
            .map_or(Verdict::Inconclusive, |(effect, _)| verdict(&effect, 0.0, 0.5, 60))
    })
}

#[test]
fn forecasts_promote_as_seldom_as_stated_although_neighbors_err_together() {
    for (hours, memory, noise) in [
        (60, 0.5, false),
        (240, 0.8, false),
        (720, 0.9, false),
        (1440, 0.0, false),
        (1440, 0.8, false),
        (1440, 0.9, false),
        (1440, 0.9, true),
    ] {
        let tries = 4_000;
        let wrong = share_of_forecasts(tries, hours, memory, noise, 0.0);
        let behind = if noise { " behind noise" } else { "" };
        hold(
            &format!("Diebold and Mariano, {hours} instants, memory {memory}{behind}"),
            wrong,
            tries,
            LEVEL,
        );
    }
}

/// A test that never promotes would hold every level. The gain is what four of five tries would find if the variance were known.
#[test]
fn forecasts_that_gain_enough_are_promoted() {
    for (hours, memory) in [(240, 0.8), (720, 0.9), (1440, 0.0), (1440, 0.8), (8760, 0.8)] {
        let tries = 500;
        let variance = (1.0 + memory) / (1.0 - memory) / hours as f64;
        let gain = (1.96 + 0.84) * variance.sqrt();
        let found = share_of_forecasts(tries, hours, memory, false, gain) as f64 / tries as f64;
        println!(
            "{hours} instants, memory {memory}: a gain of {gain:.3} deviations is found in {:.0} % of tries",
            found * 100.0
        );
        assert!(found > 0.5, "{found}");
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
            let values = (0..rows).map(|row| Some(format!("{}", row % 12).into())).collect();
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
