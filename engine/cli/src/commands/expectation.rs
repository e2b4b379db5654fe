//! How what came of a task differs from what its case expects.

use std::collections::BTreeMap;

use ratchet_artifacts::Bucket;
use ratchet_core::cases::{Case, ExpectedPort};
use ratchet_core::plugin::{Output, Table};
use ratchet_runtime::TaskState;
use serde_json::{Map, Value};

use super::case_run::Ended;
use crate::failure::Failure;

/// At most so many differing rows are shown of one table.
const SHOWN: usize = 10;

/// Two numbers that differ by less than this share of them are the same: a case is written in decimals.
const SAME: f64 = 1e-9;

/// All differences, each for a person to read; none if the case holds.
///
/// # Errors
///
/// A table that the task made cannot be read.
pub async fn differences(bucket: &Bucket, case: &Case, ended: &Ended) -> Result<Vec<String>, Failure> {
    let task = &ended.task;
    let failure = task.error.as_ref().map(ToString::to_string).unwrap_or_default();
    let expected_state = match case {
        Case { fails: Some(_), .. } => TaskState::Failed,
        Case { is_skipped: true, .. } => TaskState::Skipped,
        _ => TaskState::Succeeded,
    };
    if task.state != expected_state {
        let why = task.reason.clone().filter(|_| failure.is_empty()).unwrap_or(failure);
        let why = if why.is_empty() { why } else { format!(": {why}") };
        return Ok(vec![format!("expected {expected_state}, got {}{why}", task.state)]);
    }
    if let Some(part) = &case.fails {
        let differs = !failure.contains(part.as_str());
        let difference = || format!("message:\n- ... {part} ...\n+ {failure}");
        return Ok(differs.then(difference).into_iter().collect());
    }
    let mut found = Vec::new();
    for (port, expected) in case.expect.iter().flatten() {
        match task.outputs.get(port) {
            None => found.push(format!("{port}: the task did not return it")),
            Some(Output::Table(table)) => table_differences(bucket, port, expected, table, &mut found).await?,
            Some(Output::Report(report)) => {
                if let Some(part) = expected
                    .summary
                    .as_ref()
                    .filter(|part| !report.summary.contains(part.as_str()))
                {
                    found.push(format!("{port}.summary:\n- ... {part} ...\n+ {}", report.summary));
                }
            }
            Some(Output::Value(value)) => {
                if let Some(wanted) = expected.value.as_ref().filter(|wanted| !same(wanted, value)) {
                    found.push(format!("{port}.value:\n- {wanted}\n+ {value}"));
                }
            }
            Some(Output::Model(_) | Output::Lookup(_)) => {}
        }
    }
    Ok(found)
}

async fn table_differences(
    bucket: &Bucket,
    port: &str,
    expected: &ExpectedPort,
    table: &Table,
    found: &mut Vec<String>,
) -> Result<(), Failure> {
    if let Some(count) = expected.row_count.filter(|count| *count != table.rows) {
        found.push(format!("{port}.row_count: expected {count}, got {}", table.rows));
    }
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    if let Some(wanted) = expected.columns.as_ref().filter(|wanted| **wanted != columns) {
        found.push(format!(
            "{port}.columns:\n- {}\n+ {}",
            wanted.join(", "),
            columns.join(", ")
        ));
    }
    let Some(wanted) = &expected.rows else { return Ok(()) };
    let rows = ratchet_tasks::rows::rows(bucket, table)
        .await
        .map_err(|error| Failure::service(error.message))?;
    found.extend(rows_differ(wanted, &rows).map(|lines| format!("{port}.rows:\n{lines}")));
    Ok(())
}

/// Rows that differ, expected ones with `-` and found ones with `+`; a found row shows the columns that were asked for.
fn rows_differ(wanted: &[Map<String, Value>], rows: &[Map<String, Value>]) -> Option<String> {
    let mut lines = Vec::new();
    let mut more = 0;
    for number in 0..wanted.len().max(rows.len()) {
        let (wanted, row) = (wanted.get(number), rows.get(number));
        if let (Some(wanted), Some(row)) = (wanted, row)
            && wanted
                .iter()
                .all(|(column, value)| row.get(column).is_some_and(|found| same(value, found)))
        {
            continue;
        }
        if lines.len() >= 2 * SHOWN {
            more += 1;
            continue;
        }
        lines.extend(wanted.map(|wanted| format!("- {}: {}", number + 1, shown(wanted))));
        lines.extend(row.map(|row| {
            let asked: Map<String, Value> = row
                .iter()
                .filter(|(column, _)| wanted.is_none_or(|wanted| wanted.contains_key(*column)))
                .map(|(column, value)| (column.clone(), value.clone()))
                .collect();
            format!("+ {}: {}", number + 1, shown(&asked))
        }));
    }
    if more > 0 {
        lines.push(format!("and {more} more rows"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn shown(row: &Map<String, Value>) -> String {
    let cells: BTreeMap<&str, &Value> = row.iter().map(|(column, value)| (column.as_str(), value)).collect();
    let cells: Vec<String> = cells
        .into_iter()
        .map(|(column, value)| format!("{column}: {value}"))
        .collect();
    format!("{{ {} }}", cells.join(", "))
}

/// `1` and `1.0` are one number, and so are two that differ in their last bits.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(_), Value::Number(_)) => match (wanted.as_f64(), found.as_f64()) {
            (Some(wanted), Some(found)) => (wanted - found).abs() <= SAME * wanted.abs().max(found.abs()),
            _ => wanted == found,
        },
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| same(wanted, found))
        }
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .all(|(key, value)| found.get(key).is_some_and(|found| same(value, found)))
        }
        _ => wanted == found,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(value: Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(value).unwrap()
    }

    /// Y-304
    #[test]
    fn only_named_columns_are_compared_and_what_differs_is_shown_on_both_sides() {
        let found = rows(json!([{ "a": 1, "b": 0.1 }, { "a": 2, "b": null }, { "a": 3, "b": 5.0 }]));
        assert_eq!(
            rows_differ(&rows(json!([{ "a": 1.0 }, { "b": null }, { "b": 5 }])), &found),
            None
        );
        let lines = rows_differ(&rows(json!([{ "a": 1 }, { "a": 7 }])), &found).unwrap();
        assert_eq!(lines, "- 2: { a: 7 }\n+ 2: { a: 2 }\n+ 3: { a: 3, b: 5.0 }");
        let lines = rows_differ(&rows(json!([{ "c": 1 }])), &found[..1]).unwrap();
        assert_eq!(lines, "- 1: { c: 1 }\n+ 1: {  }");
    }

    /// Y-304
    #[test]
    fn numbers_are_compared_as_they_are_written() {
        assert!(same(&json!(0.3), &json!(0.1 + 0.2)));
        assert!(!same(&json!(0.3), &json!(0.300_001)));
        assert!(!same(&json!("1"), &json!(1)));
        assert!(same(&json!({ "a": [1] }), &json!({ "a": [1.0] })));
    }
}
