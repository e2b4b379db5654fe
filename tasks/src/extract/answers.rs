//! From the answers of a service to the rows of a table.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use polars::prelude::{Column, DataFrame};
use ratchet_core::plugin::{ColumnType, TaskError};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};

use super::columns::{self, Layout};
use super::http::HttpConfig;
use super::json::{object, to_frame, word};
use crate::nearest::suggestion;
use crate::transform::sorted;
use crate::words::count;

/// The JSON of an answer.
///
/// # Errors
/// Content that is none.
pub fn parse(content: &[u8], headers: &HeaderMap, place: &str) -> Result<Value, TaskError> {
    serde_json::from_slice(content).map_err(|error| {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind
            .map(|kind| format!(" (the server calls it {kind})"))
            .unwrap_or_default();
        TaskError::permanent(format!("{place} is no JSON{kind}: {error}")).with_help(
            "look at the raw answer in the bucket; a page for people often means a wrong address or a missing key",
        )
    })
}

/// The records of an answer.
///
/// # Errors
/// Nothing or no list at `pointer`, a record that is no object.
pub fn list(answer: &Value, pointer: &str, place: &str) -> Result<Vec<Map<String, Value>>, TaskError> {
    let help = || match answer {
        Value::Object(fields) => {
            let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
            suggestion(pointer.trim_start_matches('/'), &keys, "keys of the answer")
        }
        other => format!("the answer is {}", word(other)),
    };
    match answer.pointer(pointer) {
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| object(item.clone(), &format!("record {index} of {place}")))
                .collect()
        }
        Some(other) => Err(TaskError::permanent(format!(
            "{place} holds {} where `records` (`{pointer}`) expects a list",
            word(other)
        ))
        .with_help(help())),
        None => Err(TaskError::permanent(format!(
            "{place} has nothing at `{pointer}`, where `records` expects a list"
        ))
        .with_help(help())),
    }
}

/// Records to rows, with what somebody should know of them.
///
/// # Errors
/// A value that no record has, one that does not fit its declared type, a column that would stand twice.
pub fn frame(
    records: Vec<Map<String, Value>>,
    config: &HttpConfig,
    at: Timestamp,
    from: &str,
) -> Result<(DataFrame, Vec<String>), TaskError> {
    let mut notes = Vec::new();
    let layout = Layout {
        types: config.types.clone(),
        ..Layout::default()
    };
    let mut frame = if config.columns.is_empty() {
        to_frame(records, &layout, from)?
    } else {
        let names: Vec<String> = config.columns.keys().cloned().collect();
        let picked = pick(&records, &config.columns, from, &mut notes)?;
        columns::frame(&names, picked, records.len(), &layout, from)?
    };
    if let Some(name) = &config.collected_as {
        if frame.column(name).is_ok() {
            return Err(TaskError::permanent(format!("{from} has a column `{name}` already"))
                .with_help("give another name with `collected_as`"));
        }
        let column = collected_column(name, at, frame.height())?;
        frame
            .with_column(column)
            .map_err(|error| TaskError::permanent(format!("column `{name}` cannot be added: {error}")))?;
    }
    let frame = if config.sort.is_empty() {
        frame
    } else {
        sorted(frame, &config.sort, from)?
    };
    Ok((frame, notes))
}

fn collected_column(name: &str, at: Timestamp, rows: usize) -> Result<Column, TaskError> {
    let text = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut builder = columns::Builder::new(ColumnType::Timestamp, rows);
    for _ in 0..rows {
        builder
            .push(Some(&text))
            .map_err(|kind| TaskError::permanent(format!("`{text}` is not {kind}")))?;
    }
    builder.finish(name)
}

/// The values that `columns` points to, column by column.
fn pick(
    records: &[Map<String, Value>],
    columns: &BTreeMap<String, String>,
    from: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Value>>, TaskError> {
    let records: Vec<Value> = records.iter().cloned().map(Value::Object).collect();
    let mut picked = Vec::with_capacity(columns.len());
    for (name, pointer) in columns {
        let found: Vec<Option<&Value>> = records.iter().map(|record| record.pointer(pointer)).collect();
        let lacking = found.iter().filter(|value| value.is_none()).count();
        if lacking > 0 && lacking == records.len() {
            let keys: BTreeSet<&str> = records
                .iter()
                .filter_map(Value::as_object)
                .flat_map(Map::keys)
                .map(String::as_str)
                .collect();
            let keys: Vec<&str> = keys.into_iter().collect();
            return Err(TaskError::permanent(format!(
                "no record of {from} has a value at `{pointer}`, where column `{name}` is read"
            ))
            .with_help(suggestion(
                pointer.trim_start_matches('/'),
                &keys,
                "keys of the records",
            )));
        }
        if lacking > 0 {
            notes.push(format!(
                "{} of {} records of {from} have no `{pointer}`: column `{name}` is null there",
                count(lacking as u64),
                count(records.len() as u64)
            ));
        }
        picked.push(
            found
                .into_iter()
                .map(|value| value.cloned().unwrap_or(Value::Null))
                .collect(),
        );
    }
    Ok(picked)
}
