//! Tells others how a run ended: a POST in Slack's format to each webhook of the DAG.
//!
//! A message is sent after the end of the run is recorded and changes nothing of it. An engine that is killed in between
//! sends none.

use std::sync::Arc;
use std::time::Duration;

use ratchet_core::spec::{Dag, Notify, NotifyOn};
use ratchet_core::state::{RunStatus, TaskState};
use ratchet_core::template::{Scope, render};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use crate::engine::Inner;
use crate::error::StoreError;
use crate::masking::Masker;
use crate::record::{RunRecord, TaskRecord};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between the three tries.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Failed tasks and promotions that one message names.
const MOST: usize = 20;

/// Characters of a failure or of a reason that a message shows.
const LONGEST: usize = 300;

/// Sends what the DAG asks for. What goes wrong is said in the engine's log.
pub(crate) async fn notify(engine: &Arc<Inner>, dag: &Dag, run: &str, scope: &Scope, masker: &Masker) {
    if dag.notify.is_empty() {
        return;
    }
    if let Err(error) = notify_all(engine, dag, run, scope, masker).await {
        tracing::warn!("nobody is told how run {run} ended: {error}");
    }
}

async fn notify_all(
    engine: &Arc<Inner>,
    dag: &Dag,
    run: &str,
    scope: &Scope,
    masker: &Masker,
) -> Result<(), StoreError> {
    let Some(run) = engine.store.run(run).await? else {
        return Ok(());
    };
    let tasks = engine.store.tasks(&run.id).await?;
    let body = json!({ "text": masker.text(text(&run, &tasks)) });
    let wanted: Vec<&Notify> = dag
        .notify
        .iter()
        .filter(|notify| applies(notify, &run, &tasks))
        .collect();
    let (run, body) = (&run, &body);
    let sent = wanted.into_iter().map(|notify| async move {
        if let Err(problem) = send(notify, scope, body).await {
            // Nothing of a webhook's address is shown: it is what proves that one may write there.
            tracing::warn!(
                "a webhook of `{}` was not told how run {} ended: {}",
                run.dag,
                run.id,
                masker.text(problem)
            );
        }
    });
    futures::future::join_all(sent).await;
    Ok(())
}

fn applies(notify: &Notify, run: &RunRecord, tasks: &[TaskRecord]) -> bool {
    notify.on.iter().any(|on| match on {
        NotifyOn::Failure => run.status == RunStatus::Failed,
        NotifyOn::Success => run.status == RunStatus::Succeeded,
        NotifyOn::Promotion => tasks
            .iter()
            .any(|task| task.promotions.iter().any(|promotion| promotion.promoted)),
    })
}

/// Three tries, as long as another one may help.
async fn send(notify: &Notify, scope: &Scope, body: &Value) -> Result<(), String> {
    let webhook = render(&Value::String(notify.webhook.clone()), scope).map_err(|error| error.to_string())?;
    let address: Url = webhook
        .as_str()
        .and_then(|text| text.trim().parse().ok())
        .filter(|address: &Url| matches!(address.scheme(), "http" | "https"))
        .ok_or("its address begins with neither https:// nor http://; correct `webhook` or the secret behind it")?;
    let client = client(&address).map_err(|error| format!("no connection can be made: {}", error.without_url()))?;
    let mut pauses = PAUSES.into_iter();
    loop {
        let problem = match client.post(address.clone()).json(body).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if !may_pass(answer.status()) => return Err(format!("it answered {}", answer.status())),
            Ok(answer) => format!("it answered {}", answer.status()),
            Err(error) => described(error),
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(format!("{problem}, three times")),
        }
    }
}

/// The causes are what says that nobody listens; the address in front of them is a secret.
fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        message.push_str(&format!(": {next}"));
        cause = next.source();
    }
    message
}

fn client(address: &Url) -> reqwest::Result<Client> {
    // The first provider that a process installs stays, and ours is the same everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let local = match address.host_str() {
        Some(host) => host == "localhost" || host.starts_with("127.") || host == "[::1]",
        None => false,
    };
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if local {
        builder = builder.no_proxy();
    }
    builder.build()
}

/// Overloaded and broken services come back; a refusal stays one.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn text(run: &RunRecord, tasks: &[TaskRecord]) -> String {
    let status = match run.status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "was cancelled",
        RunStatus::Running => "is running",
    };
    let mut lines = vec![format!(
        "*{}* {status}: run {} for {}",
        escaped(&run.dag),
        run.id,
        run.logical_date
    )];
    let failed = tasks.iter().filter(|task| task.state == TaskState::Failed);
    let failed = failed.map(|task| {
        let message = task.error.as_ref().map(|error| error.message.as_str());
        let message = message.or(task.reason.as_deref()).unwrap_or("it gave no message");
        format!("• task `{}` failed: {}", escaped(&task.id), shortened(message))
    });
    lines.extend(some(failed.collect()));
    let promoted = tasks.iter().flat_map(|task| &task.promotions);
    let promoted = promoted.filter(|promotion| promotion.promoted).map(|promotion| {
        format!(
            "• {}@{} is {} now: {}",
            escaped(&promotion.model),
            promotion.version,
            escaped(&promotion.alias),
            shortened(&promotion.reason)
        )
    });
    lines.extend(some(promoted.collect()));
    lines.join("\n")
}

fn some(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("• and {more} more"));
    }
    lines
}

/// The first line, not endless.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(LONGEST).collect();
    if shown.len() < line.len() {
        shown.push_str("...");
    }
    escaped(&shown)
}

/// In Slack's format `<` begins a link or a call to everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_calls_everybody_or_fills_the_page() {
        assert_eq!(shortened("<!channel> a & b\nsecond line"), "&lt;!channel&gt; a &amp; b");
        assert_eq!(shortened(&"ü".repeat(400)).chars().count(), LONGEST + 3);
        assert_eq!(
            some(vec![String::new(); 23]).last().map(String::as_str),
            Some("• and 3 more")
        );
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, again) in [(500, true), (503, true), (429, true), (404, false), (302, false)] {
            assert_eq!(StatusCode::from_u16(status).map(may_pass).ok(), Some(again), "{status}");
        }
    }
}
