//! The numbers behind a promotion, from the comparison that its run left.

use ratchet_core::plugin::Output;
use serde_json::Value;

use crate::record::{PromotionOutcome, TaskRecord};

/// Metrics that one message shows.
const MOST: usize = 4;

/// `mae 71.90 (74.20 before), r2 0.391 (0.361 before)`; empty if the run left no comparison of that version.
pub(super) fn numbers(promotion: &PromotionOutcome, tasks: &[TaskRecord]) -> String {
    let outputs = tasks.iter().filter_map(|task| task.outputs.get("comparison"));
    let comparison = outputs.filter_map(|output| match output {
        Output::Value(comparison) => Some(comparison),
        _ => None,
    });
    let of_version = |comparison: &&Value| comparison["challenger"]["digest"] == promotion.digest.as_str();
    comparison.filter(of_version).map(of).next().unwrap_or_default()
}

fn of(comparison: &Value) -> String {
    let metrics = comparison["metrics"]["challenger"].as_object().into_iter().flatten();
    let shown = metrics.filter_map(|(name, value)| {
        let now = short(value.as_f64()?);
        let before = comparison["metrics"]["opponent"][name].as_f64();
        Some(match before.filter(|_| !comparison["champion"].is_null()) {
            Some(before) => format!("{name} {now} ({} before)", short(before)),
            None => format!("{name} {now}"),
        })
    });
    shown.take(MOST).collect::<Vec<_>>().join(", ")
}

fn short(value: f64) -> String {
    if value.abs() >= 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_and_what_is_stand_side_by_side() {
        let mut comparison = json!({
            "champion": {"version": 1},
            "metrics": {"challenger": {"mae": 71.9, "r2": 0.3914}, "opponent": {"mae": 74.2}},
        });
        assert_eq!(of(&comparison), "mae 71.90 (74.20 before), r2 0.391");
        comparison["champion"] = Value::Null;
        assert_eq!(
            of(&comparison),
            "mae 71.90, r2 0.391",
            "the mean was never in production"
        );
        assert_eq!(of(&json!({})), "");
    }
}
