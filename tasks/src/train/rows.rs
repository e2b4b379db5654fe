//! From a table to what a model reads: the same text and time functions as serving uses on a request.

use std::collections::HashMap;
use std::sync::Arc;

use polars::prelude::{Column as FrameColumn, DataFrame, DataType, TimeUnit};
use ratchet_core::plugin::{Known, Table, TaskError};
use ratchet_model::features::{JoinConfig, StepConfig};
use ratchet_model::schema::{normalize_text, parse_timestamp};
use ratchet_model::{Column, Field, FieldKind, Rows, Schema, Target};

use super::line::{Line, places};
use crate::table::{column, place_of};

/// The rows of a table as a model sees them.
pub struct ModelRows {
    /// Request fields.
    pub rows: Rows,
    /// What the answer should have been; NaN where the table has no target.
    pub truth: Vec<f64>,
    /// The target column itself: what categories and places are encoded by.
    pub value: Vec<f64>,
    /// Where each row stands on its [`Line`]: civil seconds, or the place that the hash of its key gives it.
    pub time: Vec<i64>,
    /// Row of the table that each row comes from.
    pub kept: Vec<usize>,
    /// Rows without a time, which were left out.
    pub without_time: usize,
}

/// When a value is known, in the words of the model.
pub fn model_known(known: Known) -> ratchet_model::Known {
    match known {
        Known::Call => ratchet_model::Known::Call,
        Known::Dispatch => ratchet_model::Known::Dispatch,
        Known::After => ratchet_model::Known::After,
    }
}

/// The fields of a request, in the order of their first use: what features read without the columns of lookups, then what
/// finds the rows of lookups.
///
/// # Errors
/// A column that is not there, whose type cannot be a field, or of which nobody said when it is known.
pub fn schema_of(
    frame: &DataFrame,
    table: &Table,
    features: &[StepConfig],
    lookups: &[JoinConfig<'_>],
    model: &str,
) -> Result<Schema, TaskError> {
    let mut schema = Schema::default();
    let is_joined = |name: &str| {
        let of = |lookup: &JoinConfig<'_>| name.strip_prefix(lookup.name).is_some_and(|rest| rest.starts_with('.'));
        lookups.iter().any(of)
    };
    let keys: Vec<(String, bool)> = lookups.iter().flat_map(JoinConfig::fields).collect();
    let of_steps = features
        .iter()
        .flat_map(StepConfig::fields)
        .filter(|name| !is_joined(name));
    for name in of_steps.chain(keys.iter().map(|(name, _)| name.clone())) {
        let name = name.as_str();
        if schema.position(name).is_some() {
            continue;
        }
        let values = column(frame, name, &place_of(table))?;
        let of_calendar = features
            .iter()
            .any(|step| matches!(step, StepConfig::Calendar { field, .. } if field == name));
        let is_time = of_calendar || keys.iter().any(|(key, is_time)| *is_time && key == name);
        let kind = match values.dtype() {
            DataType::String if is_time => FieldKind::Timestamp,
            DataType::String => FieldKind::Text,
            DataType::Date | DataType::Datetime(..) => FieldKind::Timestamp,
            _ => FieldKind::Number,
        };
        let declared = table
            .columns
            .iter()
            .find(|column| column.name == name)
            .and_then(|column| column.known);
        let known = match declared {
            Some(known) => model_known(known),
            None => {
                let message = format!(
                    "{} does not say when `{name}` is known, which a feature of `{model}` reads",
                    place_of(table)
                );
                return Err(TaskError::permanent(message)
                        .with_help("add it to `known: { call: [...], dispatch: [...], after: [...] }` of the task that makes the column"));
            }
        };
        schema.fields.push(Field {
            name: name.to_owned(),
            kind,
            known,
            nullable: false,
        });
    }
    Ok(schema)
}

/// Reads the rows of a table for a schema. Rows without a time are left out and counted.
///
/// # Errors
/// A column that is not there or cannot be read as the field's type.
pub fn read_rows(
    frame: &DataFrame,
    table: &Table,
    schema: &Schema,
    target: &Target,
    line: &Line<'_>,
) -> Result<ModelRows, TaskError> {
    let place = place_of(table);
    let times = match line {
        Line::Time(time) => timestamps(column(frame, time, &place)?, &place)?,
        Line::Hash(key) => places(frame, &place, key)?.into_iter().map(Some).collect(),
    };
    let kept: Vec<usize> = (0..times.len()).filter(|row| times[*row].is_some()).collect();
    let mut columns = Vec::with_capacity(schema.fields.len());
    for field in &schema.fields {
        let values = column(frame, &field.name, &place)?;
        columns.push(match field.kind {
            FieldKind::Number => Column::Number(numbers(values, &place)?),
            FieldKind::Text => Column::Text(texts(values, &place)?),
            FieldKind::Timestamp => Column::Timestamp(timestamps(values, &place)?),
        });
    }
    let rows =
        Rows::new(columns).ok_or_else(|| TaskError::permanent(format!("{place}: its columns differ in length")))?;
    let value = numbers(column(frame, &target.column, &place)?, &place)?;
    Ok(ModelRows {
        rows: rows.select(&kept),
        truth: kept.iter().map(|row| target.truth(value[*row])).collect(),
        value: kept.iter().map(|row| value[*row]).collect(),
        time: kept.iter().filter_map(|row| times[*row]).collect(),
        without_time: times.len() - kept.len(),
        kept,
    })
}

fn unreadable(values: &FrameColumn, place: &str, wanted: &str) -> TaskError {
    TaskError::permanent(format!(
        "column `{}` of {place} is {}, not {wanted}",
        values.name(),
        values.dtype()
    ))
    .with_help("declare its type where the table is extracted, or convert it in SQL")
}

/// Numbers; null and infinite values are missing.
pub fn numbers(values: &FrameColumn, place: &str) -> Result<Vec<f64>, TaskError> {
    let numeric = values.dtype().is_primitive_numeric() || matches!(values.dtype(), DataType::Boolean | DataType::Null);
    let cast = if numeric {
        values.cast(&DataType::Float64).ok()
    } else {
        None
    };
    let cast = cast.ok_or_else(|| unreadable(values, place, "a number"))?;
    let numbers = cast.f64().map_err(|_| unreadable(values, place, "a number"))?;
    Ok(numbers
        .iter()
        .map(|value| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN))
        .collect())
}

