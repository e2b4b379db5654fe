//! An answer as columns, for formats that know no nesting: `interval.lower` is the `lower` of `interval`.

use serde_json::{Map, Value};

use super::answer::Answering;
use crate::problem::Problem;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text; a list of texts is joined by `;`.
    Text,
}

/// One column of every answer of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerColumn {
    /// Its path in the JSON answer, joined by dots.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// The columns of every answer that `answering` gives, in the order of the JSON's keys.
///
/// They are those of the answer to the bundle's own example: which keys an answer has depends on the bundle, not on the row.
///
/// # Errors
/// 500 if the bundle does not answer its example, which loading it has tried.
pub fn columns(answering: &Answering) -> Result<Vec<AnswerColumn>, Problem> {
    let example = answering.served.bundle.example();
    let rows = answering
        .served
        .bundle
        .parse(&example)
        .map_err(|_| Problem::internal())?;
    let answer = answering.rows(&rows)?.answers.pop().ok_or_else(Problem::internal)?;
    let mut columns = Vec::new();
    flatten("", &answer, &mut |name, value| {
        let kind = match value {
            Value::Bool(_) => ColumnKind::Boolean,
            Value::Number(number) if number.is_f64() => ColumnKind::Number,
            Value::Number(_) => ColumnKind::Integer,
            _ => ColumnKind::Text,
        };
        columns.push(AnswerColumn { name, kind });
    });
    Ok(columns)
}

/// The values of an answer in the order of [`columns`].
pub fn values(answer: &Map<String, Value>) -> Vec<&Value> {
    let mut found = Vec::new();
    collect(answer, &mut found);
    found
}

fn collect<'a>(object: &'a Map<String, Value>, found: &mut Vec<&'a Value>) {
    for value in object.values() {
        match value {
            Value::Object(inner) => collect(inner, found),
            value => found.push(value),
        }
    }
}

fn flatten(prefix: &str, object: &Map<String, Value>, each: &mut dyn FnMut(String, &Value)) {
    for (key, value) in object {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, each),
            value => each(name, value),
        }
    }
}

/// A value of a [`ColumnKind::Text`] column as text, or any other as JSON writes it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(";"),
        value => value.to_string(),
    }
}
