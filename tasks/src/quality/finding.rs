//! What a gate found: the content of its report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expectation::Severity;

/// A row that does not meet an expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OffendingRow {
    /// Its index in the table, from 0.
    pub row: u64,
    /// Its values in the columns of `key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub key: BTreeMap<String, Value>,
}

/// The result of one expectation (of one column, where it names several).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The expectation in one line, such as `null_share(DateOfCall) <= 0.01`.
    pub expectation: String,
    /// What happens when it is not met.
    pub severity: Severity,
    /// True if it was met.
    pub passed: bool,
    /// The value that was seen: a number of rows or a share.
    pub seen: f64,
    /// The value seen, in words.
    pub detail: String,
    /// The bounds.
    pub threshold: Value,
    /// Number of rows that do not meet it.
    pub offending: u64,
    /// The first of them.
    pub first_rows: Vec<OffendingRow>,
    /// The indices of them all, if they are rows of the table; the report shows the first alone.
    #[serde(skip)]
    pub rows: Vec<usize>,
}

impl Finding {
    /// One line for logs and errors.
    pub fn sentence(&self) -> String {
        if self.passed {
            return format!("`{}` holds: {}", self.expectation, self.detail);
        }
        let shown: Vec<String> = self.first_rows.iter().take(3).map(|row| row.row.to_string()).collect();
        let rows = match (shown.is_empty(), self.offending as usize > shown.len()) {
            (true, _) => String::new(),
            (false, true) => format!(" (rows {}, ...)", shown.join(", ")),
            (false, false) if shown.len() == 1 => format!(" (row {})", shown.join(", ")),
            (false, false) => format!(" (rows {})", shown.join(", ")),
        };
        format!("expectation `{}` failed: {}{rows}", self.expectation, self.detail)
    }
}

/// `gate.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// 1.
    pub format: u32,
    /// True if no expectation of severity `fail` was missed.
    pub passed: bool,
    /// The table: `name@version`, or its first file's digest.
    pub table: String,
    /// Where its rows come from.
    pub source: String,
    /// True if any of them was simulated.
    pub simulated: bool,
    /// Number of its rows.
    pub rows: u64,
    /// Every expectation, in the order of the configuration.
    pub findings: Vec<Finding>,
}
