//! `ratchet runs cancel | resume | retry | clear | mark`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use ratchet_runtime::{Engine, Repeat, RunRecord, RunStatus, TaskRecord, TaskState};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{run as running, shutdown};
use crate::arguments::{Format, Mark, Retry};
use crate::display::json::RunDocument;
use crate::display::{output, report};
use crate::failure::{Failure, Status};
use crate::settings::{self, Settings};

/// A lease ends at most so long after the process that held it.
const LEASE_LIMIT: Duration = Duration::from_secs(12);

/// A process that drives the run looks every half second and gives its tasks a second to end by themselves.
pub(super) const CANCEL_LIMIT: Duration = Duration::from_secs(30);

/// How often the database is asked.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// Ends a run, whoever drives it, and waits until it has ended.
pub async fn cancel(engine: &Engine, run: &str) -> Result<(), Failure> {
    let record = engine.ask_to_cancel(run, &settings::actor()).await?;
    let until = Instant::now() + CANCEL_LIMIT;
    while Instant::now() < until {
        let now = engine.run(&record.id).await?;
        if now.status != RunStatus::Running {
            say_ended(&now);
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
        if is_unattended(engine, &record.id).await? {
            // Its engine is gone: taking the run over is what ends it. An error means that another process was faster.
            let (observer, _) = mpsc::unbounded_channel();
            let stop = shutdown::listen("the run is being cancelled; once more ends this program")?;
            let _ = engine.execute(&record.id, observer, stop).await;
        }
    }
    Err(still_running(&record.id, ""))
}

pub(super) fn say_ended(run: &RunRecord) {
    output::line(&format!("run {} of {} {}", run.id, run.dag, run.status));
}

/// `server` is what the remedy takes beside the run.
pub(super) fn still_running(run: &str, server: &str) -> Failure {
    Failure::failed(format!("run {run} was asked to end and has not ended yet")).help(format!(
        "the wish is kept; `ratchet runs show {run}{server}` shows where it stands"
    ))
}

/// Takes over one run whose engine is gone and drives it to its end.
pub async fn resume(engine: &Engine, run: &str, settings: &Settings, format: Format) -> Result<(), Failure> {
    let record = engine.run(run).await?;
    if record.status != RunStatus::Running {
        return Err(
            Failure::input(format!("run {} has ended ({})", record.id, record.status))
                .help(format!("`ratchet runs retry {}` repeats it", record.id)),
        );
    }
    wait_for_lease(engine, &record).await?;
    follow(engine, &record.id, settings, format).await
}

/// Takes over all runs that nobody drives.
pub async fn resume_all(engine: &Engine, format: Format) -> Result<(), Failure> {
    let runs = engine.store().unfinished_runs(None).await?;
    if runs.is_empty() && format == Format::Text {
        output::line("every run has ended");
    }
    let stop = shutdown::listen("cancelling the runs; once more ends this program")?;
    let resumed = runs.iter().map(|run| {
        let stop = stop.clone();
        async move {
            let record = engine.run(run).await?;
            wait_for_lease(engine, &record).await?;
            let (observer, _) = mpsc::unbounded_channel();
            let ended = engine.execute(run, observer, stop).await?;
            if format == Format::Text {
                output::line(&format!("run {} of {} {}", ended.id, ended.dag, ended.status));
            }
            Ok::<_, Failure>(ended)
        }
    });
    let (mut status, mut ended) = (None, Vec::new());
    for outcome in join_all(resumed).await {
        match outcome {
            Ok(run) => {
                if run.status != RunStatus::Succeeded {
                    status = Some(Status::Failed);
                }
                ended.push(json!({ "run": run.id, "dag": run.dag, "status": run.status }));
            }
            Err(failure) => {
                failure.report();
                status = Some(Status::Failed);
            }
        }
    }
    if format == Format::Json {
        output::document(&ended)?;
    }
    status.map_or(Ok(()), |status| Err(Failure::reported(status)))
}

/// Repeats an ended run as a new one that keeps what is finished.
pub async fn retry(engine: &Engine, arguments: Retry, settings: &Settings) -> Result<(), Failure> {
    let repeat = Repeat {
        from: arguments.from,
        only: arguments.only_task,
        reserved: true,
    };
    let run = new_run(engine, &arguments.run, &repeat, &arguments.params).await?;
    follow(engine, &run, settings, arguments.listing.format).await
}

/// Prepares the same and leaves it to whoever takes it.
pub async fn clear(engine: &Engine, run: &str, tasks: Vec<String>, only: bool) -> Result<(), Failure> {
    let repeat = Repeat {
        from: tasks,
        only,
        reserved: false,
    };
    let run = new_run(engine, run, &repeat, &[]).await?;
    say_waits(&run);
    Ok(())
}

pub(super) fn say_waits(run: &str) {
    output::line(&format!(
        "run {run} waits; `ratchet serve` takes it, or `ratchet runs resume {run}`"
    ));
}

async fn new_run(engine: &Engine, run: &str, repeat: &Repeat, given: &[(String, String)]) -> Result<String, Failure> {
    let mut params = BTreeMap::new();
    for (name, value) in given {
        if params.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::input(format!("parameter `{name}` is given twice")).help("give it once"));
        }
    }
    Ok(engine.retry(run, repeat, &params, &settings::actor()).await?)
}

/// Corrects by hand what a task came to.
pub async fn mark(engine: &Engine, run: &str, task: &str, mark: Mark) -> Result<(), Failure> {
    let state = state_of(mark);
    let status = engine.mark(run, task, state, &settings::actor()).await?;
    say_marked(task, state, status);
    Ok(())
}

pub(super) fn state_of(mark: Mark) -> TaskState {
    match mark {
        Mark::Succeeded => TaskState::Succeeded,
        Mark::Failed => TaskState::Failed,
        Mark::Skipped => TaskState::Skipped,
    }
}

pub(super) fn say_marked(task: &str, state: TaskState, status: RunStatus) {
    output::line(&format!("task {task} is marked {state}; the run is {status}"));
}

async fn follow(engine: &Engine, run: &str, settings: &Settings, format: Format) -> Result<(), Failure> {
    let cancel = shutdown::listen("cancelling the run; once more ends it at once")?;
    let (run, tasks) = running::follow(engine, run, settings, cancel).await?;
    close(&run, &tasks, format)
}

/// What stands at the end of a run that was followed.
pub(super) fn close(run: &RunRecord, tasks: &[TaskRecord], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::document(&RunDocument::new(run, tasks))?,
        Format::Text => output::line(&format!("\n{}", report::closing(run, tasks))),
    }
    if run.status == RunStatus::Succeeded {
        Ok(())
    } else {
        Err(Failure::reported(Status::Failed))
    }
}

/// Waits for the end of the lease of an engine that may be gone.
async fn wait_for_lease(engine: &Engine, run: &RunRecord) -> Result<(), Failure> {
    let until = Instant::now() + LEASE_LIMIT;
    while Instant::now() < until {
        if is_unattended(engine, &run.id).await? {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(
        Failure::input(format!("run {} is driven by another process, which is alive", run.id))
            .help(format!("`ratchet runs cancel {}` ends it", run.id)),
    )
}

async fn is_unattended(engine: &Engine, run: &str) -> Result<bool, Failure> {
    Ok(engine.store().unattended_runs().await?.iter().any(|one| one == run))
}
