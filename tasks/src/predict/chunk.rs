//! Some rows of a table, answered.

use polars::prelude::{AnyValue, Column as FrameColumn, DataFrame, NamedFrom, PolarsError, Series};
use ratchet_core::plugin::TaskError;
use ratchet_model::{Answer, Bundle, Field, FieldKind, FieldProblem, Prediction, TargetKind};
use serde_json::{Map, Value, json};

use crate::rows::to_json;
use crate::table::column;

/// Rows that are requests at a time: as JSON they take far more memory than in columns.
const REQUESTS: usize = 2048;

/// The rows with their answers.
pub struct Chunk {
    /// The columns that are kept, then what the model says.
    pub frame: DataFrame,
    /// Rows that got no answer.
    pub problems: Vec<RowProblem>,
}

/// Why a row got no answer.
pub struct RowProblem {
    row: usize,
    faults: Vec<FieldProblem>,
}

impl RowProblem {
    /// The first fault of the row, whose number counts on from `before`.
    pub fn to_json(&self, before: u64) -> Value {
        let fault = self.faults.first();
        json!({
            "row": before + self.row as u64,
            "pointer": fault.map(|fault| fault.pointer.as_str()),
            "code": fault.map(|fault| fault.code),
            "message": fault.map(|fault| fault.message.as_str()),
        })
    }

    fn said(&self) -> String {
        let faults = self
            .faults
            .iter()
            .map(|fault| format!("{}: {}", fault.pointer, fault.message));
        faults.collect::<Vec<_>>().join("; ")
    }
}

/// Answers all rows of a frame, a few at a time: only what the model says of a row is kept. What a request is refused for, a row
/// gets no answer for.
///
/// # Errors
/// A column that is not there, or two of one name.
pub fn answered(
    bundle: &Bundle,
    frame: DataFrame,
    keep: &[String],
    name: &str,
    place: &str,
) -> Result<Chunk, TaskError> {
    let unjoined = |error: PolarsError| {
        TaskError::permanent(format!("the predictions of {place} make no table: {error}"))
            .with_help("leave columns that are called like an answer out of `keep`")
    };
    let mut problems = Vec::new();
    let mut whole: Option<DataFrame> = None;
    for first in (0..frame.height().max(1)).step_by(REQUESTS) {
        let rows = frame.slice(first as i64, REQUESTS);
        let (answers, faulty) = asked(bundle, &rows, place)?;
        let mut why: Vec<Option<String>> = vec![None; rows.height()];
        for problem in &faulty {
            why[problem.row] = Some(problem.said());
        }
        let mut columns = said(bundle, &answers, name);
        columns.push(Series::new("problem".into(), why).into());
        let part = DataFrame::new(rows.height(), columns).map_err(unjoined)?;
        match &mut whole {
            None => whole = Some(part),
            Some(whole) => {
                whole.vstack_mut_owned(part).map_err(unjoined)?;
            }
        }
        problems.extend(faulty.into_iter().map(|problem| RowProblem {
            row: first + problem.row,
            ..problem
        }));
    }
    let kept = keep.iter().map(|name| column(&frame, name, place).cloned());
    let mut columns = kept.collect::<Result<Vec<FrameColumn>, TaskError>>()?;
    columns.extend(whole.map(DataFrame::into_columns).unwrap_or_default());
    let frame = DataFrame::new(frame.height(), columns).map_err(unjoined)?;
    Ok(Chunk { frame, problems })
}

/// Answers some rows as if each were a request.
fn asked<'a>(
    bundle: &'a Bundle,
    frame: &DataFrame,
    place: &str,
) -> Result<(Vec<Option<Answer<'a>>>, Vec<RowProblem>), TaskError> {
    let records = records(bundle, frame, place)?;
    let mut problems = Vec::new();
    let mut good = Vec::with_capacity(records.len());
    let references: Vec<&Map<String, Value>> = records.iter().collect();
    // Faults are rare: all rows are read together, and one by one only if that fails.
    let rows = match bundle.parse_all(&references) {
        Ok(rows) => {
            good.extend(0..records.len());
            rows
        }
        Err(_) => {
            for (row, record) in records.iter().enumerate() {
                match bundle.parse(record) {
                    Ok(_) => good.push(row),
                    Err(faults) => problems.push(RowProblem { row, faults }),
                }
            }
            let references: Vec<&Map<String, Value>> = good.iter().map(|row| &records[*row]).collect();
            let again = bundle.parse_all(&references);
            again.map_err(|_| TaskError::permanent(format!("the rows of {place} cannot be read together")))?
        }
    };
    let mut answers: Vec<Option<Answer<'_>>> = vec![None; records.len()];
    for (row, answer) in good.into_iter().zip(bundle.answer(&rows)) {
        answers[row] = Some(answer);
    }
    Ok((answers, problems))
}

