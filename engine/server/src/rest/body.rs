//! JSON bodies, read field by field so that all faults are told at once.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::problem::{Fault, Problem};

/// A body as it arrived, or why it did not.
pub(super) type Arrived = Result<Bytes, BytesRejection>;

/// The fields of a body that were not read yet, and what is wrong so far.
pub(super) struct Body {
    fields: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Body {
    /// Reads an object. An empty body is an object without fields.
    ///
    /// # Errors
    ///
    /// 413 if it is too long, 415 if it is not declared as JSON, 400 if it is none, 422 if it is no object.
    pub(super) fn read(headers: &HeaderMap, arrived: Arrived) -> Result<Self, Problem> {
        let bytes = arrived.map_err(|error| Problem::new(error.status(), error.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self {
                fields: Map::new(),
                faults: Vec::new(),
            });
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send the header 'Content-Type: application/json' and a JSON body",
            ));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self {
                fields,
                faults: Vec::new(),
            }),
            Ok(_) => Err(Problem::invalid_fields(vec![Fault {
                pointer: String::new(),
                message: "the body is no object; write {\"field\": value}".to_owned(),
            }])),
            Err(error) => Err(Problem::bad_request(format!("the body is not JSON: {error}"))),
        }
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, field: &str, message: impl Into<String>) {
        self.faults.push(Fault {
            pointer: format!("/{field}"),
            message: message.into(),
        });
    }

    /// Anything that may be left out.
    pub(super) fn value(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    /// A text that may be left out.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        match self.fields.remove(field) {
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.fault(field, "is no text");
                None
            }
            None => None,
        }
    }

    /// A text with something in it.
    pub(super) fn required_text(&mut self, field: &str) -> String {
        let known = self.fields.contains_key(field);
        let text = self.text(field);
        match &text {
            None if !known => self.fault(field, "is missing"),
            Some(text) if text.trim().is_empty() => self.fault(field, "is empty"),
            _ => {}
        }
        text.unwrap_or_default()
    }

    /// A whole number from 1 that may be left out.
    pub(super) fn number(&mut self, field: &str) -> Option<u64> {
        let value = self.fields.remove(field)?;
        let number = value.as_u64().filter(|number| *number > 0);
        if number.is_none() {
            self.fault(field, "is no whole number from 1");
        }
        number
    }

    /// A whole number from 1.
    pub(super) fn required_number(&mut self, field: &str) -> u64 {
        if !self.fields.contains_key(field) {
            self.fault(field, "is missing");
        }
        self.number(field).unwrap_or_default()
    }

    /// A text that is read as something else, if it is there.
    pub(super) fn parsed<T>(&mut self, field: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(field)?;
        read(&text).map_err(|message| self.fault(field, message)).ok()
    }

    /// Whether a field is there and was not read yet.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// True or false; false if it is left out.
    pub(super) fn truth(&mut self, field: &str) -> bool {
        match self.fields.remove(field) {
            Some(Value::Bool(truth)) => truth,
            Some(_) => {
                self.fault(field, "is neither true nor false");
                false
            }
            None => false,
        }
    }

    /// A list of texts; none if it is left out.
    pub(super) fn texts(&mut self, field: &str) -> Vec<String> {
        let values = match self.fields.remove(field) {
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.fault(field, "is no list");
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut texts = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text),
                _ => self.fault(&format!("{field}/{index}"), "is no text"),
            }
        }
        texts
    }

    /// An object of values that may be left out.
    pub(super) fn object(&mut self, field: &str) -> Map<String, Value> {
        match self.fields.remove(field) {
            Some(Value::Object(object)) => object,
            Some(_) => {
                self.fault(field, "is no object");
                Map::new()
            }
            None => Map::new(),
        }
    }

    /// Everything was read: what is left is unknown.
    ///
    /// # Errors
    ///
    /// 422 with all faults.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let unknown: Vec<String> = self.fields.keys().cloned().collect();
        for field in unknown {
            self.fault(
                &field.replace('~', "~0").replace('/', "~1"),
                "is no field of this request",
            );
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(self.faults))
        }
    }
}
