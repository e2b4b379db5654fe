//! Times and keys of rows, for transformations that follow the clock.

use polars::prelude::{DataFrame, DataType, TimeUnit};
use ratchet_core::plugin::TaskError;
use ratchet_model::schema::{TIMESTAMP_FORMATS, parse_timestamp};

use crate::table;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;

/// Microseconds of the civil calendar since 1970-01-01, row by row.
///
/// # Errors
/// A column that is not there or holds no times.
pub fn moments(frame: &DataFrame, name: &str, place: &str) -> Result<Vec<Option<i64>>, TaskError> {
    let values = table::column(frame, name, place)?;
    let unreadable = |what: String| {
        TaskError::permanent(format!("column `{name}` of {place} {what}")).with_help(format!(
            "declare it as a timestamp where it is extracted, or write times like {TIMESTAMP_FORMATS}"
        ))
    };
    match values.dtype() {
        DataType::Null => Ok(vec![None; values.len()]),
        DataType::Date | DataType::Datetime(..) => {
            let numbers = values
                .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
                .and_then(|times| times.cast(&DataType::Int64))
                .map_err(|error| unreadable(format!("holds times that cannot be read: {error}")))?;
            let numbers = numbers.i64().map_err(|error| unreadable(error.to_string()))?;
            Ok(numbers.iter().collect())
        }
        DataType::String => {
            let texts = values.str().map_err(|error| unreadable(error.to_string()))?;
            let read = texts.iter().enumerate().map(|(row, text)| {
                let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
                    return Ok(None);
                };
                let seconds = parse_timestamp(text);
                let seconds = seconds.ok_or_else(|| unreadable(format!("has no civil time in row {row}")))?;
                Ok(Some(seconds * SECOND + fraction(text)))
            });
            read.collect()
        }
        other => Err(unreadable(format!("is {other}, not a time"))),
    }
}

/// The microseconds behind the second's point: what was known half a second later was not known yet.
fn fraction(text: &str) -> i64 {
    let digits = text.rsplit_once(':').and_then(|(_, seconds)| seconds.split_once('.'));
    let digits = digits.map_or("", |(_, digits)| digits);
    let padded: String = digits.chars().chain("000000".chars()).take(6).collect();
    padded.parse().unwrap_or_default()
}

/// The key of each row as one text; none where a part of it is missing.
///
/// # Errors
/// A column that is not there or cannot be written as text.
pub fn keys(frame: &DataFrame, names: &[String], place: &str) -> Result<Vec<Option<String>>, TaskError> {
    let mut keys = vec![Some(String::new()); frame.height()];
    for name in names {
        let values = table::column(frame, name, place)?
            .cast(&DataType::String)
            .map_err(|error| TaskError::permanent(format!("column `{name}` of {place} cannot be a key: {error}")))?;
        let texts = values.str().map_err(|error| TaskError::permanent(error.to_string()))?;
        for (key, part) in keys.iter_mut().zip(texts.iter()) {
            match (key.as_mut(), part) {
                (Some(key), Some(part)) => {
                    key.push_str(part);
                    key.push('\u{1f}');
                }
                _ => *key = None,
            }
        }
    }
    Ok(keys)
}
