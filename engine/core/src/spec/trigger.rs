//! What starts a DAG beside its schedule.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Metrics of which less is better.
const ERRORS: [&str; 6] = [
    "mae",
    "rmse",
    "brier",
    "log_loss",
    "ranked_probability_score",
    "interval_width",
];

/// Metrics of which more is better.
const SCORES: [&str; 4] = ["r2", "auc", "accuracy", "macro_f1"];

/// How often a source is looked at when the file does not say.
pub(crate) const EVERY: Duration = Duration::from_secs(3600);

/// Labelled rows that a window needs when the file does not say: an average over fewer says little.
pub(crate) const MIN_LABELS: u64 = 30;

/// When live accuracy counts as degraded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Worse than on the holdout by more than this share of it: 0.1 is 10 %.
    WorseBy(f64),
    /// Below this value, for metrics of which more is better.
    Below(f64),
    /// Worse than on the holdout by more than this.
    Drop(f64),
}

/// One entry of `triggers:`.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// The content at an address changed.
    DataChange {
        /// A path, `file://`, `s3://` or `http(s)://`, its `${{ params. }}` not yet rendered.
        from: String,
        /// How often it is looked at.
        every: Duration,
    },
    /// Serving saw requests unlike those of training.
    Drift {
        /// The model.
        model: String,
    },
    /// The champion's answers became worse than they were on the holdout.
    Degradation {
        /// The model.
        model: String,
        /// A metric of it.
        metric: String,
        /// How much is too much.
        limit: Limit,
        /// Windows with fewer labelled rows do not count.
        min_labels: u64,
    },
    /// A new version of a dataset was registered, by another DAG.
    Dataset {
        /// The dataset.
        dataset: String,
    },
    /// Somebody who knows the token sent a request.
    Webhook {
        /// The token, its `${{ secrets. }}` not yet rendered.
        token: String,
        /// Parameter by the JSON pointer into the body that gives it its value.
        params: BTreeMap<String, String>,
    },
}

impl Trigger {
    /// What it is called in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DataChange { .. } => "on_data_change",
            Self::Drift { .. } => "on_drift",
            Self::Degradation { .. } => "on_degradation",
            Self::Dataset { .. } => "on_dataset",
            Self::Webhook { .. } => "on_webhook",
        }
    }

    /// Whether less of a metric is better; none for a metric that nobody knows.
    pub fn less_is_better(metric: &str) -> Option<bool> {
        if ERRORS.contains(&metric) {
            Some(true)
        } else {
            SCORES.contains(&metric).then_some(false)
        }
    }

    /// The metrics that can degrade.
    pub(crate) fn metrics() -> impl Iterator<Item = &'static str> + Clone {
        ERRORS.into_iter().chain(SCORES)
    }
}

impl fmt::Display for Trigger {
    /// What tells it from the others of its DAG. A trigger that reads otherwise is another one and begins anew.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::DataChange { from, .. } => write!(formatter, "{kind} {from}"),
            Self::Drift { model } => write!(formatter, "{kind} {model}"),
            Self::Degradation {
                model, metric, limit, ..
            } => write!(formatter, "{kind} {model} {metric} {limit}"),
            Self::Dataset { dataset } => write!(formatter, "{kind} {dataset}"),
            Self::Webhook { .. } => formatter.write_str(kind),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Shown as it was written, without the digits that no decimal has in binary.
            Self::WorseBy(share) => write!(formatter, "worse_by {}%", (share * 1e10).round() / 1e8),
            Self::Below(value) => write!(formatter, "below {value}"),
            Self::Drop(value) => write!(formatter, "drop {value}"),
        }
    }
}

impl Limit {
    /// True if `live` is too bad for a metric that was `reference` on the holdout.
    pub fn is_passed(self, less_is_better: bool, live: f64, reference: f64) -> bool {
        let worse = if less_is_better {
            live - reference
        } else {
            reference - live
        };
        match self {
            Self::WorseBy(share) => worse > share * reference.abs(),
            Self::Below(least) => live < least,
            Self::Drop(most) => worse > most,
        }
    }
}

/// Reads `10%`.
///
/// # Errors
///
/// A lower-case fragment: no percentage, or one that is not above zero.
pub fn parse_percentage(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').map(str::trim_end);
    let percent = number.and_then(|number| number.parse::<f64>().ok());
    match percent.filter(|percent| percent.is_finite()) {
        Some(percent) if percent > 0.0 => Ok(percent / 100.0),
        Some(_) => Err(format!("`{text}` is not above zero")),
        None => Err(format!("`{text}` is not a percentage")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_up_for_errors_and_down_for_scores() {
        for (limit, less_is_better, live, reference, passed) in [
            (Limit::WorseBy(0.1), true, 82.0, 75.0, false),
            (Limit::WorseBy(0.1), true, 82.6, 75.0, true),
            (Limit::WorseBy(0.1), true, 10.0, 75.0, false),
            (Limit::WorseBy(0.1), false, 0.71, 0.8, true),
            (Limit::WorseBy(0.1), false, 0.73, 0.8, false),
            (Limit::WorseBy(0.1), false, -0.3, -0.2, true),
            (Limit::Drop(0.1), false, 0.65, 0.8, true),
            (Limit::Drop(0.1), false, 0.9, 0.8, false),
            (Limit::Drop(5.0), true, 81.0, 75.0, true),
            (Limit::Below(0.5), false, 0.49, 0.3, true),
            (Limit::Below(0.5), false, 0.5, 0.9, false),
        ] {
            assert_eq!(
                limit.is_passed(less_is_better, live, reference),
                passed,
                "{limit} {live} {reference}"
            );
        }
    }

    #[test]
    fn percentages_have_their_sign() {
        assert_eq!(parse_percentage("10%"), Ok(0.1));
        assert_eq!(parse_percentage("2.5 %"), Ok(0.025));
        for wrong in ["10", "0%", "-5%", "%", "ten%", "inf%", ""] {
            assert!(parse_percentage(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Limit::WorseBy(0.07).to_string(), "worse_by 7%");
    }
}
