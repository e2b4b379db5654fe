//! `ratchet runs cancel | retry | clear | mark` with `--server`: the service does it, and the same is said.

use ratchet_runtime::{RunEvent, RunStatus};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::operate::{CANCEL_LIMIT, LOOK, close, say_ended, say_marked, say_waits, state_of, still_running};
use super::runs::{record, show_there};
use crate::arguments::{Mark, Retry};
use crate::display::progress::Progress;
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::Settings;

#[derive(Deserialize)]
struct Marked {
    status: RunStatus,
}

/// Ends a run and waits until it has ended.
pub async fn cancel(client: &Client, run: &str) -> Result<(), Failure> {
    let asked = record(
        client
            .post(&["api", "v1", "runs", run, "cancel"], &[], &json!({}))
            .await?,
    )?;
    let until = Instant::now() + CANCEL_LIMIT;
    while Instant::now() < until {
        let (now, _) = show_there(client, &asked.id).await?;
        if now.status != RunStatus::Running {
            say_ended(&now);
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(still_running(&asked.id, " --server URL"))
}

/// Repeats an ended run as a new one and waits for its end. If this program is ended meanwhile, the run goes on.
pub async fn retry(client: &Client, arguments: &Retry, settings: &Settings) -> Result<(), Failure> {
    let mut params = Map::new();
    for (name, value) in &arguments.params {
        if params.insert(name.clone(), json!(value)).is_some() {
            return Err(Failure::input(format!("parameter `{name}` is given twice")).help("give it once"));
        }
    }
    let wanted = json!({ "from": arguments.from, "only_task": arguments.only_task, "params": params });
    let made = again(client, &arguments.run, "retry", &wanted).await?;
    let (made, tasks) = show_there(client, &made).await?;
    let names = tasks.iter().map(|task| task.id.as_str());
    Progress::new(names, settings.quiet, settings.verbose).show(&RunEvent::RunStarted {
        run: made.id.clone(),
        dag: made.dag,
    });
    loop {
        let (run, tasks) = show_there(client, &made.id).await?;
        if run.status != RunStatus::Running {
            return close(&run, &tasks, arguments.listing.format);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Repeats an ended run from these tasks on and leaves the new run to the service.
pub async fn clear(client: &Client, run: &str, tasks: &[String], only: bool) -> Result<(), Failure> {
    let made = again(client, run, "clear", &json!({ "tasks": tasks, "only_task": only })).await?;
    say_waits(&made);
    Ok(())
}

async fn again(client: &Client, run: &str, how: &str, wanted: &Value) -> Result<String, Failure> {
    let made = client.post(&["api", "v1", "runs", run, how], &[], wanted).await?;
    Ok(record(made)?.id)
}

/// Corrects by hand what a task came to.
pub async fn mark(client: &Client, run: &str, task: &str, mark: Mark) -> Result<(), Failure> {
    let state = state_of(mark);
    let path = ["api", "v1", "runs", run, "tasks", task, "mark"];
    let marked: Marked = client.post(&path, &[], &json!({ "state": state })).await?;
    say_marked(task, state, marked.status);
    Ok(())
}
