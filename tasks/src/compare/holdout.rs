//! How often the rows of a holdout were looked at before: who chooses often by the same rows chooses by chance in the end.

use ratchet_artifacts::{Action, Bucket, PromotionLog, models};
use ratchet_core::plugin::TaskError;
use ratchet_model::Window;
use ratchet_model::schema::parse_timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::table::from_bucket;
use crate::train::{Line, PLACES};

/// How often some of the rows of a holdout were used before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Earlier versions of the model that were measured on some of them.
    pub measured: u64,
    /// Promotions that were decided by some of them.
    pub decided: u64,
}

impl Uses {
    /// Counts versions of `model` before `version` and entries of the promotion log whose holdout overlaps the challenger's.
    ///
    /// # Errors
    /// A bucket that does not answer, or a damaged log.
    pub async fn count(bucket: &Bucket, model: &str, version: Option<u64>, window: &Window) -> Result<Self, TaskError> {
        let mut uses = Self::default();
        for number in models::versions(bucket, model).await.map_err(from_bucket)? {
            if version.is_some_and(|version| number >= version) {
                continue;
            }
            let manifest = models::get(bucket, model, number).await.map_err(from_bucket)?;
            let earlier =
                manifest.and_then(|manifest| serde_json::from_value::<Window>(manifest.report["window"].clone()).ok());
            uses.measured += u64::from(earlier.is_some_and(|earlier| overlap(window, &earlier)));
        }
        let entries = PromotionLog::new(bucket.clone()).entries().await;
        let entries = entries.map_err(|error| TaskError::transient(error.to_string()))?;
        let of_model = entries
            .iter()
            .filter(|entry| entry.model == model && entry.action == Action::Promote)
            .filter(|entry| version.is_none_or(|version| entry.version != version));
        for entry in of_model {
            let decided = |side: &str| place(&entry.comparison["holdout"][side]);
            if let (Some(from), Some(until)) = (decided("from"), decided("until")) {
                uses.decided += u64::from(from < window.holdout_until && window.until < until);
            }
        }
        Ok(uses)
    }
}

fn overlap(window: &Window, earlier: &Window) -> bool {
    Line::of(window) == Line::of(earlier)
        && earlier.until < window.holdout_until
        && window.until < earlier.holdout_until
}

/// A place on the line as a comparison says it: an instant, or a share of the keys.
fn place(said: &Value) -> Option<i64> {
    match said {
        Value::String(instant) => parse_timestamp(instant),
        share => share.as_f64().map(|share| (share * PLACES as f64).round() as i64),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn windows_that_touch_do_not_overlap() {
        let window = |time: &str, until, holdout_until| Window {
            time: time.to_owned(),
            until,
            holdout_until,
            ..Window::default()
        };
        let own = window("t", 100, 200);
        assert!(overlap(&own, &window("t", 150, 300)));
        assert!(!overlap(&own, &window("t", 200, 300)));
        assert!(
            !overlap(&own, &window("other", 100, 200)),
            "another column is another line"
        );
    }

    #[test]
    fn places_are_read_as_they_were_written() {
        assert_eq!(place(&json!("1970-01-02 00:00:00")), Some(86_400));
        assert_eq!(place(&json!(0.25)), Some(250_000));
        assert_eq!(place(&Value::Null), None);
    }
}
