//! Tells others what came of a run or of a task: a POST in Slack's format to a webhook, or a mail.
//!
//! What is to be told is kept in the store until it was told, or until three tries failed: an engine that is killed in
//! between leaves it to the next one. It changes nothing of the run.

mod mail;
mod numbers;

pub(crate) use mail::SERVER;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratchet_artifacts::web;
use ratchet_core::spec::{Notify, NotifyOn, NotifyTo};
use ratchet_core::state::{RunStatus, TaskState};
use ratchet_core::template::{Scope, render};
use reqwest::{Client, Url};
use serde_json::{Value, json};

use crate::engine::Inner;
use crate::error::StoreError;
use crate::http::{described, may_pass};
use crate::masking::Masker;
use crate::record::{RunRecord, TaskRecord};
use crate::store::Notice;
use crate::tracking;

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses between the three tries.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Failed tasks and promotions that one message names.
const MOST: usize = 20;

/// Characters of a failure or of a reason that a message shows.
const LONGEST: usize = 300;

/// Tells what a run has to tell.
pub(crate) struct Teller {
    pub engine: Arc<Inner>,
    pub run: String,
    pub of_run: Vec<Notify>,
    pub of_tasks: BTreeMap<String, Vec<Notify>>,
    pub scope: Scope,
    pub masker: Arc<Masker>,
}

/// A message before it is put into a format.
struct Message {
    /// One line without markup.
    subject: String,
    lines: Vec<String>,
}

impl Teller {
    /// Sends all that nobody was told yet. What goes wrong is said in the engine's log.
    pub async fn tell(self) {
        if let Err(error) = self.tell_all().await {
            tracing::warn!("nobody is told what came of run {}: {error}", self.run);
        }
    }

    async fn tell_all(&self) -> Result<(), StoreError> {
        let store = &self.engine.store;
        for (number, notice) in store.notices(&self.run).await? {
            let Some(run) = store.run(&self.run).await? else {
                return Ok(());
            };
            let tasks = store.tasks(&run.id).await?;
            let (message, wanted): (Message, Vec<&Notify>) = match &notice {
                Notice::RunEnded => {
                    let wanted = self.of_run.iter().filter(|notify| applies(notify, &run, &tasks));
                    (of_run(&run, &tasks), wanted.collect())
                }
                Notice::RunLate => {
                    let wanted = self.of_run.iter();
                    let wanted = wanted.filter(|notify| notify.on.contains(&NotifyOn::Late));
                    (late(&run), wanted.collect())
                }
                Notice::Track => {
                    self.track(&run, &tasks).await;
                    store.told(&self.run, number).await?;
                    continue;
                }
                Notice::TaskEnded { task, state } => {
                    let on = match state {
                        TaskState::Failed => NotifyOn::Failure,
                        _ => NotifyOn::Success,
                    };
                    let wanted = self.of_tasks.get(task).into_iter().flatten();
                    let wanted = wanted.filter(|notify| notify.on.contains(&on)).collect();
                    (of_task(&run, &tasks, task, *state), wanted)
                }
            };
            self.send(message, wanted).await;
            store.told(&self.run, number).await?;
        }
        Ok(())
    }

    async fn track(&self, run: &RunRecord, tasks: &[TaskRecord]) {
        let tracked = three_times(|| async {
            let tracked = tracking::track(&self.engine, run, tasks).await;
            tracked.map(drop).map_err(|problem| (problem.message, problem.may_pass))
        });
        if let Err(problem) = tracked.await {
            tracing::warn!(
                "MLflow was not told of run {0}: {problem}; `ratchet runs track {0}` tells it again",
                run.id
            );
        }
    }

    /// Tells in one line, which begins with the DAG's name, what is no matter of a run.
    pub async fn tell_line(&self, on: NotifyOn, subject: String) {
        let wanted = self.of_run.iter().filter(|notify| notify.on.contains(&on)).collect();
        let lines = Vec::new();
        self.send(Message { subject, lines }, wanted).await;
    }

    async fn send(&self, message: Message, wanted: Vec<&Notify>) {
        let message = &Message {
            subject: self.masker.text(message.subject),
            lines: message.lines.into_iter().map(|line| self.masker.text(line)).collect(),
        };
        let sent = wanted.into_iter().map(|notify| async move {
            let (way, sent) = match &notify.to {
                NotifyTo::Webhook(webhook) => ("a webhook", self.post(webhook, message).await),
                NotifyTo::Mail(addresses) => ("mail", self.mail(addresses, message).await),
            };
            if let Err(problem) = sent {
                // Nothing of a webhook's address is shown: it is what proves that one may write there.
                tracing::warn!(
                    "`{}` could not be told by {way}: {}",
                    message.subject,
                    self.masker.text(problem)
                );
            }
        });
        futures::future::join_all(sent).await;
    }

