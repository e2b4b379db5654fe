//! Reading a body that is one JSON document: its length, its rows.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// Longest body, in bytes.
pub const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// Most rows in one request.
pub const ROW_LIMIT: usize = 10_000;
/// How much of a body that is too long is read and thrown away, so that its sender gets to read the answer.
const DISCARD_LIMIT: usize = 32 * 1024 * 1024;
/// How long a body that is thrown away may be silent.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// The rows of a request, and whether they came as a list.
#[derive(Debug, PartialEq)]
pub enum Sent {
    /// One row, to be answered by one object.
    Row(Map<String, Value>),
    /// Rows, to be answered by a list in the same order.
    Rows(Vec<Map<String, Value>>),
}

impl Sent {
    /// The first row.
    pub fn first(&self) -> Option<&Map<String, Value>> {
        match self {
            Sent::Row(row) => Some(row),
            Sent::Rows(rows) => rows.first(),
        }
    }
}

/// Reads a body as a whole, up to [`BODY_LIMIT`].
///
/// # Errors
/// 413, or 400 if the body breaks off.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large = announced.is_some_and(|length| length > BODY_LIMIT);
    // Who asks first does not send the body once it hears the answer.
    if too_large && headers.contains_key(header::EXPECT) {
        return Err(Problem::body_too_large(BODY_LIMIT));
    }
    let mut stream = body.into_data_stream();
    let mut content = BytesMut::with_capacity(announced.unwrap_or(0).min(BODY_LIMIT));
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::broken_body())?;
        length += chunk.len();
        if length > DISCARD_LIMIT {
            break;
        }
        if length <= BODY_LIMIT {
            content.extend_from_slice(&chunk);
        }
    }
    if length > BODY_LIMIT {
        Err(Problem::body_too_large(BODY_LIMIT))
    } else {
        Ok(content.freeze())
    }
}

/// Reads on and throws away, so that the sender gets to read why it was refused.
pub async fn discard(mut stream: BodyDataStream) {
    let mut length = 0;
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(DISCARD_TIME, stream.next()).await {
        length += chunk.len();
        if length > DISCARD_LIMIT {
            break;
        }
    }
}

/// Reads one row or a list of rows from JSON.
///
/// # Errors
/// 400 with the place if it is not JSON, 422 if it is neither an object nor a list of at most [`ROW_LIMIT`] objects.
pub fn parse(content: &[u8]) -> Result<Sent, Problem> {
    match serde_json::from_slice(content).map_err(|error| Problem::broken_json(&error))? {
        Value::Object(row) => Ok(Sent::Row(row)),
        Value::Array(values) if values.len() > ROW_LIMIT => {
            let message = format!("the list has {} rows; send at most {ROW_LIMIT} at once", values.len());
            Err(Problem::invalid_fields(
                vec![fault(String::new(), "too_many_rows", message)],
                1,
            ))
        }
        Value::Array(values) => {
            let count = values.len();
            let mut rows = Vec::with_capacity(count);
            let mut faults = Vec::new();
            for (index, value) in values.into_iter().enumerate() {
                match value {
                    Value::Object(row) => rows.push(row),
                    _ => faults.push(fault(
                        format!("/{index}"),
                        "wrong_type",
                        "expected an object, a row".to_owned(),
                    )),
                }
            }
            let found = faults.len();
            if found == 0 {
                Ok(Sent::Rows(rows))
            } else {
                Err(Problem::invalid_fields(faults, found))
            }
        }
        _ => {
            let message = "expected an object (a row) or a list of objects".to_owned();
            Err(Problem::invalid_fields(
                vec![fault(String::new(), "wrong_type", message)],
                1,
            ))
        }
    }
}

fn fault(pointer: String, code: &'static str, message: String) -> FieldError {
    FieldError { pointer, code, message }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_objects_alone_or_in_a_list() {
        assert!(matches!(parse(b"{}"), Ok(Sent::Row(_))));
        assert!(matches!(parse(b"[{}, {}]"), Ok(Sent::Rows(rows)) if rows.len() == 2));
        assert!(matches!(parse(b"[]"), Ok(Sent::Rows(rows)) if rows.is_empty()));
        assert_eq!(parse(b"3").unwrap_err().errors[0].pointer, "");
        let problem = parse(b"[{}, 3, {}, null]").unwrap_err();
        let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!((problem.status, pointers), (422, vec!["/1", "/3"]));
    }

    #[test]
    fn the_row_limit_is_a_limit_and_not_one_less() {
        let list = |rows: usize| format!("[{}]", vec!["{}"; rows].join(","));
        assert!(parse(list(ROW_LIMIT).as_bytes()).is_ok());
        let problem = parse(list(ROW_LIMIT + 1).as_bytes()).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].code), (422, "too_many_rows"));
    }

    #[test]
    fn broken_json_and_bottomless_nesting_are_400() {
        assert_eq!(parse(b"").unwrap_err().status, 400);
        assert_eq!(parse(b"{\"a\": 1").unwrap_err().status, 400);
        assert_eq!(parse(&[b'['; 100_000]).unwrap_err().status, 400);
        assert_eq!(parse(b"{\"a\": \"\xff\"}").unwrap_err().status, 400);
        assert_eq!(parse(b"{\"a\": 1e999}").unwrap_err().status, 400);
    }
}
