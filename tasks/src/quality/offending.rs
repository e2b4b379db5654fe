//! The rows that do not meet an expectation, to be looked at or corrected.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use serde_json::{Map, Value, json};

use super::finding::Finding;
use crate::rows::to_json;

/// The most rows that are kept; the report counts all.
const KEPT_ROWS: usize = 10_000;

/// What stands in the place of a value that nobody may see.
pub(super) const MASK: &str = "***";

/// The rows of all expectations that were missed, in table order, one JSON object a line: index, expectations, values.
/// None if there are none.
pub(super) fn lines(frame: &DataFrame, findings: &[Finding], mask: &[String]) -> Option<Vec<u8>> {
    let mut missed: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.passed) {
        for row in &finding.rows {
            missed.entry(*row).or_default().push(&finding.expectation);
        }
    }
    if missed.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for (row, expectations) in missed.into_iter().take(KEPT_ROWS) {
        let values = frame.columns().iter().map(|column| {
            let name = column.name().to_string();
            let value = match mask.contains(&name) {
                true => Value::from(MASK),
                false => column.get(row).map_or(Value::Null, |value| to_json(&value)),
            };
            (name, value)
        });
        let values: Map<String, Value> = values.collect();
        let line = json!({ "row": row, "expectations": expectations, "values": values });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    Some(lines)
}
