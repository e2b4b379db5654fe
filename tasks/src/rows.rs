//! Rows of a table as JSON, for those who show or compare them.

use polars::prelude::AnyValue;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{Table, TaskError};
use serde_json::{Map, Value, json};

use crate::blocking::blocking;
use crate::table;

/// All rows in file order, each a mapping of columns to values. Dates read `2017-01-31`, timestamps
/// `2017-01-31 02:00:00`; numbers that JSON does not have are null.
///
/// # Errors
/// As [`table::read`].
pub async fn rows(bucket: &Bucket, table: &Table) -> Result<Vec<Map<String, Value>>, TaskError> {
    let frame = table::read(bucket, table).await?;
    blocking("reading rows", move || {
        let mut rows = vec![Map::new(); frame.height()];
        for column in frame.columns() {
            for (number, row) in rows.iter_mut().enumerate() {
                let value = column.get(number).map_or(Value::Null, |value| to_json(&value));
                row.insert(column.name().to_string(), value);
            }
        }
        Ok(rows)
    })
    .await
}

/// A value of one of the types that tables have.
pub(crate) fn to_json(value: &AnyValue) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => json!(value),
        AnyValue::Int64(value) => json!(value),
        AnyValue::Float64(value) => json!(value),
        AnyValue::String(value) => json!(value),
        AnyValue::StringOwned(value) => json!(value.as_str()),
        other => json!(other.to_string()),
    }
}
