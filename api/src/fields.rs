//! Small JSON documents, read field by field so that all faults are named at once.

use std::str::FromStr;

use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::predict::body;
use crate::predict::format::Format;
use crate::problem::{FieldError, Problem};

/// An object whose fields are taken out one by one.
#[derive(Debug)]
pub struct Fields {
    rest: Map<String, Value>,
    prefix: String,
    faults: Vec<FieldError>,
}

/// Reads a body that is one JSON document.
///
/// # Errors
/// 400, 413 or 415.
pub async fn read_json(headers: &HeaderMap, content: Body) -> Result<Value, Problem> {
    if Format::of(headers) != Some(Format::Json) {
        return Err(Problem::unsupported_media_type());
    }
    let content = body::read(headers, content).await?;
    serde_json::from_slice(&content).map_err(|error| Problem::broken_json(&error))
}

impl Fields {
    /// The fields of a body.
    ///
    /// # Errors
    /// 400, 413, 415, or 422 if it is no object.
    pub async fn read(headers: &HeaderMap, content: Body) -> Result<Fields, Problem> {
        match read_json(headers, content).await? {
            Value::Object(rest) => Ok(Fields::new(rest, "")),
            _ => Err(Problem::invalid_fields(
                vec![fault("", "wrong_type", "expected an object")],
                1,
            )),
        }
    }

    /// The fields of an object that stands at `prefix` in the body.
    pub fn new(rest: Map<String, Value>, prefix: &str) -> Fields {
        Fields {
            rest,
            prefix: prefix.to_owned(),
            faults: Vec::new(),
        }
    }

    /// A text that has to be there; empty if it is not.
    pub fn text(&mut self, name: &str) -> String {
        match self.rest.remove(name) {
            Some(Value::String(text)) => text,
            Some(_) => self.refuse(name, "wrong_type", "expected a string"),
            None => self.refuse(name, "missing", "it is missing"),
        }
    }

    /// A word out of a few, or none.
    pub fn word<T: FromStr>(&mut self, name: &str, words: &str) -> Option<T> {
        let found = match self.rest.remove(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        if found.is_none() {
            let _: String = self.refuse(name, "unknown_word", &format!("expected one of {words}"));
        }
        found
    }

    /// True or false, or the usual.
    pub fn flag(&mut self, name: &str, usual: bool) -> bool {
        match self.rest.remove(name) {
            None | Some(Value::Null) => usual,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                let _: String = self.refuse(name, "wrong_type", "expected true or false");
                usual
            }
        }
    }

    /// Anything, or null if it is not there.
    pub fn value(&mut self, name: &str) -> Value {
        self.rest.remove(name).unwrap_or_default()
    }

    /// Whether a fault of a field was noted.
    pub fn has_fault(&self, name: &str) -> bool {
        let pointer = format!("{}/{name}", self.prefix);
        self.faults.iter().any(|fault| fault.pointer == pointer)
    }

    /// Notes a fault of a field.
    pub fn refuse<T: Default>(&mut self, name: &str, code: &'static str, message: &str) -> T {
        self.faults
            .push(fault(&format!("{}/{name}", self.prefix), code, message));
        T::default()
    }

    /// All faults, those of fields that nobody asked for included.
    pub fn faults(mut self) -> Vec<FieldError> {
        let unknown: Vec<String> = self.rest.keys().map(|name| pointer(&self.prefix, name)).collect();
        for pointer in unknown {
            self.faults.push(fault(&pointer, "unknown", "there is no such field"));
        }
        self.faults
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with all faults.
    pub fn finish(self) -> Result<(), Problem> {
        let faults = self.faults();
        match faults.len() {
            0 => Ok(()),
            found => Err(Problem::invalid_fields(faults, found)),
        }
    }
}

fn pointer(prefix: &str, name: &str) -> String {
    format!("{prefix}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn fault(pointer: &str, code: &'static str, message: &str) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        code,
        message: message.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_identity::Role;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_faults_are_named_at_once() {
        let body = json!({"username": 3, "role": "king", "a/b": 1, "on": "yes"});
        let mut fields = Fields::new(body.as_object().unwrap().clone(), "/0");
        assert_eq!(fields.text("username"), "");
        assert_eq!(fields.text("password"), "");
        assert_eq!(fields.word::<Role>("role", "user, operator, admin"), None);
        assert!(fields.flag("on", true));
        let pointers: Vec<_> = fields.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/0/username", "/0/password", "/0/role", "/0/on", "/0/a~1b"]);
    }
}
