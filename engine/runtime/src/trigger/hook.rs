//! Calls from outside.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_artifacts::sha256;
use ratchet_core::spec::{Dag, Trigger};
use ratchet_core::template::{Scope, references, render};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::record::NewEvent;
use super::start::Triggered;
use crate::engine::Engine;
use crate::error::{EngineError, StoreError};
use crate::secrets::Secrets;

/// A call that starts nothing.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such webhook, or the token is another one. Not told apart: a stranger learns no names.
    #[error("there is no such webhook, or the token is not its own")]
    Refused,
    /// The DAG or its trigger is paused.
    #[error("{0}")]
    Paused(String),
    /// The body does not give the parameters.
    #[error("the body does not fit: {}", .0.join("; "))]
    Body(Vec<String>),
    /// The token is nowhere.
    #[error("{0}")]
    Token(String),
    /// The metadata failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for HookError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Takes a call of a DAG's webhook: with the right token, it is kept as an event, with parameters from the body. The
    /// same `key` is the same call.
    ///
    /// # Errors
    ///
    /// See [`HookError`].
    pub async fn call_hook(
        &self,
        dag: Option<&Dag>,
        token: &str,
        body: &Value,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Triggered, HookError> {
        let webhook = dag.and_then(|dag| Some((dag, dag.triggers.iter().find_map(hook)?)));
        let Some((dag, (trigger, expected, mapping))) = webhook else {
            return Err(HookError::Refused);
        };
        let expected = secret(expected).map_err(HookError::Token)?;
        if expected.is_empty() || !is_same(token, &expected) {
            return Err(HookError::Refused);
        }
        if self.store().pauses().await?.contains_key(&dag.name) {
            let remedy = format!("the DAG is paused; `ratchet dags unpause {}` lets it go on", dag.name);
            return Err(HookError::Paused(remedy));
        }
        self.store().begin_trigger(&dag.name, trigger, "null", &[], now).await?;
        let record = self.store().trigger(&dag.name, trigger).await?;
        if let Some(reason) = record.as_ref().and_then(|record| record.paused_reason.clone()) {
            return Err(HookError::Paused(format!(
                "the trigger paused itself ({reason}); `ratchet dags unpause {}` lets it go on",
                dag.name
            )));
        }
        let params = read(mapping, body)?;
        dag.bind(&params).map_err(HookError::Body)?;
        let event = NewEvent {
            event: match key {
                Some(key) => format!("key {}", sha256(key.as_bytes())),
                None => Uuid::now_v7().to_string(),
            },
            what: "somebody called the webhook".to_owned(),
            subject: None,
            params,
        };
        if let Some(record) = record {
            let seen = record.seen.clone();
            self.store()
                .trigger_found(&dag.name, &record, &seen, &[event], now)
                .await?;
        }
        Ok(self.start_triggered(dag, now).await?)
    }
}

fn hook(trigger: &Trigger) -> Option<(&Trigger, &str, &BTreeMap<String, String>)> {
    match trigger {
        Trigger::Webhook { token, params } => Some((trigger, token, params)),
        _ => None,
    }
}

/// The token with its secrets in it.
fn secret(token: &str) -> Result<String, String> {
    let text = Value::String(token.to_owned());
    let mut scope = Scope::default();
    let places = Secrets::from_environment();
    for reference in references(&text).map_err(|error| error.to_string())? {
        if let ratchet_core::template::Reference::Secret(name) = reference
            && let Some(value) = places.get(&name).map_err(|error| error.to_string())?
        {
            scope.secrets.insert(name, Value::String(value));
        }
    }
    match render(&text, &scope) {
        Ok(Value::String(token)) => Ok(token.trim().to_owned()),
        Ok(_) => Err("the token of the webhook is no text".to_owned()),
        Err(error) => Err(format!("the token of the webhook cannot be looked up: {error}")),
    }
}

/// Takes the same time whatever the difference: what is compared are digests, all of them to the end.
fn is_same(given: &str, expected: &str) -> bool {
    let (given, expected) = (Sha256::digest(given), Sha256::digest(expected));
    let differences = given
        .iter()
        .zip(&expected)
        .fold(0, |all, (one, other)| all | (one ^ other));
    std::hint::black_box(differences) == 0
}

/// The values of parameters that the body gives, as texts. What it does not give has its default.
fn read(mapping: &BTreeMap<String, String>, body: &Value) -> Result<BTreeMap<String, String>, HookError> {
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, pointer) in mapping {
        match body.pointer(pointer) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => drop(values.insert(name.clone(), text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => drop(values.insert(name.clone(), value.to_string())),
            Some(Value::Array(_) | Value::Object(_)) => {
                problems.push(format!("{pointer} is no text, number, true or false"));
            }
        }
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(HookError::Body(problems))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_the_same_or_not() {
        assert!(is_same("abc", "abc"));
        for other in ["", "ab", "abcd", "abd", "ABC"] {
            assert!(!is_same(other, "abc"), "{other}");
        }
    }

    #[test]
    fn parameters_come_from_their_places_in_the_body() {
        let mapping = [("until", "/data/until"), ("rows", "/data/rows"), ("city", "/city")]
            .map(|(name, pointer)| (name.to_owned(), pointer.to_owned()))
            .into();
        let body = json!({ "data": { "until": "2017-05-01", "rows": 7 }, "other": true });
        let values = read(&mapping, &body).ok();
        let expected = [("until", "2017-05-01"), ("rows", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(values, Some(expected));
        assert!(read(&mapping, &json!({ "city": ["York"] })).is_err());
        assert_eq!(read(&mapping, &Value::Null).ok(), Some(BTreeMap::new()));
    }
}
