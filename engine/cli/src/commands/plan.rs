//! `ratchet run --dry-run`: what would run, in which order and with which configuration.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_core::template::{Reference, Scope, references, render};
use ratchet_runtime::cron::interval_of;
use ratchet_runtime::{Beginning, TaskState};
use serde_json::{Map, Value, json};

use crate::arguments::Format;
use crate::display::output;
use crate::failure::Failure;

/// Prints the plan. What only the run can know (what tasks return, the run's id) and secrets stay as they are written.
pub fn show(
    dag: &Dag,
    params: BTreeMap<String, Value>,
    logical_date: Option<Timestamp>,
    beginning: &Beginning,
    format: Format,
) -> Result<(), Failure> {
    let (interval_start, logical_date) = interval_of(dag.schedule.as_ref(), logical_date, Timestamp::now())
        .map_err(|error| Failure::input(error.to_string()))?;
    let scope = Scope {
        params,
        tasks: BTreeMap::new(),
        run: json!({
            "logical_date": logical_date.to_string(),
            "interval_start": interval_start.to_string(),
            "interval_end": logical_date.to_string(),
        }),
        secrets: BTreeMap::new(),
    };
    let mut tasks = Vec::new();
    for task in &dag.tasks {
        let kept = beginning.kept.get(&task.id);
        tasks.push(json!({
            "id": task.id,
            "uses": task.uses,
            "after": task.dependencies,
            "when": task.when,
            "plan": match kept.map(|kept| kept.state) {
                None => "run",
                Some(TaskState::Succeeded) => "keep",
                Some(_) => "leave out",
            },
            "reason": kept.map(|kept| &kept.reason),
            "with": rendered(&task.with, &scope).map_err(|message| {
                Failure::input(format!("`with` of task `{}` cannot be evaluated: {message}", task.id))
                    .help("correct the expression, or the parameters that it reads")
            })?,
        }));
    }
    if format == Format::Json {
        return output::document(&json!({
            "dag": dag.name, "logical_date": logical_date.to_string(), "interval_start": interval_start.to_string(),
            "params": scope.params, "tasks": tasks,
        }));
    }
    output::line(&format!(
        "{} from {interval_start} to {logical_date}; nothing is run",
        dag.name
    ));
    for (task, number) in tasks.iter().zip(1..) {
        output::line(&text(task, number));
    }
    Ok(())
}

fn text(task: &Value, number: usize) -> String {
    let word = |key: &str| task[key].as_str().unwrap_or_default();
    let mut lines = vec![format!("\n{number}. {}  {}", word("id"), word("uses"))];
    if word("plan") != "run" {
        lines.push(format!("   not run: {}", word("reason")));
        return lines.join("\n");
    }
    let after: Vec<&str> = task["after"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !after.is_empty() {
        lines.push(format!("   after {}", after.join(", ")));
    }
    if !word("when").is_empty() {
        lines.push(format!("   when {}", word("when")));
    }
    if let Ok(with) = serde_json::to_string_pretty(&task["with"]) {
        lines.push(format!("   with {}", with.replace('\n', "\n   ")));
    }
    lines.join("\n")
}

/// Renders each text by itself; one that reads what only the run can know is left as it is written.
fn rendered(value: &Value, scope: &Scope) -> Result<Value, String> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| rendered(item, scope))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| Ok((key.clone(), rendered(field, scope)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        Value::String(_) => {
            let found = references(value).map_err(|error| error.to_string())?;
            let later = |reference: &Reference| match reference {
                Reference::Port { .. } | Reference::Secret(_) => true,
                Reference::Run(field) => field == "id",
                Reference::Param(_) => false,
            };
            if found.iter().any(later) {
                return Ok(value.clone());
            }
            render(value, scope).map_err(|error| error.to_string())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}