    async fn post(&self, webhook: &str, message: &Message) -> Result<(), String> {
        let webhook = self.rendered(webhook)?;
        let address: Url = Some(webhook.trim())
            .and_then(|text| text.parse().ok())
            .filter(|address: &Url| matches!(address.scheme(), "http" | "https"))
            .ok_or("its address begins with neither https:// nor http://; correct `webhook` or the secret behind it")?;
        let client = client(&address).map_err(|error| format!("no connection can be made: {}", error.without_url()))?;
        let body = &json!({ "text": in_slacks_format(message) });
        three_times(|| async {
            match client.post(address.clone()).json(body).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err((format!("it answered {}", answer.status()), may_pass(answer.status()))),
                Err(error) => Err((described(error), true)),
            }
        })
        .await
    }

    async fn mail(&self, addresses: &[String], message: &Message) -> Result<(), String> {
        let addresses = addresses.iter().map(|address| self.rendered(address));
        let addresses: Vec<String> = addresses.collect::<Result<_, _>>()?;
        let mail = mail::Mail::new(&addresses, &message.subject, &message.lines)?;
        three_times(|| mail.send()).await
    }

    fn rendered(&self, text: &str) -> Result<String, String> {
        let value = render(&Value::String(text.to_owned()), &self.scope).map_err(|error| error.to_string())?;
        match value {
            Value::String(text) => Ok(text),
            _ => Err("its address is no text".to_owned()),
        }
    }
}

/// Three tries, as long as another one may help. A failed try says why, and whether another one may.
async fn three_times<F>(mut send: impl FnMut() -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), (String, bool)>>,
{
    let mut pauses = PAUSES.into_iter();
    loop {
        let problem = match send().await {
            Ok(()) => return Ok(()),
            Err((problem, false)) => return Err(problem),
            Err((problem, true)) => problem,
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(format!("{problem}, three times")),
        }
    }
}

fn applies(notify: &Notify, run: &RunRecord, tasks: &[TaskRecord]) -> bool {
    notify.on.iter().any(|on| match on {
        NotifyOn::Failure => run.status == RunStatus::Failed,
        NotifyOn::Success => run.status == RunStatus::Succeeded,
        NotifyOn::Promotion => tasks
            .iter()
            .any(|task| task.promotions.iter().any(|promotion| promotion.promoted)),
        // Told when it happens, and not again at the end.
        NotifyOn::Late | NotifyOn::TriggerPaused => false,
    })
}

fn client(address: &Url) -> reqwest::Result<Client> {
    let builder = web::client(address).timeout(TIMEOUT);
    builder.redirect(reqwest::redirect::Policy::none()).build()
}

fn of_run(run: &RunRecord, tasks: &[TaskRecord]) -> Message {
    let status = match run.status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "was cancelled",
        RunStatus::Running => "is running",
    };
    let failed = tasks
        .iter()
        .filter(|task| task.state == TaskState::Failed && task.instance.is_none());
    let mut lines = some(failed.map(failure).collect());
    let promoted = tasks.iter().flat_map(|task| &task.promotions);
    let promoted = promoted.filter(|promotion| promotion.promoted).map(|promotion| {
        let numbers = match numbers::numbers(promotion, tasks) {
            none if none.is_empty() => none,
            numbers => format!(" [{numbers}]"),
        };
        format!(
            "{}@{} is {} now: {}{numbers}",
            promotion.model,
            promotion.version,
            promotion.alias,
            shortened(&promotion.reason)
        )
    });
    lines.extend(some(promoted.collect()));
    Message {
        subject: format!("{} {status}: run {} for {}", run.dag, run.id, run.logical_date),
        lines,
    }
}

fn late(run: &RunRecord) -> Message {
    let lines = match (run.due_at, run.late_at) {
        (Some(due), Some(late)) => vec![format!(
            "it should have ended until {due} and takes {} min so far",
            late.duration_since(run.created_at).as_secs() / 60
        )],
        (Some(due), None) => vec![format!("it should have ended until {due}")],
        (None, _) => Vec::new(),
    };
    Message {
        subject: format!("{} is late: run {} for {}", run.dag, run.id, run.logical_date),
        lines,
    }
}

fn of_task(run: &RunRecord, tasks: &[TaskRecord], task: &str, state: TaskState) -> Message {
    let record = tasks.iter().find(|record| record.id == task);
    Message {
        subject: format!(
            "{}: task {task} {}: run {} for {}",
            run.dag,
            state.name(),
            run.id,
            run.logical_date
        ),
        lines: match state {
            TaskState::Failed => record.map(failure).into_iter().collect(),
            _ => Vec::new(),
        },
    }
}

fn failure(task: &TaskRecord) -> String {
    let message = task.error.as_ref().map(|error| error.message.as_str());
    let message = message.or(task.reason.as_deref()).unwrap_or("it gave no message");
    format!("task `{}` failed: {}", task.id, shortened(message))
}

/// The DAG's name, which the subject begins with, is bold.
fn in_slacks_format(message: &Message) -> String {
    let subject = escaped(&message.subject);
    let end = subject.find([' ', ':']).unwrap_or(subject.len());
    let mut text = format!("*{}*{}", &subject[..end], &subject[end..]);
    for line in &message.lines {
        text.push_str("\n• ");
        text.push_str(&escaped(line));
    }
    text
}

fn some(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("and {more} more"));
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
    shown
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
        let message = Message {
            subject: "a failed".to_owned(),
            lines: vec![shortened("<!channel> a & b\nsecond line")],
        };
        assert_eq!(in_slacks_format(&message), "*a* failed\n• &lt;!channel&gt; a &amp; b");
        assert_eq!(shortened(&"ü".repeat(400)).chars().count(), LONGEST + 3);
        assert_eq!(
            some(vec![String::new(); 23]).last().map(String::as_str),
            Some("and 3 more")
        );
    }
}
