//! What a ready task does next: its condition and its configuration are evaluated with what the tasks before it left.

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
    /// It starts with this configuration.
    Start(Value),
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
    match template::render(&spec.with, scope) {
        Ok(with) => Prepared::Start(with),
        Err(error) => Prepared::Fail(failure("with", spec, error)),
    }
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
