//! Columns under construction, for every format: names, types over all rows, values.

use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, Series, TimeUnit};
use ratchet_core::plugin::{ColumnType, TaskError};
use serde_json::Value;

use super::infer::{parse_boolean, parse_date, parse_integer, parse_number, parse_timestamp};
use crate::table::missing_column;

/// How records are to be read.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The delimiter of text; none: found in the header.
    pub delimiter: Option<u8>,
    /// The sheet of a workbook; none: the first.
    pub sheet: Option<String>,
    /// Types of columns that shall not be inferred.
    pub types: BTreeMap<String, ColumnType>,
    /// Values that mean "nothing".
    pub null_values: Vec<String>,
}

impl Layout {
    /// True if this text means "nothing".
    pub fn is_null(&self, text: &str) -> bool {
        self.null_values.iter().any(|null| null == text)
    }
}

/// Checks that every column has a name of its own.
///
/// # Errors
/// A column without a name, and a name that stands twice.
pub fn check_names(names: &[String], from: &str) -> Result<(), TaskError> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(
                TaskError::permanent(format!("column {} of `{from}` has no name in the header", index + 1))
                    .with_help("name it in the first line of the file"),
            );
        }
        if !seen.insert(name.as_str()) {
            return Err(
                TaskError::permanent(format!("the header of `{from}` names `{name}` twice"))
                    .with_help("rename one of the two in the first line of the file"),
            );
        }
    }
    Ok(())
}

/// Checks that every column of `types` is there.
///
/// # Errors
/// A column that is not there, with the nearest names.
pub fn check_declared(names: &[String], layout: &Layout, from: &str) -> Result<(), TaskError> {
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    match layout.types.keys().find(|name| !listed.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let mut error = missing_column(name, &format!("`{from}`"), &listed);
            error.message.push_str(", but `types` names it");
            Err(error)
        }
    }
}

/// Makes a frame of columns of JSON values, all of `rows` values. Text stays text, whatever it looks like, unless a type
/// is declared. A type is found over all rows: integers if all numbers are whole, numbers, true or false, and text for
/// everything else; lists and objects are kept as their JSON.
///
/// # Errors
/// A declared type for a column that is not there, or that a value does not fit (its row, from 0).
pub fn frame(
    names: &[String],
    columns: Vec<Vec<Value>>,
    rows: usize,
    layout: &Layout,
    from: &str,
) -> Result<DataFrame, TaskError> {
    check_declared(names, layout, from)?;
    let mut built = Vec::with_capacity(names.len());
    for (name, mut values) in names.iter().zip(columns) {
        for value in &mut values {
            if value.as_str().is_some_and(|text| layout.is_null(text)) {
                *value = Value::Null;
            }
        }
        let kind = layout.types.get(name).copied().unwrap_or_else(|| kind_of(&values));
        let mut builder = Builder::new(kind, rows);
        for (row, value) in values.iter().enumerate() {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            builder.push(text.as_deref()).map_err(|kind| {
                TaskError::permanent(format!("`{from}`, row {row}: {value} in column `{name}` is not {kind}"))
                    .with_help(format!(
                        "correct the value, or declare another type for `{name}` under `types`"
                    ))
            })?;
        }
        built.push(builder.finish(name)?);
    }
    DataFrame::new(rows, built).map_err(|error| TaskError::permanent(format!("`{from}` makes no table: {error}")))
}

fn kind_of(values: &[Value]) -> ColumnType {
    let mut seen = values.iter().filter(|value| !value.is_null()).peekable();
    if seen.peek().is_none() {
        return ColumnType::Text;
    }
    let (mut integer, mut number, mut boolean) = (true, true, true);
    for value in seen {
        integer &= value.is_i64();
        number &= value.as_f64().is_some_and(f64::is_finite);
        boolean &= value.is_boolean();
    }
    match (integer, number, boolean) {
        (true, ..) => ColumnType::Integer,
        (_, true, _) => ColumnType::Number,
        (_, _, true) => ColumnType::Boolean,
        _ => ColumnType::Text,
    }
}

/// A column under construction.
pub enum Builder {
    Integer(Vec<Option<i64>>),
    Number(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    Boolean(Vec<Option<bool>>),
    Date(Vec<Option<i32>>),
    Timestamp(Vec<Option<i64>>),
}

impl Builder {
    pub fn new(kind: ColumnType, rows: usize) -> Builder {
        match kind {
            ColumnType::Integer => Builder::Integer(Vec::with_capacity(rows)),
            ColumnType::Number => Builder::Number(Vec::with_capacity(rows)),
            ColumnType::Text => Builder::Text(Vec::with_capacity(rows)),
            ColumnType::Boolean => Builder::Boolean(Vec::with_capacity(rows)),
            ColumnType::Date => Builder::Date(Vec::with_capacity(rows)),
            ColumnType::Timestamp => Builder::Timestamp(Vec::with_capacity(rows)),
        }
    }

    /// Takes a value. On failure says what it should have been. Blanks around a declared number or date do not count.
    pub fn push(&mut self, value: Option<&str>) -> Result<(), &'static str> {
        fn parsed<T>(
            values: &mut Vec<Option<T>>,
            value: Option<&str>,
            parse: impl Fn(&str) -> Option<T>,
            kind: &'static str,
        ) -> Result<(), &'static str> {
            let entry = match value {
                None => None,
                Some(text) => Some(parse(text.trim()).ok_or(kind)?),
            };
            values.push(entry);
            Ok(())
        }
        match self {
            Builder::Text(values) => {
                values.push(value.map(str::to_owned));
                Ok(())
            }
            // Declared integers may be written as codes with leading zeros.
            Builder::Integer(values) => parsed(
                values,
                value,
                |text| parse_integer(text).or_else(|| text.parse().ok()),
                "an integer",
            ),
            Builder::Number(values) => parsed(
                values,
                value,
                |text| parse_number(text).or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite())),
                "a number",
            ),
            Builder::Boolean(values) => parsed(values, value, parse_boolean, "true or false"),
            Builder::Date(values) => parsed(values, value, parse_date, "a date such as 2026-01-31"),
            Builder::Timestamp(values) => parsed(
                values,
                value,
                parse_timestamp,
                "a date and time such as 2026-01-31 12:00:00",
            ),
        }
    }

    pub fn finish(self, name: &str) -> Result<Column, TaskError> {
        let name = name.into();
        let cast = |series: Series, kind: DataType| {
            series
                .cast(&kind)
                .map_err(|error| TaskError::permanent(format!("column `{}` cannot be built: {error}", series.name())))
        };
        let series = match self {
            Builder::Integer(values) => Series::new(name, values),
            Builder::Number(values) => Series::new(name, values),
            Builder::Text(values) => Series::new(name, values),
            Builder::Boolean(values) => Series::new(name, values),
            Builder::Date(values) => cast(Series::new(name, values), DataType::Date)?,
            Builder::Timestamp(values) => cast(
                Series::new(name, values),
                DataType::Datetime(TimeUnit::Microseconds, None),
            )?,
        };
        Ok(series.into_column())
    }
}
