//! Expressions with values.

use std::collections::BTreeMap;

use minijinja::value::ValueKind;
use serde_json::Value;

use super::error::TemplateError;
use super::expression::{ENVIRONMENT, Expression, Reference, inner};
use super::render::Scope;

/// The value of one expression, with or without its `${{ }}`; for `when`.
///
/// # Errors
///
/// What [`crate::load`] would refuse, a name without a value, and whatever the computation meets.
pub fn evaluate(expression: &str, scope: &Scope) -> Result<Value, TemplateError> {
    value_of(&Expression::parse(inner(expression))?, scope)
}

/// Whether a value counts as true, as in most template languages: false, null, zero and what is empty do not.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

pub(super) fn value_of(expression: &Expression<'_>, scope: &Scope) -> Result<Value, TemplateError> {
    if let Some(reference) = &expression.bare {
        return lookup(reference, scope)
            .cloned()
            .ok_or_else(|| absent(expression, scope));
    }
    let source = expression.source;
    let failed = |error: minijinja::Error| match error.kind() {
        minijinja::ErrorKind::UndefinedError => absent(expression, scope),
        _ => {
            let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            TemplateError::new(source, format!("{}{detail}", error.kind()))
        }
    };
    let compiled = ENVIRONMENT.compile_expression(&expression.rewritten).map_err(failed)?;
    let value = compiled.eval(context(expression, scope)).map_err(failed)?;
    if value.is_undefined() {
        return Err(absent(expression, scope));
    }
    to_json(source, &value, 0)
}

fn lookup<'a>(reference: &Reference, scope: &'a Scope) -> Option<&'a Value> {
    match reference {
        Reference::Param(name) => scope.params.get(name),
        Reference::Port { task, port } => scope.tasks.get(task)?.get(port),
        Reference::Run(field) => scope.run.get(field),
        Reference::Secret(name) => scope.secrets.get(name),
    }
}

/// Only what the expression reads: a scope may hold thousands of tasks.
fn context(expression: &Expression<'_>, scope: &Scope) -> minijinja::Value {
    let mut params = BTreeMap::new();
    let mut run = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    let mut tasks: BTreeMap<&str, BTreeMap<&str, &Value>> = BTreeMap::new();
    for reference in &expression.references {
        let value = lookup(reference, scope);
        match reference {
            Reference::Param(name) => params.extend(value.map(|value| (name.as_str(), value))),
            Reference::Run(field) => run.extend(value.map(|value| (field.as_str(), value))),
            Reference::Secret(name) => secrets.extend(value.map(|value| (name.as_str(), value))),
            // A task that left nothing still has to be there: `default()` looks at its port.
            Reference::Port { task, port } => {
                tasks
                    .entry(task)
                    .or_default()
                    .extend(value.map(|value| (port.as_str(), value)));
            }
        }
    }
    minijinja::context! { params => params, run => run, secrets => secrets, tasks => tasks }
}

/// Where a secret of that name may stand, as a remedy.
pub fn secret_places(name: &str) -> String {
    format!(
        "set the environment variable RATCHET_SECRET_{name}, write a line `{name}=...` into the file that \
         RATCHET_SECRETS_FILE names, or a file `{name}` into the directory that RATCHET_SECRETS_DIRECTORY names"
    )
}

/// What to say about a value that is not there.
fn absent(expression: &Expression<'_>, scope: &Scope) -> TemplateError {
    let missing = expression
        .references
        .iter()
        .find(|reference| lookup(reference, scope).is_none());
    let source = expression.source;
    match missing {
        Some(Reference::Port { task, port }) => TemplateError::new(
            source,
            format!("task `{task}` left no `{port}`: it was skipped, failed or did not run"),
        )
        .with_help("write `| default(none)` behind the reference where its absence is fine"),
        Some(Reference::Param(name)) => TemplateError::new(source, format!("parameter `{name}` has no value"))
            .with_help(format!("give it with `-p {name}=...` or declare a default")),
        Some(Reference::Run(field)) => TemplateError::new(source, format!("this run has no `{field}`")),
        Some(Reference::Secret(name)) => {
            TemplateError::new(source, format!("the secret `{name}` is nowhere")).with_help(secret_places(name))
        }
        None => TemplateError::new(source, "it reads something that is not there")
            .with_help("look at the names behind the reference, or catch their absence with `default()`"),
    }
}

fn to_json(source: &str, value: &minijinja::Value, depth: usize) -> Result<Value, TemplateError> {
    if depth > 64 {
        return Err(TemplateError::new(
            source,
            "the value is nested more than 64 levels deep",
        ));
    }
    let not_data = || TemplateError::new(source, format!("the result is not data but a {}", value.kind()));
    match value.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::String => Ok(Value::String(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Number => match serde_json::to_value(value) {
            Ok(Value::Number(number)) => Ok(Value::Number(number)),
            _ => Err(TemplateError::new(
                source,
                format!("the result {value} is not a number that JSON can keep"),
            )),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| not_data())?;
            items.map(|item| to_json(source, &item, depth + 1)).collect()
        }
        ValueKind::Map => {
            let keys = value.try_iter().map_err(|_| not_data())?;
            let mut entries = serde_json::Map::new();
            for key in keys {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let entry = value.get_item(&key).map_err(|_| not_data())?;
                entries.insert(name, to_json(source, &entry, depth + 1)?);
            }
            Ok(Value::Object(entries))
        }
        ValueKind::Undefined => Err(TemplateError::new(source, "a part of the result is undefined")),
        _ => Err(not_data()),
    }
}
