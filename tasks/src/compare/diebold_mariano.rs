//! Which of two forecasts is better: Diebold and Mariano (1995) on the mean loss difference.
//!
//! Forecasts of neighboring instants err together: they share what happened in between, and for longer than their horizon
//! where the weather of a week is unusual. What the mean varies by is therefore read off the slow movements of the series alone, as its
//! weights on a few cosines (Lazarus, Lewis, Stock and Watson 2018; Coroneo and Iacone 2020 for forecasts), none of which is quicker
//! than neighbors resemble each other. So few of them follow Student's t with one degree of freedom each, and the interval says so.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use ratchet_model::arithmetic::cos;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::Effect;

/// Below so many stretches of one horizon's length nothing is decided.
pub const FEWEST_HORIZONS: usize = 10;

/// Instants for each cosine, at least. Where neighbors correlate by 0.9, as in an autoregression, they see 97 % of the variance.
const INSTANTS: usize = 100;

/// Horizons for each cosine, at least.
const HORIZONS: usize = 3;

/// Fewer cosines than these say next to nothing about a variance.
const FEWEST_COSINES: usize = 4;

/// The mean gain per instant with its 95 % interval, and the number of cosines that were taken. Gains of one instant are averaged. `None`
/// with fewer than two instants.
pub fn forecast_effect(gains: &[f64], instants: &[i64], horizon: usize) -> Option<(Effect, usize)> {
    let mut by_instant: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (gain, instant) in gains.iter().zip(instants) {
        let sum = by_instant.entry(*instant).or_default();
        *sum = (sum.0 + gain, sum.1 + 1.0);
    }
    let series: Vec<f64> = by_instant.values().map(|(sum, count)| sum / count).collect();
    if series.len() < 2 {
        return None;
    }
    let cosines = (series.len() / INSTANTS.max(HORIZONS * horizon))
        .max(FEWEST_COSINES)
        .min(series.len() - 1);
    let (gain, standard_error) = slow_movements(&series, cosines);
    let student = StudentsT::new(0.0, 1.0, cosines as f64).ok()?;
    let reach = student.inverse_cdf(0.975) * standard_error;
    let effect = Effect {
        rows: gains.len(),
        blocks: series.len(),
        gain,
        standard_error,
        lower: gain - reach,
        upper: gain + reach,
        detectable: reach + student.inverse_cdf(0.8) * standard_error,
    };
    Some((effect, cosines))
}

/// Mean of a series and its standard error: the mean square of the series' weights on the slowest cosines of type II.
fn slow_movements(series: &[f64], cosines: usize) -> (f64, f64) {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let square = |cosine: usize| {
        let angle = |at: usize| PI * cosine as f64 * (at as f64 + 0.5) / count;
        let weight: f64 = series
            .iter()
            .enumerate()
            .map(|(at, value)| (value - mean) * cos(angle(at)))
            .sum();
        weight * weight * 2.0 / count
    };
    let variance = (1..=cosines).map(square).sum::<f64>() / cosines as f64;
    (mean, (variance / count).sqrt())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fixture::{self, near};
    use super::*;

    #[test]
    fn standard_errors_and_intervals_are_those_of_scipy() {
        for case in fixture::all().cosines {
            let instants: Vec<i64> = (0..case.series.len() as i64).collect();
            let (effect, cosines) = forecast_effect(&case.series, &instants, case.horizon).unwrap();
            assert_eq!(cosines, case.cosines);
            for (found, expected) in [
                (effect.gain, case.mean),
                (effect.standard_error, case.standard_error),
                (effect.lower, case.lower),
            ] {
                assert!(near(found, expected), "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn several_rows_of_one_instant_count_as_one() {
        let (effect, cosines) = forecast_effect(&[1.0, 3.0, 4.0, 0.0], &[10, 10, 20, 30], 3).unwrap();
        assert_eq!((effect.rows, effect.blocks, effect.gain, cosines), (4, 3, 2.0, 2));
        assert!(forecast_effect(&[1.0, 2.0], &[5, 5], 1).is_none());
    }
}