/// The rows as requests: the model's fields alone.
fn records(bundle: &Bundle, frame: &DataFrame, place: &str) -> Result<Vec<Map<String, Value>>, TaskError> {
    let mut records = vec![Map::new(); frame.height()];
    for field in &bundle.schema().fields {
        let values = column(frame, &field.name, place)?;
        for (row, record) in records.iter_mut().enumerate() {
            let value = values.get(row).map_or(Value::Null, |value| as_asked(&value, field));
            record.insert(field.name.clone(), value);
        }
    }
    Ok(records)
}

/// A value as a request has it. Training reads yes and no as 1 and 0 where it reads numbers.
fn as_asked(value: &AnyValue, field: &Field) -> Value {
    match (value, field.kind) {
        (AnyValue::Boolean(value), FieldKind::Number) => json!(u8::from(*value)),
        (value, _) => to_json(value),
    }
}

/// What the model says, a column each.
fn said(bundle: &Bundle, answers: &[Option<Answer<'_>>], name: &str) -> Vec<FrameColumn> {
    let target = &bundle.content().target;
    let answer = target.answer.as_str();
    let numbers = |name: String, value: &dyn Fn(&Answer) -> Option<f64>| {
        let values: Vec<Option<f64>> = answers.iter().map(|answer| value(answer.as_ref()?)).collect();
        FrameColumn::from(Series::new(name.into(), values))
    };
    let flags = |name: &str, value: &dyn Fn(&Answer) -> Option<bool>| {
        let values: Vec<Option<bool>> = answers.iter().map(|answer| value(answer.as_ref()?)).collect();
        FrameColumn::from(Series::new(name.into(), values))
    };
    let value = |answer: &Answer| Some(answer.prediction.value);
    let mut columns = match &target.kind {
        TargetKind::Regression { .. } => {
            let end = |end: fn(&Prediction) -> Option<f64>| move |answer: &Answer| end(&answer.prediction);
            vec![
                numbers(answer.to_owned(), &value),
                numbers(
                    format!("{answer}_lower"),
                    &end(|said| said.interval.map(|interval| interval.lower)),
                ),
                numbers(
                    format!("{answer}_upper"),
                    &end(|said| said.interval.map(|interval| interval.upper)),
                ),
            ]
        }
        TargetKind::Binary { .. } => vec![
            flags(answer, &|answer| Some(answer.prediction.value > 0.5)),
            numbers(format!("{answer}_probability"), &|answer| {
                Some(answer.prediction.probability())
            }),
        ],
        TargetKind::Ordinal { classes, .. } | TargetKind::Multiclass { classes, .. } => {
            let whole: Vec<Option<i64>> = answers
                .iter()
                .map(|answer| answer.as_ref().map(|answer| answer.prediction.value as i64))
                .collect();
            let mut columns = vec![Series::new(answer.into(), whole).into()];
            for (place, class) in classes.iter().enumerate() {
                columns.push(numbers(format!("{answer}_probability_{class}"), &|answer| {
                    answer.prediction.probabilities.get(place).copied()
                }));
            }
            columns
        }
    };
    if bundle.content().slices.is_some() {
        columns.push(flags("may_be_underestimated", &|answer| Some(answer.risk?.flagged)));
        columns.push(numbers("underestimation_risk".to_owned(), &|answer| {
            Some(answer.risk?.share)
        }));
    }
    columns.push(flags("out_of_distribution", &|answer| Some(!answer.outside.is_empty())));
    let version: Vec<Option<&str>> = answers.iter().map(|answer| answer.as_ref().map(|_| name)).collect();
    columns.push(Series::new("model".into(), version).into());
    columns
}
