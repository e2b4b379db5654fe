//! Answers as output tensors, in JSON or in bytes behind it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::request::InferRequest;
use crate::predict::columns::{AnswerColumn, ColumnKind, text, values};
use crate::problem::Problem;

/// Length of the JSON in front of tensors in bytes.
pub const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The protocol's word for what a column holds.
pub fn datatype(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Boolean => "BOOL",
        ColumnKind::Integer => "INT64",
        ColumnKind::Number => "FP64",
        ColumnKind::Text => "BYTES",
    }
}

/// The response. `head` holds what stands beside the outputs.
///
/// # Errors
/// 400 for an output that the model does not have, 500 for an answer that is no finite number.
pub fn encode(
    mut head: Map<String, Value>,
    request: &InferRequest,
    columns: &[AnswerColumn],
    answers: &[Map<String, Value>],
) -> Result<Response, Refusal> {
    let cells: Vec<Vec<&Value>> = answers.iter().map(values).collect();
    let mut outputs = Vec::new();
    let mut binary = Vec::new();
    for (place, in_bytes) in wanted(request, columns)? {
        let column = &columns[place];
        let data: Vec<&Value> = cells.iter().map(|row| row[place]).collect();
        // A number that JSON cannot write has become null on the way.
        if column.kind != ColumnKind::Text && data.iter().any(|value| value.is_null()) {
            return Err(Problem::internal().into());
        }
        let shape = if request.upright {
            json!([data.len(), 1])
        } else {
            json!([data.len()])
        };
        let mut output = json!({"name": column.name, "datatype": datatype(column.kind), "shape": shape});
        if in_bytes {
            let before = binary.len();
            data.iter().for_each(|value| write(value, column.kind, &mut binary));
            output["parameters"] = json!({"binary_data_size": binary.len() - before});
        } else {
            output["data"] = match column.kind {
                ColumnKind::Text => data.into_iter().map(|value| Value::String(text(value))).collect(),
                _ => data.into_iter().cloned().collect(),
            };
        }
        outputs.push(output);
    }
    head.insert("outputs".to_owned(), Value::Array(outputs));
    let json = serde_json::to_vec(&head).map_err(|_| Problem::internal())?;
    if binary.is_empty() {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        return Ok((kind, json).into_response());
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (JSON_LENGTH, HeaderValue::from(json.len())),
    ];
    Ok((headers, [json, binary].concat()).into_response())
}

/// Positions of the outputs that are wanted, and whether they come in bytes.
fn wanted(request: &InferRequest, columns: &[AnswerColumn]) -> Result<Vec<(usize, bool)>, Refusal> {
    if request.outputs.is_empty() {
        return Ok((0..columns.len())
            .map(|place| (place, request.binary_outputs))
            .collect());
    }
    let find = |(name, in_bytes): &(String, Option<bool>)| {
        let place = columns.iter().position(|column| column.name == *name);
        let place =
            place.ok_or_else(|| Refusal::bad(format!("the model has no output '{name}'; its metadata lists them")))?;
        Ok((place, in_bytes.unwrap_or(request.binary_outputs)))
    };
    request.outputs.iter().map(find).collect()
}

fn write(value: &Value, kind: ColumnKind, output: &mut Vec<u8>) {
    match kind {
        ColumnKind::Boolean => output.push(u8::from(value.as_bool().unwrap_or(false))),
        ColumnKind::Integer => output.extend(value.as_i64().unwrap_or_default().to_le_bytes()),
        ColumnKind::Number => output.extend(value.as_f64().unwrap_or(f64::NAN).to_le_bytes()),
        ColumnKind::Text => {
            let text = text(value);
            output.extend((text.len() as u32).to_le_bytes());
            output.extend(text.as_bytes());
        }
    }
}
