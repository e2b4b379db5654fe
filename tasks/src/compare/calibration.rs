//! Whether a model keeps what it says about its own certainty.

use ratchet_model::{Bundle, Prediction, TargetKind, metrics};

/// Groups of rows with similar probabilities.
const GROUPS: usize = 10;

/// How far what a model says about its certainty is from what happened, from 0 to 1: of numbers the distance between the share of rows
/// within their interval and the share promised; of classes the expected calibration error (Naeini, Cooper and Hauskrecht 2015) over
/// groups of equal size, the mean over the cuts of ordered classes and over classes without an order. `None` if the model says nothing of the kind.
pub fn calibration_error(bundle: &Bundle, predictions: &[Prediction], truth: &[f64]) -> Option<f64> {
    let content = bundle.content();
    match &content.target.kind {
        TargetKind::Regression { .. } => {
            let held = predictions.iter().zip(truth).map(|(prediction, truth)| {
                prediction
                    .interval
                    .map(|interval| f64::from(u8::from(interval.lower <= *truth && *truth <= interval.upper)))
            });
            let held: Option<Vec<f64>> = held.collect();
            let held = held.filter(|held| !held.is_empty())?;
            Some((metrics::mean(held.into_iter()) - content.coverage).abs())
        }
        TargetKind::Binary { .. } => {
            let pairs = predictions.iter().zip(truth);
            Some(expected_error(
                pairs
                    .map(|(prediction, truth)| (prediction.probability(), *truth > 0.5))
                    .collect(),
            ))
        }
        TargetKind::Ordinal { classes, .. } => {
            let cuts = (0..classes.len().saturating_sub(1)).map(|cut| {
                let pairs = predictions.iter().zip(truth).map(|(prediction, truth)| {
                    let up_to: f64 = prediction.probabilities[..=cut].iter().sum();
                    (up_to, *truth <= classes[cut] as f64)
                });
                expected_error(pairs.collect())
            });
            Some(metrics::mean(cuts))
        }
        TargetKind::Multiclass { classes, .. } => {
            let each = classes.iter().enumerate().map(|(position, class)| {
                let pairs = predictions.iter().zip(truth);
                expected_error(
                    pairs
                        .map(|(prediction, truth)| (prediction.probabilities[position], *truth as i64 == *class))
                        .collect(),
                )
            });
            Some(metrics::mean(each))
        }
    }
    .filter(|error| error.is_finite())
}

/// Mean distance between the probability said and the share that happened, over groups of equal size in the order of probability.
fn expected_error(mut pairs: Vec<(f64, bool)>) -> f64 {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows = pairs.len();
    let groups = (0..GROUPS).map(|group| &pairs[group * rows / GROUPS..(group + 1) * rows / GROUPS]);
    let errors = groups.map(|group| {
        let said: f64 = group.iter().map(|(probability, _)| probability).sum();
        let happened = group.iter().filter(|(_, happened)| *happened).count() as f64;
        (said - happened).abs()
    });
    errors.sum::<f64>() / rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_one_half_and_is_right_every_time_is_off_by_one_half() {
        assert_eq!(expected_error(vec![(0.5, true); 100]), 0.5);
        let fair: Vec<(f64, bool)> = (0..100).map(|row| (0.5, row % 2 == 0)).collect();
        assert_eq!(expected_error(fair), 0.0);
        assert!(expected_error(Vec::new()).is_nan());
    }
}