/// Text without the blanks around it, the same text once.
pub fn texts(values: &FrameColumn, place: &str) -> Result<Vec<Option<Arc<str>>>, TaskError> {
    if matches!(values.dtype(), DataType::Null) {
        return Ok(vec![None; values.len()]);
    }
    let texts = values.str().map_err(|_| unreadable(values, place, "text"))?;
    let mut seen: HashMap<&str, Arc<str>> = HashMap::new();
    let mut once = |text| seen.entry(text).or_insert_with(|| text.into()).clone();
    Ok(texts
        .iter()
        .map(|value| value.and_then(normalize_text).map(&mut once))
        .collect())
}

/// Civil seconds of dates, times, and text that says one.
pub fn timestamps(values: &FrameColumn, place: &str) -> Result<Vec<Option<i64>>, TaskError> {
    if let DataType::Date | DataType::Datetime(..) = values.dtype() {
        let cast = values.cast(&DataType::Datetime(TimeUnit::Milliseconds, None));
        let cast = cast
            .and_then(|cast| cast.cast(&DataType::Int64))
            .map_err(|_| unreadable(values, place, "a time"))?;
        let millis = cast.i64().map_err(|_| unreadable(values, place, "a time"))?;
        return Ok(millis
            .iter()
            .map(|value| value.map(|value| value.div_euclid(1000)))
            .collect());
    }
    if matches!(values.dtype(), DataType::Null) {
        return Ok(vec![None; values.len()]);
    }
    let texts = values.str().map_err(|_| unreadable(values, place, "text"))?;
    let mut times = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let time = match text.and_then(normalize_text) {
            None => None,
            Some(text) => Some(parse_timestamp(text).ok_or_else(|| {
                TaskError::permanent(format!(
                    "column `{}` of {place}, row {row}: `{text}` is no civil time",
                    values.name()
                ))
                .with_help(format!("understood are {}", ratchet_model::schema::TIMESTAMP_FORMATS))
            })?),
        };
        times.push(time);
    }
    Ok(times)
}
