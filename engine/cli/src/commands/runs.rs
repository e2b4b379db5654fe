//! `ratchet runs list | show | logs`; what changes runs stands in `operate` and `operate_there`.

use std::sync::Arc;

use ratchet_core::plugin::{LogLevel, Registry, Report};
use ratchet_runtime::{ApprovalRecord, Engine, LogLine, RunRecord, RunStatus, TaskRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{approve, operate, operate_there};
use crate::arguments::{Format, Remote, Runs};
use crate::display::json::RunDocument;
use crate::display::table::Listing;
use crate::display::{describe, output, report, table};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::Settings;

/// Runs that a service is asked for at once.
const PAGE: usize = 1_000;

/// Lists runs, shows one, or prints what its tasks said.
pub async fn runs(command: Runs, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    match command {
        Runs::List {
            dag,
            limit,
            remote,
            listing,
        } => {
            let source = Source::open(&remote, settings, registry).await?;
            list(&source.list(dag.as_deref(), limit).await?, listing.format)
        }
        Runs::Show { run, remote, listing } => {
            let source = Source::open(&remote, settings, registry).await?;
            let (run, tasks) = source.show(&run).await?;
            match listing.format {
                Format::Json => output::document(&RunDocument::new(&run, &tasks))?,
                Format::Text => output::line(&format!("{}\n\n{}", header(&run), report::closing(&run, &tasks))),
            }
            if listing.format == Format::Text && run.status == RunStatus::Running {
                for (task, fraction, message) in source.progress(&run.id).await? {
                    let percent = fraction.clamp(0.0, 1.0) * 100.0;
                    output::line(&format!("{task}  {percent:.0} %  {message}"));
                }
                for line in approve::awaited(&run.id, &source.approvals(&run.id).await?) {
                    output::line(&line);
                }
            }
            Ok(())
        }
        Runs::Cancel { run, remote } => match &remote.server {
            Some(server) => operate_there::cancel(&Client::open(server)?, &run).await,
            None => operate::cancel(&settings.open_engine(registry).await?, &run).await,
        },
        Runs::Resume {
            run,
            all: false,
            listing,
        } => {
            let engine = settings.open_engine(registry).await?;
            operate::resume(&engine, &run.unwrap_or_default(), settings, listing.format).await
        }
        Runs::Resume { listing, .. } => {
            operate::resume_all(&settings.open_engine(registry).await?, listing.format).await
        }
        Runs::Retry(arguments) => match &arguments.remote.server {
            Some(server) => operate_there::retry(&Client::open(server)?, &arguments, settings).await,
            None => operate::retry(&settings.open_engine(registry).await?, arguments, settings).await,
        },
        Runs::Clear {
            run,
            tasks,
            only_task,
            remote,
        } => match &remote.server {
            Some(server) => operate_there::clear(&Client::open(server)?, &run, &tasks, only_task).await,
            None => operate::clear(&settings.open_engine(registry).await?, &run, tasks, only_task).await,
        },
        Runs::Mark {
            run,
            task,
            state,
            remote,
        } => match &remote.server {
            Some(server) => operate_there::mark(&Client::open(server)?, &run, &task, state).await,
            None => operate::mark(&settings.open_engine(registry).await?, &run, &task, state).await,
        },
        Runs::Track { run } => {
            let told = settings.open_engine(registry).await?.track(&run).await?;
            let nothing = || "it left neither a model nor a report: there is nothing to tell".to_owned();
            output::line(&told.unwrap_or_else(nothing));
            Ok(())
        }
        Runs::Approve(arguments) => match &arguments.remote.server {
            Some(server) => approve::there(&Client::open(server)?, &arguments).await,
            None => approve::here(&settings.open_engine(registry).await?, &arguments).await,
        },
        Runs::Logs {
            run,
            task,
            remote,
            listing,
        } => {
            let source = Source::open(&remote, settings, registry).await?;
            let lines = source.logs(&run, task.as_deref()).await?;
            if listing.format == Format::Json {
                return output::document(&lines);
            }
            for line in lines {
                let level = match line.level {
                    LogLevel::Debug => "debug",
                    LogLevel::Info => "info",
                    LogLevel::Warn => "warn",
                    LogLevel::Error => "error",
                };
                let time = line.time.strftime("%Y-%m-%d %H:%M:%S%.3fZ");
                output::line(&format!(
                    "{time} {}#{} {level:5} {}",
                    line.task, line.attempt, line.message
                ));
            }
            Ok(())
        }
    }
}

/// Who is asked.
pub(super) enum Source {
    /// The home directory.
    Here(Box<Engine>),
    /// A service.
    There(Client),
}

impl Source {
    pub(super) async fn open(remote: &Remote, settings: &Settings, registry: Arc<Registry>) -> Result<Self, Failure> {
        Ok(match &remote.server {
            Some(server) => Self::There(Client::open(server)?),
            None => Self::Here(Box::new(settings.open_engine(registry).await?)),
        })
    }

    async fn list(&self, dag: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, Failure> {
        let client = match self {
            Self::Here(engine) => return Ok(engine.store().list_runs(dag, limit).await?),
            Self::There(client) => client,
        };
        let mut runs = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let left = limit as usize - runs.len();
            let mut query = vec![("limit", left.min(PAGE).to_string())];
            query.extend(dag.map(|dag| ("dag", dag.to_owned())));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: RunsPage = client.get(&["api", "v1", "runs"], &query).await?;
            for run in page.runs {
                runs.push(record(run)?);
            }
            match page.next.filter(|_| runs.len() < limit as usize) {
                Some(next) => cursor = Some(next),
                None => return Ok(runs),
            }
        }
    }

    pub(super) async fn show(&self, id: &str) -> Result<(RunRecord, Vec<TaskRecord>), Failure> {
        match self {
            Self::Here(engine) => {
                let run = find(engine, id).await?;
                let tasks = engine.store().tasks(&run.id).await?;
                Ok((run, tasks))
            }
            Self::There(client) => show_there(client, id).await,
        }
    }

    /// A JSON document that the last attempt of a task left.
    pub(super) async fn left(&self, run: &str, task: &TaskRecord, report: &Report) -> Result<Value, Failure> {
        let unreadable = |problem: String| {
            Failure::service(format!(
                "{} of task `{}` cannot be read: {problem}",
                report.file_name, task.id
            ))
        };
        match self {
            Self::Here(engine) => {
                let blob = ratchet_tasks::table::to_blob_ref(&report.blob);
                let bytes = engine.bucket().get_blob(&blob).await?;
                serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
            }
            Self::There(client) => {
                let attempt = task.attempts.to_string();
                let path = [
                    "api",
                    "v1",
                    "runs",
                    run,
                    "artifacts",
                    &task.id,
                    &attempt,
                    &report.file_name,
                ];
                client.get(&path, &[]).await
            }
        }
    }

    /// How far the attempts under way got: task, part of the whole, what it does now.
    async fn progress(&self, id: &str) -> Result<Vec<(String, f64, String)>, Failure> {
        match self {
            Self::Here(engine) => {
                let progress = engine.store().progress(id).await?.into_iter();
                Ok(progress.map(|one| (one.task, one.fraction, one.message)).collect())
            }
            Self::There(client) => {
                let answer: ProgressThere = client.get(&["api", "v1", "runs", id], &[]).await?;
                let progress = answer.progress.into_iter();
                Ok(progress.map(|one| (one.task, one.fraction, one.message)).collect())
            }
        }
    }

    /// What people were asked.
    async fn approvals(&self, id: &str) -> Result<Vec<ApprovalRecord>, Failure> {
        match self {
            Self::Here(engine) => Ok(engine.store().approvals(id).await?),
            Self::There(client) => {
                let answer: ApprovalsThere = client.get(&["api", "v1", "runs", id], &[]).await?;
                Ok(answer.approvals)
            }
        }
    }

    async fn logs(&self, id: &str, task: Option<&str>) -> Result<Vec<LogLine>, Failure> {
        let client = match self {
            Self::Here(engine) => {
                let run = find(engine, id).await?;
                return Ok(engine.logs(&run.id, task).await?);
            }
            Self::There(client) => client,
        };
        let mut lines = Vec::new();
        let mut from = 1;
        loop {
            let mut query = vec![("from", from.to_string())];
            query.extend(task.map(|task| ("task", task.to_owned())));
            let page: LinesPage = client.get(&["api", "v1", "runs", id, "logs"], &query).await?;
            lines.extend(page.lines);
            match page.next {
                Some(next) => from = next,
                None => return Ok(lines),
            }
        }
    }
}

#[derive(Deserialize)]
struct RunsPage {
    runs: Vec<Value>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ApprovalsThere {
    approvals: Vec<ApprovalRecord>,
}

#[derive(Deserialize)]
struct ProgressThere {
    progress: Vec<TaskProgressThere>,
}

#[derive(Deserialize)]
struct TaskProgressThere {
    task: String,
    fraction: f64,
    message: String,
}

#[derive(Deserialize)]
struct LinesPage {
    lines: Vec<LogLine>,
    next: Option<u64>,
}

/// A run of a service and its tasks.
pub async fn show_there(client: &Client, id: &str) -> Result<(RunRecord, Vec<TaskRecord>), Failure> {
    let mut answer: Value = client.get(&["api", "v1", "runs", id], &[]).await?;
    let tasks = serde_json::from_value(answer["tasks"].take()).map_err(|error| unreadable(&error))?;
    Ok((record(answer)?, tasks))
}

/// A run as a service tells it. Lists leave out the text of the DAG, which nothing here shows.
pub fn record(mut run: Value) -> Result<RunRecord, Failure> {
    if run["dag_text"].is_null() {
        run["dag_text"] = json!("");
    }
    serde_json::from_value(run).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::service(format!("the service answers something else: {error}"))
        .help("check that it is `ratchet serve` of the same version")
}

fn list(runs: &[RunRecord], format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::document(&runs.iter().map(summary).collect::<Vec<_>>());
    }
    let mut listing = Listing::new(&["run", "dag", "status", "trigger", "logical date", "started", "duration"]);
    for run in runs {
        listing.row([
            run.id.clone(),
            run.dag.clone(),
            match run.late_at {
                Some(_) => format!("{} (late)", run.status),
                None => run.status.to_string(),
            },
            run.trigger.name().to_owned(),
            describe::instant(run.logical_date),
            describe::instant(run.created_at),
            describe::duration(describe::seconds_between(run.created_at, run.finished_at)),
        ]);
    }
    table::print(&listing, "there are no runs yet; `ratchet run FILE` makes one");
    Ok(())
}

async fn find(engine: &Engine, id: &str) -> Result<RunRecord, Failure> {
    engine
        .store()
        .run(id)
        .await?
        .ok_or_else(|| Failure::input(format!("there is no run `{id}`")).help("`ratchet runs list` shows them"))
}

fn header(run: &RunRecord) -> String {
    let mut facts = vec![
        ("run", run.id.clone()),
        ("dag", run.dag.clone()),
        ("file", run.file_name.clone()),
        ("status", run.status.to_string()),
        ("trigger", format!("{} by {}", run.trigger.name(), run.actor)),
        ("logical date", describe::instant(run.logical_date)),
        (
            "interval",
            format!(
                "{} to {}",
                describe::instant(run.interval_start),
                describe::instant(run.logical_date)
            ),
        ),
        ("params", report::params(&run.params)),
    ];
    facts.extend(
        run.late_at
            .map(|at| ("late", format!("since {}", describe::instant(at)))),
    );
    facts.extend(run.retry_of.clone().map(|run| ("retry of", run)));
    table::facts(&facts)
}

pub fn summary(run: &RunRecord) -> Value {
    json!({
        "run": run.id, "dag": run.dag, "status": run.status, "trigger": run.trigger, "actor": run.actor,
        "logical_date": run.logical_date, "interval_start": run.interval_start, "created_at": run.created_at,
        "finished_at": run.finished_at, "params": run.params, "retry_of": run.retry_of, "late_at": run.late_at,
    })
}
