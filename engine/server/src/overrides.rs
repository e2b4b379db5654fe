//! What an operator sets beside a DAG's file: the file stays as it is, and what is set holds until it is taken away.
//!
//! What is set goes through the same checks as the file: each part is put into a small DAG of its own, which is loaded. Where the file
//! changed since, so that a part does not fit any more, that part does not hold, and the rest does.

use std::collections::BTreeMap;

use ratchet_core::plugin::Registry;
use ratchet_core::spec::{Dag, Param, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::problem::Fault;

/// Every part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Overrides {
    /// The schedule's cron line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cron: Option<Value>,
    /// The schedule's time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<Value>,
    /// Least time between the begins of triggered runs, such as `6h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cooldown: Option<Value>,
    /// False for none, or a list as in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) triggers: Option<Value>,
    /// Defaults of parameters by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) params: Map<String, Value>,
}

impl Overrides {
    /// Reads what the store holds.
    pub(crate) fn of(document: &Value) -> Self {
        // Only what was read from it is written there.
        serde_json::from_value(document.clone()).unwrap_or_default()
    }

    /// True if nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The DAG with what holds of this, and what does not.
    pub(crate) fn apply(&self, dag: &Dag, registry: &Registry) -> (Dag, Vec<Fault>) {
        let mut changed = dag.clone();
        let mut faults = Vec::new();
        if self.cron.is_some() || self.timezone.is_some() {
            match self.schedule(dag, registry) {
                Ok(schedule) => changed.schedule = Some(schedule),
                Err(message) => {
                    let field = if self.cron.is_some() { "/cron" } else { "/timezone" };
                    faults.push(fault(field, message));
                }
            }
        }
        if let Some(cooldown) = &self.cooldown {
            match probe(dag, registry, "cooldown", cooldown.clone()) {
                Ok(probed) => changed.cooldown = probed.cooldown,
                Err(message) => faults.push(fault("/cooldown", message)),
            }
        }
        match &self.triggers {
            None => {}
            Some(Value::Bool(false)) => changed.triggers.clear(),
            Some(triggers) => match probe(dag, registry, "triggers", triggers.clone()) {
                Ok(probed) => {
                    changed.triggers = probed.triggers;
                    changed.secrets.extend(probed.secrets);
                }
                Err(message) => faults.push(fault("/triggers", message)),
            },
        }
        for (name, value) in &self.params {
            let read = match (changed.params.get(name), text(value)) {
                (None, _) => Err("is no parameter of the DAG".to_owned()),
                (_, None) => Err("is no text, number, true or false".to_owned()),
                (Some(param), Some(text)) => param.read(&text),
            };
            match (read, changed.params.get_mut(name)) {
                (Ok(value), Some(param)) => param.default = Some(value),
                (Ok(_), None) => {}
                (Err(message), _) => faults.push(fault(&format!("/params/{name}"), message)),
            }
        }
        (changed, faults)
    }

    fn schedule(&self, dag: &Dag, registry: &Registry) -> Result<Schedule, String> {
        let written = dag.schedule.as_ref();
        let cron = self.cron.clone().or(written.map(|schedule| json!(schedule.cron)));
        let cron = cron.ok_or("sets the zone of a schedule that has no cron line; set `cron` too")?;
        let timezone = self
            .timezone
            .clone()
            .or(written.map(|schedule| json!(schedule.timezone)));
        let mut schedule = json!({ "cron": cron });
        if let Some(timezone) = timezone {
            schedule["timezone"] = timezone;
        }
        let probed = probe(dag, registry, "schedule", schedule)?.schedule;
        let probed = probed.ok_or("is no schedule")?;
        Ok(match written {
            Some(written) => Schedule {
                cron: probed.cron,
                timezone: probed.timezone,
                ..written.clone()
            },
            None => probed,
        })
    }
}

/// A DAG that holds nothing but this key, its parameters and a task that needs no plugin.
fn probe(dag: &Dag, registry: &Registry, key: &str, value: Value) -> Result<Dag, String> {
    let params: BTreeMap<&String, Value> = dag.params.iter().map(|(name, param)| (name, declared(param))).collect();
    let document = json!({
        "name": dag.name, "params": params, key: value,
        "tasks": { "nobody": { "approval": { "message": "nothing is asked" } } },
    });
    ratchet_core::load(key, &document.to_string(), registry).map_err(|problems| {
        let said: Vec<String> = problems
            .problems
            .iter()
            .map(|problem| problem.message.clone())
            .collect();
        said.join("; ")
    })
}

/// A parameter as a file declares it.
fn declared(param: &Param) -> Value {
    let mut about = json!({
        "type": param.kind, "description": param.description, "default": param.default,
        "minimum": param.minimum, "maximum": param.maximum, "choices": param.choices,
    });
    if let Some(about) = about.as_object_mut() {
        about.retain(|_, value| !value.is_null());
    }
    about
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn fault(pointer: &str, message: String) -> Fault {
    Fault {
        pointer: pointer.to_owned(),
        message,
    }
}
