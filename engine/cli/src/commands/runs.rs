//! `ratchet runs list | show | logs`; what changes runs stands in `operate`.

use std::sync::Arc;

use ratchet_core::plugin::{LogLevel, Registry};
use ratchet_runtime::{Engine, RunRecord, RunTrigger};
use serde_json::{Value, json};

use super::operate;
use crate::arguments::{Format, Runs};
use crate::display::json::RunDocument;
use crate::display::table::Listing;
use crate::display::{describe, output, report, table};
use crate::failure::Failure;
use crate::settings::Settings;

/// Lists runs, shows one, or prints what its tasks said.
pub async fn runs(command: Runs, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let engine = settings.open_engine(registry).await?;
    match command {
        Runs::List { dag, limit, listing } => list(&engine, dag.as_deref(), limit, listing.format).await,
        Runs::Show { run, listing } => {
            let run = find(&engine, &run).await?;
            let tasks = engine.store().tasks(&run.id).await?;
            match listing.format {
                Format::Json => output::document(&RunDocument::new(&run, &tasks))?,
                Format::Text => output::line(&format!("{}\n\n{}", header(&run), report::closing(&run, &tasks))),
            }
            if listing.format == Format::Text {
                for progress in engine.store().progress(&run.id).await? {
                    let percent = progress.fraction.clamp(0.0, 1.0) * 100.0;
                    output::line(&format!("{}  {percent:.0} %  {}", progress.task, progress.message));
                }
            }
            Ok(())
        }
        Runs::Cancel { run } => operate::cancel(&engine, &run).await,
        Runs::Resume {
            run,
            all: false,
            listing,
        } => operate::resume(&engine, &run.unwrap_or_default(), settings, listing.format).await,
        Runs::Resume { listing, .. } => operate::resume_all(&engine, listing.format).await,
        Runs::Retry(arguments) => operate::retry(&engine, arguments, settings).await,
        Runs::Clear { run, tasks, only_task } => operate::clear(&engine, &run, tasks, only_task).await,
        Runs::Mark { run, task, state } => operate::mark(&engine, &run, &task, state).await,
        Runs::Logs { run, task, listing } => {
            let run = find(&engine, &run).await?;
            let lines = engine.logs(&run.id, task.as_deref()).await?;
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

async fn list(engine: &Engine, dag: Option<&str>, limit: u32, format: Format) -> Result<(), Failure> {
    let runs = engine.store().list_runs(dag, limit).await?;
    if format == Format::Json {
        return output::document(&runs.iter().map(summary).collect::<Vec<_>>());
    }
    let mut listing = Listing::new(&["run", "dag", "status", "trigger", "logical date", "started", "duration"]);
    for run in &runs {
        listing.row([
            run.id.clone(),
            run.dag.clone(),
            run.status.to_string(),
            trigger(run.trigger).to_owned(),
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

fn trigger(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Manual => "manual",
        RunTrigger::Schedule => "schedule",
    }
}

fn header(run: &RunRecord) -> String {
    let mut facts = vec![
        ("run", run.id.clone()),
        ("dag", run.dag.clone()),
        ("file", run.file_name.clone()),
        ("status", run.status.to_string()),
        ("trigger", format!("{} by {}", trigger(run.trigger), run.actor)),
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
    facts.extend(run.retry_of.clone().map(|run| ("retry of", run)));
    table::facts(&facts)
}

fn summary(run: &RunRecord) -> Value {
    json!({
        "run": run.id, "dag": run.dag, "status": run.status, "trigger": run.trigger, "actor": run.actor,
        "logical_date": run.logical_date, "interval_start": run.interval_start, "created_at": run.created_at,
        "finished_at": run.finished_at, "params": run.params, "retry_of": run.retry_of,
    })
}
