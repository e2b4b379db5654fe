//! `ratchet run FILE`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use ratchet_core::plugin::{Registry, RunContext};
use ratchet_core::spec::Dag;
use ratchet_runtime::cron::interval_of;
use ratchet_runtime::{Beginning, Engine, NewRun, RunRecord, RunStatus, RunTrigger, TaskRecord, until};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{files, plan, shutdown};
use crate::arguments::{Format, Run};
use crate::display::json::RunDocument;
use crate::display::progress::Progress;
use crate::display::{output, report};
use crate::failure::{Failure, Status};
use crate::settings::{self, Settings};

/// Runs a DAG file to its end and shows what came of it.
pub async fn run(arguments: Run, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let dag = files::load(&arguments.file, &registry)?;
    let params = bind(&dag, &arguments.params)?;
    let everything = arguments.only.is_empty() && arguments.until.is_empty();
    // Nothing that was recorded has a say in it.
    if arguments.dry_run && everything && !dag.tasks.iter().any(|task| task.cache) {
        let (whole, none) = (Beginning::default(), BTreeMap::new());
        return plan::show(
            &dag,
            params,
            arguments.logical_date,
            &whole,
            &none,
            arguments.listing.format,
        );
    }
    let engine = settings.open_engine(registry).await?;
    let mut beginning = if everything {
        Beginning::default()
    } else {
        let mut chosen = until(&dag, &arguments.until)?;
        chosen.extend(arguments.only);
        engine.only(&dag, &chosen).await?
    };
    if arguments.dry_run {
        let (interval_start, logical_date) = interval(&dag, arguments.logical_date)?;
        let run = RunContext {
            id: String::new(),
            dag: dag.name.clone(),
            logical_date,
            interval_start,
            interval_end: logical_date,
        };
        let cached = engine.cached_tasks(&dag, &params, &run).await?;
        return plan::show(
            &dag,
            params,
            Some(logical_date),
            &beginning,
            &cached,
            arguments.listing.format,
        );
    }
    beginning.reserved = true;
    let cancel = shutdown::listen("cancelling the run; once more ends it at once")?;
    let id = create(&engine, dag, params, arguments.logical_date, &beginning).await?;
    let (run, tasks) = follow(&engine, &id, settings, cancel).await?;
    match arguments.listing.format {
        Format::Json => output::document(&RunDocument::new(&run, &tasks))?,
        Format::Text => output::line(&format!("\n{}", report::closing(&run, &tasks))),
    }
    if run.status == RunStatus::Succeeded {
        Ok(())
    } else {
        Err(Failure::reported(Status::Failed))
    }
}

/// Checks `-p` values against the declared parameters.
///
/// # Errors
///
/// All that is wrong with them, at once.
pub fn bind(dag: &Dag, given: &[(String, String)]) -> Result<BTreeMap<String, Value>, Failure> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        if values.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::input(format!("parameter `{name}` is given twice")).help("give it once"));
        }
    }
    dag.bind(&values).map_err(|problems| {
        let declared: Vec<&str> = dag.params.keys().map(String::as_str).collect();
        let declared = if declared.is_empty() {
            format!("`{}` takes no parameters", dag.name)
        } else {
            format!(
                "the parameters of `{}` are {}; give one with -p NAME=VALUE",
                dag.name,
                declared.join(", ")
            )
        };
        Failure::new(Status::Input, problems.join("\nerror: ")).help(declared)
    })
}

/// Creates a manual run and drives it to its end, with progress on stderr.
///
/// # Errors
///
/// The engine could not do it. A run that failed is none.
pub async fn drive(
    engine: &Engine,
    dag: Dag,
    params: BTreeMap<String, Value>,
    logical_date: Option<Timestamp>,
    settings: &Settings,
    cancel: watch::Receiver<bool>,
) -> Result<(RunRecord, Vec<TaskRecord>), Failure> {
    let reserved = Beginning {
        reserved: true,
        ..Beginning::default()
    };
    let id = create(engine, dag, params, logical_date, &reserved).await?;
    follow(engine, &id, settings, cancel).await
}

fn interval(dag: &Dag, logical_date: Option<Timestamp>) -> Result<(Timestamp, Timestamp), Failure> {
    interval_of(dag.schedule.as_ref(), logical_date, Timestamp::now())
        .map_err(|error| Failure::input(error.to_string()))
}

async fn create(
    engine: &Engine,
    dag: Dag,
    params: BTreeMap<String, Value>,
    logical_date: Option<Timestamp>,
    beginning: &Beginning,
) -> Result<String, Failure> {
    let (interval_start, logical_date) = interval(&dag, logical_date)?;
    let new = NewRun {
        dag,
        params,
        logical_date,
        interval_start,
        trigger: RunTrigger::Manual,
        actor: settings::actor(),
    };
    Ok(engine.create_run_from(new, beginning).await?)
}

/// Drives a run that is recorded to its end, with progress on stderr.
///
/// # Errors
///
/// The engine could not do it. A run that failed is none.
pub async fn follow(
    engine: &Engine,
    id: &str,
    settings: &Settings,
    cancel: watch::Receiver<bool>,
) -> Result<(RunRecord, Vec<TaskRecord>), Failure> {
    let tasks = engine.store().tasks(id).await?;
    let mut progress = Progress::new(
        tasks.iter().map(|task| task.id.as_str()),
        settings.quiet,
        settings.verbose,
    );
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut execution = pin!(engine.execute(id, sender, cancel));
    let run = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => progress.show(&event),
            run = &mut execution => break run?,
        }
    };
    while let Ok(event) = events.try_recv() {
        progress.show(&event);
    }
    let tasks = engine.store().tasks(id).await?;
    Ok((run, tasks))
}
