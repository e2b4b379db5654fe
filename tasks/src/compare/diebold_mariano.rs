//! Which of two forecasts is better: Diebold and Mariano (1995) on the mean loss difference, with the long-run variance of
//! Newey and West (1987).
//!
//! Forecasts of neighboring instants err together: they share what happened in between, and for longer than their horizon
//! where the weather of a week is unusual. So the window is wide, 1.3 times the root of the number of instants, as Lazarus, Lewis, Stock
//! and Watson (2018) advise, never less than the horizon; and the interval is not the normal one but that of Kiefer and
//! Vogelsang (2005), which allows for the width of the window.

use std::collections::BTreeMap;

use super::bootstrap::Effect;

/// Below so many stretches of one horizon's length nothing is decided.
pub const FEWEST_HORIZONS: usize = 10;

/// Quantile of the standard normal distribution that one in five lies above.
const FOUR_OF_FIVE: f64 = 0.841_621_233_572_914_3;

/// The mean gain per instant with its 95 % interval, and the lags that were taken. Gains of one instant are averaged. `None` with fewer
/// than two instants.
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
    let lag = lags(series.len(), horizon);
    let (gain, standard_error) = newey_west(&series, lag);
    let critical = critical_value((lag + 1) as f64 / series.len() as f64);
    let reach = critical * standard_error;
    let effect = Effect {
        rows: gains.len(),
        blocks: series.len(),
        gain,
        standard_error,
        lower: gain - reach,
        upper: gain + reach,
        detectable: reach + FOUR_OF_FIVE * standard_error,
    };
    Some((effect, lag))
}

fn lags(instants: usize, horizon: usize) -> usize {
    let wide = (1.3 * (instants as f64).sqrt()).ceil() as usize;
    wide.saturating_sub(1).max(horizon.saturating_sub(1)).min(instants - 1)
}

/// Mean of a series and its standard error under autocorrelation up to `lag`, with falling (Bartlett's) weights.
fn newey_west(series: &[f64], lag: usize) -> (f64, f64) {
    let count = series.len() as f64;
    let mean = series.iter().sum::<f64>() / count;
    let errors: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let product = |step: usize| -> f64 { errors[step..].iter().zip(&errors).map(|(a, b)| a * b).sum() };
    let weighted = (1..=lag).map(|step| 2.0 * (1.0 - step as f64 / (lag as f64 + 1.0)) * product(step));
    let sum = product(0) + weighted.sum::<f64>();
    (mean, (sum.max(0.0) / (count * count)).sqrt())
}

/// What 2.5 % lie above, where the window is the share `share` of the series: Kiefer and Vogelsang (2005), table 1, Bartlett's weights.
fn critical_value(share: f64) -> f64 {
    1.96 + 2.9694 * share + 0.4160 * share * share - 0.5324 * share * share * share
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::fixture::{self, near};
    use super::*;

    #[test]
    fn standard_errors_are_those_of_statsmodels() {
        for case in fixture::all().newey_west {
            let (mean, standard_error) = newey_west(&case.series, case.lag);
            assert!(near(mean, case.mean), "{mean} is not {}", case.mean);
            assert!(
                near(standard_error, case.standard_error),
                "{standard_error} is not {}",
                case.standard_error
            );
        }
    }

    #[test]
    fn several_rows_of_one_instant_count_as_one() {
        let (effect, lag) = forecast_effect(&[1.0, 3.0, 4.0, 0.0], &[10, 10, 20, 30], 3).unwrap();
        assert_eq!((effect.rows, effect.blocks, effect.gain, lag), (4, 3, 2.0, 2));
        assert!(forecast_effect(&[1.0, 2.0], &[5, 5], 1).is_none());
    }
}
