//! Calibration of probabilities, and weights of classes.

use ratchet_model::arithmetic::logistic;
use ratchet_model::{Calibration, metrics, most_weighty};

/// Fits slope and shift of log odds so that probabilities are true on these rows (Platt 1999), by Newton's method with
/// a small ridge towards leaving the scores as they are.
pub fn platt(log_odds: &[f64], target: &[bool]) -> Calibration {
    const RIDGE: f64 = 1.0;
    let (mut slope, mut shift) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut gradient_slope, mut gradient_shift) = (RIDGE * (slope - 1.0), RIDGE * shift);
        let (mut slope_slope, mut slope_shift, mut shift_shift) = (RIDGE, 0.0, RIDGE);
        for (odds, flag) in log_odds.iter().zip(target) {
            let probability = logistic(slope * odds + shift);
            let error = probability - f64::from(u8::from(*flag));
            let weight = probability * (1.0 - probability);
            gradient_slope += error * odds;
            gradient_shift += error;
            slope_slope += weight * odds * odds;
            slope_shift += weight * odds;
            shift_shift += weight;
        }
        let determinant = slope_slope * shift_shift - slope_shift * slope_shift;
        if determinant <= 0.0 {
            break;
        }
        let slope_step = (shift_shift * gradient_slope - slope_shift * gradient_shift) / determinant;
        let shift_step = (slope_slope * gradient_shift - slope_shift * gradient_slope) / determinant;
        slope -= slope_step;
        shift -= shift_step;
        if slope_step.abs() + shift_step.abs() < 1e-10 {
            break;
        }
    }
    // A negative slope would turn the order of the rows around; that is no calibration.
    if slope > 0.0 && slope.is_finite() && shift.is_finite() {
        Calibration { slope, shift }
    } else {
        Calibration { slope: 1.0, shift: 0.0 }
    }
}

/// Weights for choosing a class: the inverse of its share to a power between 0 (the most probable class) and 1. The power
/// with the greatest macro-F1 on these rows is taken, as long as accuracy stays within 1.5 points of the best.
pub fn class_weights(classes: &[i64], truth: &[i64], probabilities: &[Vec<f64>]) -> Vec<f64> {
    let score = |power: f64| {
        let weights = inverse_shares(classes, truth, power);
        let chosen: Vec<i64> = probabilities
            .iter()
            .map(|row| classes[most_weighty(row, &weights)])
            .collect();
        (
            weights,
            metrics::accuracy(truth, &chosen),
            metrics::macro_f1(truth, &chosen, classes),
        )
    };
    let trials: Vec<(Vec<f64>, f64, f64)> = (0..=20).map(|step| score(f64::from(step) * 0.05)).collect();
    let most_accurate = trials.iter().map(|trial| trial.1).fold(0.0, f64::max);
    let mut chosen = &trials[0];
    for trial in trials.iter().filter(|trial| trial.1 >= most_accurate - 0.015) {
        if trial.2 > chosen.2 {
            chosen = trial;
        }
    }
    chosen.0.clone()
}

/// The inverse of each class's share to a power. A row is added to each class, so that none is without weight.
pub fn inverse_shares(classes: &[i64], truth: &[i64], power: f64) -> Vec<f64> {
    let share = |class: &i64| {
        let count = truth.iter().filter(|value| *value == class).count();
        (count as f64 + 1.0) / (truth.len() as f64 + classes.len() as f64)
    };
    classes.iter().map(|class| power_of(share(class), -power)).collect()
}

fn power_of(base: f64, power: f64) -> f64 {
    ratchet_model::arithmetic::exp(power * ratchet_model::arithmetic::ln(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_scores_are_drawn_in() {
        // Says 95 % where 80 % happen, and 5 % where 20 % happen.
        let odds: Vec<f64> = (0..2000).map(|row| if row % 2 == 0 { 2.944 } else { -2.944 }).collect();
        let target: Vec<bool> = (0..2000)
            .map(|row| if row % 2 == 0 { row % 10 != 0 } else { row % 10 == 1 })
            .collect();
        let calibration = platt(&odds, &target);
        let happened = target.iter().step_by(2).filter(|flag| **flag).count() as f64 / 1000.0;
        assert!((logistic(calibration.slope * 2.944 + calibration.shift) - happened).abs() < 0.01);
    }

    #[test]
    fn rare_classes_gain_weight_while_accuracy_holds() {
        let classes = [1, 2];
        let truth: Vec<i64> = (0..1000).map(|row| if row % 10 == 0 { 2 } else { 1 }).collect();
        let probabilities: Vec<Vec<f64>> = (0..1000)
            .map(|row| {
                if row % 10 == 0 {
                    vec![0.52, 0.48]
                } else {
                    vec![0.9, 0.1]
                }
            })
            .collect();
        let weights = class_weights(&classes, &truth, &probabilities);
        assert!(weights[1] > weights[0]);
    }
}
