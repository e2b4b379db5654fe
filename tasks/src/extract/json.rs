//! JSON objects to a frame: every object is a row, every key a column.

use std::collections::{BTreeSet, HashMap};

use polars::prelude::DataFrame;
use ratchet_core::plugin::TaskError;
use serde_json::{Map, Value};

use super::columns::{self, Layout};

/// Reads one object a line; empty lines do not count.
///
/// # Errors
/// A line that is no JSON object, with its number.
pub fn from_lines(text: &str, from: &str) -> Result<Vec<Map<String, Value>>, TaskError> {
    let mut records = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("`{from}`, line {}", number + 1);
        let value = serde_json::from_str(line)
            .map_err(|error| TaskError::permanent(format!("{place} is no JSON: {error}")).with_help(HELP_LINES))?;
        records.push(object(value, &place)?);
    }
    Ok(records)
}

const HELP_LINES: &str = "write one JSON object a line; for an array of objects say `format: json`";

/// Reads an array of objects.
///
/// # Errors
/// Text that is no JSON, and whatever is not an array of objects.
pub fn from_array(text: &str, from: &str) -> Result<Vec<Map<String, Value>>, TaskError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        TaskError::permanent(format!("`{from}` is no JSON: {error}"))
            .with_help("check that it was fetched whole; for one object a line say `format: ndjson`")
    })?;
    let Value::Array(items) = value else {
        return Err(
            TaskError::permanent(format!("`{from}` holds {}, not an array of objects", word(&value)))
                .with_help("give an array such as [{\"id\": 1}, {\"id\": 2}]"),
        );
    };
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| object(item, &format!("item {index} of `{from}`")))
        .collect()
}

/// The value as an object.
///
/// # Errors
/// Another kind of value; `place` names it.
pub fn object(value: Value, place: &str) -> Result<Map<String, Value>, TaskError> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(TaskError::permanent(format!(
            "{place} is {}, not an object",
            word(&other)
        ))),
    }
}

/// What a JSON value is called.
pub fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Makes a frame: columns in the order of their names; null where a record lacks one.
///
/// # Errors
/// A declared type for a column that is not there, or that a value does not fit (its row).
pub fn to_frame(records: Vec<Map<String, Value>>, layout: &Layout, from: &str) -> Result<DataFrame, TaskError> {
    let keys: BTreeSet<&String> = records.iter().flat_map(Map::keys).collect();
    let names: Vec<String> = keys.into_iter().cloned().collect();
    let positions: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
    let rows = records.len();
    let mut columns: Vec<Vec<Value>> = vec![Vec::with_capacity(rows); names.len()];
    for (row, record) in records.into_iter().enumerate() {
        for (name, value) in record {
            let Some(column) = positions.get(&name).and_then(|position| columns.get_mut(*position)) else {
                continue;
            };
            column.resize(row, Value::Null);
            column.push(value);
        }
    }
    for column in &mut columns {
        column.resize(rows, Value::Null);
    }
    columns::frame(&names, columns, rows, layout, from)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::prelude::DataType;
    use ratchet_core::plugin::ColumnType;

    use super::*;

    fn layout() -> Layout {
        Layout {
            null_values: vec![String::new()],
            ..Layout::default()
        }
    }

    #[test]
    fn every_key_is_a_column_and_gaps_are_null() {
        let text = "{\"id\": \"007\", \"n\": 1, \"ok\": true}\n\n{\"n\": 2.5, \"id\": \"8\", \"tags\": [1, 2]}\n{\"id\": \"\"}\n";
        let frame = to_frame(from_lines(text, "f").unwrap(), &layout(), "f").unwrap();
        let names: Vec<&str> = frame.get_column_names().iter().map(|name| name.as_str()).collect();
        assert_eq!(frame.height(), 3);
        assert_eq!(names, ["id", "n", "ok", "tags"]);
        assert_eq!(frame.column("id").unwrap().str().unwrap().get(0), Some("007"));
        assert_eq!(frame.column("id").unwrap().null_count(), 1);
        assert_eq!(frame.column("n").unwrap().dtype(), &DataType::Float64);
        assert_eq!(frame.column("n").unwrap().null_count(), 1);
        assert_eq!(frame.column("ok").unwrap().dtype(), &DataType::Boolean);
        assert_eq!(frame.column("tags").unwrap().str().unwrap().get(1), Some("[1,2]"));
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused_with_its_place() {
        assert!(
            from_lines("{}\n{\"a\": }\n", "f")
                .unwrap_err()
                .message
                .starts_with("`f`, line 2 is no JSON")
        );
        assert_eq!(
            from_lines("[1]\n", "f").unwrap_err().message,
            "`f`, line 1 is an array, not an object"
        );
        assert_eq!(
            from_array("{\"a\": 1}", "f").unwrap_err().message,
            "`f` holds an object, not an array of objects"
        );
        assert_eq!(
            from_array("[{}, 7]", "f").unwrap_err().message,
            "item 1 of `f` is a number, not an object"
        );
        assert!(
            from_array("[{\"a\": 1", "f")
                .unwrap_err()
                .message
                .contains("is no JSON")
        );
    }

    #[test]
    fn declared_types_hold_for_json_too() {
        let mut layout = layout();
        layout.types.insert("day".to_owned(), ColumnType::Date);
        let records = from_array("[{\"day\": \"01 Jan 2009\"}, {\"day\": null}]", "f").unwrap();
        let frame = to_frame(records, &layout, "f").unwrap();
        assert_eq!(frame.column("day").unwrap().dtype(), &DataType::Date);
        let records = from_array("[{\"day\": \"soon\"}]", "f").unwrap();
        let message = to_frame(records, &layout, "f").unwrap_err().message;
        assert!(
            message.starts_with("`f`, row 0: \"soon\" in column `day` is not a date"),
            "{message}"
        );
        let message = to_frame(from_array("[]", "f").unwrap(), &layout, "f")
            .unwrap_err()
            .message;
        assert!(message.contains("has no column `day`"), "{message}");
    }
}
