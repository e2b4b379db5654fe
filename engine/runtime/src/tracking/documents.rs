//! What MLflow is told, in its own words: milliseconds, texts, flat names.

use jiff::Timestamp;
use ratchet_core::plugin::Model;
use ratchet_core::state::RunStatus;
use serde_json::{Value, json};

use crate::event::RunEvent;
use crate::record::{RunRecord, TaskRecord};

/// Letters of the longest name, and of the longest values, that the server takes.
const NAME: usize = 250;
const PARAMETER: usize = 6000;
const TAG: usize = 5000;

/// A run there, before it is made.
pub struct Tracked {
    /// By what it is found again.
    pub key: String,
    /// For people.
    pub name: String,
    /// In milliseconds since 1970.
    pub start: i64,
    /// Key and value each.
    pub tags: Vec<Value>,
}

impl Tracked {
    /// The upper run, which stands for a run of a DAG.
    pub fn of_run(run: &RunRecord) -> Self {
        Self {
            key: run.id.clone(),
            name: format!("{} {}", run.dag, run.logical_date),
            start: millis(run.created_at),
            tags: vec![
                tag("ratchet.run", &run.id),
                tag("ratchet.dag", &run.dag),
                tag("ratchet.trigger", run.trigger.name()),
                tag("ratchet.logical_date", &run.logical_date.to_string()),
                tag("mlflow.source.name", &run.file_name),
                tag("mlflow.source.type", "JOB"),
            ],
        }
    }

    /// The run below it, which stands for a model.
    pub fn of_model(
        run: &RunRecord,
        task: &TaskRecord,
        port: &str,
        model: &Model,
        parent: &str,
        promotions: Vec<String>,
    ) -> Self {
        let name = match model.version {
            Some(version) => format!("{}@{version}", model.name),
            None => model.name.clone(),
        };
        let mut tags = vec![
            tag("mlflow.parentRunId", parent),
            tag("ratchet.run", &run.id),
            tag("ratchet.dag", &run.dag),
            tag("ratchet.task", &task.id),
            tag("ratchet.model", &name),
            tag("ratchet.bundle", &model.bundle.sha256),
            tag("ratchet.inputs", &model.inputs.join(", ")),
            tag("ratchet.source", &model.source),
            tag("ratchet.simulated", &model.simulated.to_string()),
        ];
        if !promotions.is_empty() {
            tags.push(tag("ratchet.promotion", &promotions.join("; ")));
        }
        Self {
            // It stands in quotes where it is looked for.
            key: format!("{}/{}/{port}", run.id, task.id).replace('\'', "_"),
            name,
            start: millis(task.started_at.unwrap_or(run.created_at)),
            tags,
        }
    }
}

/// How a run ended.
pub fn finished(run: &RunRecord) -> Value {
    let status = match run.status {
        RunStatus::Succeeded => "FINISHED",
        RunStatus::Failed => "FAILED",
        RunStatus::Cancelled => "KILLED",
        RunStatus::Running => "RUNNING",
    };
    json!({ "status": status, "end_time": millis(run.finished_at.unwrap_or(run.created_at)) })
}

/// How a training ended: it gave a model.
pub fn ended(at: Timestamp) -> Value {
    json!({ "status": "FINISHED", "end_time": millis(at) })
}

/// Milliseconds since 1970.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A tag; a long value is cut.
pub fn tag(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": cut(value, TAG) })
}

/// A point of a metric. JSON has no number for what is not finite; the server takes a text.
pub fn metric(name: &str, value: f64, at: i64, step: u64) -> Value {
    let value = if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    };
    json!({ "key": plain(name), "value": value, "timestamp": at, "step": step })
}

/// The points of a task's curves, as the engine keeps them. A line that is none is left out.
pub fn curve(lines: &[u8], at: i64) -> Vec<Value> {
    let lines = lines.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| match serde_json::from_slice(line) {
            Ok(RunEvent::TaskMetric { name, value, step, .. }) => Some(metric(&name, value, at, step)),
            _ => None,
        })
        .collect()
}

/// A configuration as parameters: `boosting.trees` for what is nested, lists as JSON.
pub fn flattened(configuration: &Value) -> Vec<Value> {
    fn collect(prefix: &str, value: &Value, found: &mut Vec<Value>) {
        let text = match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, field) in fields {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    collect(&format!("{prefix}{dot}{name}"), field, found);
                }
                return;
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !prefix.is_empty() {
            found.push(json!({ "key": plain(prefix), "value": cut(&text, PARAMETER) }));
        }
    }
    let mut found = Vec::new();
    collect("", configuration, &mut found);
    found
}

/// Number of a version in Ratchet and there, of a version that Ratchet registered.
pub fn numbers(version: &Value) -> Option<(u64, String)> {
    let tags = version["tags"].as_array()?;
    let ours = tags.iter().find(|tag| tag["key"] == super::VERSION)?;
    let ours = ours["value"].as_str()?.parse().ok()?;
    Some((ours, version["version"].as_str()?.to_owned()))
}

/// A name of letters that the server takes.
fn plain(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        letter if letter.is_ascii_alphanumeric() => letter,
        letter @ ('_' | '-' | '.' | ' ' | '/') => letter,
        _ => '_',
    });
    letters.take(NAME).collect()
}

fn cut(text: &str, letters: usize) -> String {
    text.chars().take(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_becomes_flat_parameters() {
        let configuration = json!({
            "name": "m", "boosting": { "trees": 200, "rate": 0.1 }, "features": ["a", { "b": 1 }], "none": null, "empty": {},
            "share (%)": true,
        });
        let parameters = flattened(&configuration);
        let found: Vec<(&str, &str)> = parameters
            .iter()
            .filter_map(|parameter| Some((parameter["key"].as_str()?, parameter["value"].as_str()?)))
            .collect();
        assert_eq!(
            found,
            [
                ("boosting.rate", "0.1"),
                ("boosting.trees", "200"),
                ("empty", "{}"),
                ("features", "[\"a\",{\"b\":1}]"),
                ("name", "m"),
                ("none", "null"),
                ("share ___", "true"),
            ]
        );
    }

    #[test]
    fn numbers_that_json_does_not_have_are_texts() {
        for (value, said) in [
            (0.5, json!(0.5)),
            (f64::NAN, json!("NaN")),
            (f64::NEG_INFINITY, json!("-Infinity")),
        ] {
            assert_eq!(metric("mae", value, 1, 2)["value"], said);
        }
    }

    #[test]
    fn points_of_curves_are_read_and_other_lines_left_out() {
        let lines =
            b"{\"type\":\"task_metric\",\"task\":\"train\",\"name\":\"loss\",\"value\":0.25,\"step\":3}\nnonsense\n";
        let points = curve(lines, 7);
        assert_eq!(
            points,
            [json!({ "key": "loss", "value": 0.25, "timestamp": 7, "step": 3 })]
        );
    }
}
