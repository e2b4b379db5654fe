//! What a ready task does next: its condition and its configuration are evaluated with what the tasks before it left.

use std::collections::BTreeMap;

use ratchet_core::plugin::Output;
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

/// Evaluates `when`, if it is asked, and `with`. A later attempt does not ask the condition again: what it said at
/// first is why the task began. `id` is that of the task, or of the instance.
pub(crate) fn prepare(spec: &TaskSpec, id: &str, ask: bool, scope: &Scope) -> Prepared {
    if ask && let Some(refused) = condition(spec, id, scope) {
        return refused;
    }
    let with = match template::render(&spec.with, scope) {
        Ok(with) => with,
        Err(error) => return Prepared::Fail(failure("with", id, error)),
    };
    match environment(spec, id, scope) {
        Ok(environment) => Prepared::Start(Rendered { with, environment }),
        Err(failure) => Prepared::Fail(failure),
    }
}

/// What a condition that does not hold makes of its task; none if it holds, or there is none.
pub(crate) fn condition(spec: &TaskSpec, id: &str, scope: &Scope) -> Option<Prepared> {
    let when = spec.when.as_deref()?;
    match template::evaluate(when, scope) {
        Ok(value) if is_true(&value) => None,
        Ok(value) => Some(Prepared::Skip(format!("its condition `{}` is {value}", when.trim()))),
        Err(error) => Some(Prepared::Fail(failure("when", id, error))),
    }
}

fn environment(spec: &TaskSpec, id: &str, scope: &Scope) -> Result<BTreeMap<String, String>, Failure> {
    let rendered = spec.environment.iter().map(|(name, text)| {
        let value = template::render(&Value::String(text.clone()), scope)
            .map_err(|error| failure("environment", id, error))?;
        let value = match value {
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(Failure {
                    message: format!("the variable `{name}` of task `{id}` is no text"),
                    help: Some("a variable takes text, a number, `true` or `false`: write `| default('')`, or one field of the value".to_owned()),
                });
            }
        };
        Ok((name.clone(), value))
    });
    rendered.collect()
}

pub(crate) fn failure(key: &str, id: &str, error: TemplateError) -> Failure {
    let TemplateError {
        expression,
        message,
        help,
    } = error;
    Failure {
        message: format!("`{key}` of task `{id}` cannot be evaluated: `{expression}`: {message}"),
        help,
    }
}

/// What expressions see of a task.
pub(crate) fn ports(outputs: &BTreeMap<String, Output>) -> BTreeMap<String, Value> {
    outputs
        .iter()
        .map(|(port, output)| (port.clone(), output.to_json()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_true;

    /// Y-057
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
