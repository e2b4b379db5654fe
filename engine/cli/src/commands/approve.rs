//! `ratchet runs approve`: a yes or a no to a task that asks, here or on a service.

use std::collections::BTreeMap;

use ratchet_runtime::{Answer, ApprovalRecord, Engine};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::arguments::Approve;
use crate::display::{describe, output};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings;

#[derive(Deserialize)]
struct Answered {
    answer: Answer,
}

/// Answers the question of a task in the home directory.
pub async fn here(engine: &Engine, arguments: &Approve) -> Result<(), Failure> {
    let given = fields(&arguments.fields)?;
    let approved = !arguments.reject;
    let reason = arguments.reason.as_deref();
    let actor = settings::actor();
    let answer = engine
        .approve(&arguments.run, &arguments.task, approved, &given, reason, &actor)
        .await?;
    say(&arguments.task, &answer);
    Ok(())
}

/// Answers it on a service.
pub async fn there(client: &Client, arguments: &Approve) -> Result<(), Failure> {
    let given: Map<String, Value> = fields(&arguments.fields)?
        .into_iter()
        .map(|(name, value)| (name, json!(value)))
        .collect();
    let mut body = json!({ "approved": !arguments.reject, "fields": given });
    if let Some(reason) = &arguments.reason {
        body["reason"] = json!(reason);
    }
    let path = ["api", "v1", "runs", &arguments.run, "tasks", &arguments.task, "approve"];
    let answered: Answered = client.post(&path, &[], &body).await?;
    say(&arguments.task, &answered.answer);
    Ok(())
}

fn say(task: &str, answer: &Answer) {
    output::line(&format!("task {task} is {}", answer.told()));
}

fn fields(given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut fields = BTreeMap::new();
    for (name, value) in given {
        if fields.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::input(format!("field `{name}` is given twice")).help("give it once"));
        }
    }
    Ok(fields)
}

/// A line for each question that nobody has answered.
pub fn awaited(run: &str, asked: &[ApprovalRecord]) -> Vec<String> {
    let open = asked.iter().filter(|asked| asked.answer.is_none());
    open.map(|asked| {
        let until = match asked.deadline {
            Some(deadline) => format!(" until {}", describe::instant(deadline)),
            None => String::new(),
        };
        format!(
            "{} waits{until} for an operator: `ratchet runs approve {run} {}`, or with --reject",
            asked.task, asked.task
        )
    })
    .collect()
}
