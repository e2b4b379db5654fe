//! What a ready task does next: its condition and its configuration are evaluated with what the tasks before it left.

use std::collections::BTreeMap;

use ratchet_core::spec::TaskSpec;
use ratchet_core::template::{self, Scope, TemplateError, is_true};
use serde_json::Value;

use crate::record::Failure;

/// What becomes of a ready task.
#[derive(Debug, PartialEq)]
pub(crate) enum Prepared {
    /// Its condition is false, for this reason.
    Skip(String),
    /// Its condition or its configuration cannot be evaluated.
    Fail(Failure),
    /// It starts with this.
    Start(Rendered),
}

/// What an attempt is given, secrets included: never kept and never told.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    pub with: Value,
    pub environment: BTreeMap<String, String>,
}

/// Evaluates `when`, if the task was never started, and `with`. A later attempt does not ask the condition again: what
/// it said at first is why the task began.
pub(crate) fn prepare(spec: &TaskSpec, never_started: bool, scope: &Scope) -> Prepared {
    if let Some(when) = spec.when.as_deref().filter(|_| never_started) {
        match template::evaluate(when, scope) {
            Ok(value) if is_true(&value) => {}
            Ok(value) => return Prepared::Skip(format!("its condition `{}` is {value}", when.trim())),
            Err(error) => return Prepared::Fail(failure("when", spec, error)),
        }
    }
    let with = match template::render(&spec.with, scope) {
        Ok(with) => with,
        Err(error) => return Prepared::Fail(failure("with", spec, error)),
    };
    match environment(spec, scope) {
        Ok(environment) => Prepared::Start(Rendered { with, environment }),
        Err(failure) => Prepared::Fail(failure),
    }
}

fn environment(spec: &TaskSpec, scope: &Scope) -> Result<BTreeMap<String, String>, Failure> {
    let rendered = spec.environment.iter().map(|(name, text)| {
        let value = template::render(&Value::String(text.clone()), scope)
            .map_err(|error| failure("environment", spec, error))?;
        let value = match value {
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(Failure {
                    message: format!("the variable `{name}` of task `{}` is no text", spec.id),
                    help: Some("a variable takes text, a number, `true` or `false`: write `| default('')`, or one field of the value".to_owned()),
                });
            }
        };
        Ok((name.clone(), value))
    });
    rendered.collect()
}

fn failure(key: &str, spec: &TaskSpec, error: TemplateError) -> Failure {
    let TemplateError {
        expression,
        message,
        help,
    } = error;
    Failure {
        message: format!(
            "`{key}` of task `{}` cannot be evaluated: `{expression}`: {message}",
            spec.id
        ),
        help,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_true;

    #[test]
    fn what_is_false_null_zero_or_empty_is_not_true() {
        for value in [
            json!(null),
            json!(false),
            json!(0),
            json!(0.0),
            json!(""),
            json!([]),
            json!({}),
        ] {
            assert!(!is_true(&value), "{value}");
        }
        for value in [
            json!(true),
            json!(-1),
            json!(0.1),
            json!("false"),
            json!([0]),
            json!({ "a": null }),
        ] {
            assert!(is_true(&value), "{value}");
        }
    }
}
