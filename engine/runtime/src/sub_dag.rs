//! `core.dag`: a run within a run.
//!
//! The inner run is a run as any other, with an id, a lease and a log of its own; whoever drives the outer one waits for
//! it and holds no slot meanwhile. It is unique on the outer run and the task: an engine that takes the outer run over, or
//! tries the task again, finds it wherever it stands and makes no second one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use ratchet_core::plugin::{Output, SubDagConfig};
use ratchet_core::spec::Dag;
use ratchet_core::state::{RunStatus, TaskState};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use crate::attempt::{Finished, Verdict};
use crate::beginning::{Beginning, Parent};
use crate::complete::Completed;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, StoreError};
use crate::masking::Masker;
use crate::protocol::AttemptRequest;
use crate::record::{AttemptOutcome, Failure, NewRun, RunRecord, RunTrigger};

/// How often somebody else's run is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How deep runs may stand in runs.
const DEEPEST: usize = 8;

/// Runs the DAG that a task names. Boxed, because it drives a run of which it may be part.
pub(crate) fn run_sub_dag(
    engine: Arc<Inner>,
    request: AttemptRequest,
    masker: Arc<Masker>,
    stop: watch::Receiver<bool>,
) -> BoxFuture<'static, Finished> {
    async move {
        let started = Instant::now();
        let (verdict, outputs) = match inner(&Engine { inner: engine }, request, &masker, stop).await {
            Ok(ended) => ended,
            Err(error) => (failed(error), BTreeMap::new()),
        };
        Finished {
            verdict,
            seconds: started.elapsed().as_secs_f64(),
            completed: Completed {
                outputs,
                ..Completed::default()
            },
        }
    }
    .boxed()
}

/// A failure, and whether another attempt may do better.
type Stopped = (Failure, bool);

fn failed((failure, retryable): Stopped) -> Verdict {
    Verdict::Failed {
        outcome: AttemptOutcome::Failed,
        failure,
        retryable,
    }
}

fn permanent(message: String, help: &str) -> Stopped {
    let failure = Failure {
        message,
        help: Some(help.to_owned()),
    };
    (failure, false)
}

fn transient(error: impl std::fmt::Display) -> Stopped {
    let failure = Failure {
        message: error.to_string(),
        help: None,
    };
    (failure, true)
}

async fn inner(
    engine: &Engine,
    request: AttemptRequest,
    masker: &Masker,
    stop: watch::Receiver<bool>,
) -> Result<(Verdict, BTreeMap<String, Output>), Stopped> {
    let config: SubDagConfig = serde_json::from_value(request.with)
        .map_err(|error| permanent(format!("its configuration is not valid: {error}"), "correct `with`"))?;
    let outer = engine.run(&request.run.id).await.map_err(transient)?;
    refuse_circles(engine, &outer, &config.dag).await?;
    let dag = find(engine, &outer, &config.dag).await?;
    let given = config.params.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    let given: BTreeMap<String, String> = given.collect();
    if let Some((name, _)) = given.iter().find(|(_, value)| masker.text((*value).clone()) != **value) {
        let message = format!("the parameter `{name}` of DAG `{}` would be a secret", dag.name);
        return Err(permanent(
            message,
            "parameters are kept and shown: let that DAG read the secret itself",
        ));
    }
    let params = dag.bind(&given).map_err(|problems| {
        let message = format!("the parameters of DAG `{}`: {}", dag.name, problems.join("; "));
        permanent(message, "correct `params` under `with`")
    })?;
    let new = NewRun {
        dag,
        params,
        logical_date: outer.logical_date,
        interval_start: outer.interval_start,
        trigger: RunTrigger::Dag,
        actor: outer.actor,
    };
    let beginning = Beginning {
        reserved: true,
        parent: Some(Parent {
            run: request.run.id,
            task: request.task,
        }),
        ..Beginning::default()
    };
    let run = engine.create_run_from(new, &beginning).await.map_err(transient)?;
    let ended = until_it_ends(engine, &run, stop.clone()).await.map_err(transient)?;
    let stopped = *stop.borrow();
    judge(engine, ended, stopped).await
}

/// A run within a run of the same DAG would never end.
async fn refuse_circles(engine: &Engine, outer: &RunRecord, name: &str) -> Result<(), Stopped> {
    let mut chain = vec![name.to_owned(), outer.dag.clone()];
    let mut above = outer.parent_run.clone();
    while let Some(run) = above {
        let record = engine.run(&run).await.map_err(transient)?;
        chain.push(record.dag);
        above = record.parent_run;
    }
    chain.reverse();
    let path = chain.join(" -> ");
    if chain.iter().filter(|dag| *dag == name).count() > 1 {
        let message = format!("DAG `{name}` would run within itself: {path}");
        return Err(permanent(
            message,
            "break the circle: one of these DAGs must not run the next",
        ));
    }
    if chain.len() > DEEPEST {
        let message = format!("runs stand in runs more than {DEEPEST} deep: {path}");
        return Err(permanent(
            message,
            "let one DAG run several of them one after the other",
        ));
    }
    Ok(())
}

/// The DAG of that name among the files beside the outer one.
async fn find(engine: &Engine, outer: &RunRecord, name: &str) -> Result<Dag, Stopped> {
    let file = engine.inner.options.working_directory.join(&outer.file_name);
    let directory = file.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let registry = Arc::clone(&engine.inner.options.registry);
    let name = name.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let shown = directory.display().to_string();
        let help = "write the `name` of a DAG whose file stands in that directory";
        let entries = std::fs::read_dir(&directory)
            .map_err(|error| permanent(format!("the directory {shown} cannot be read: {error}"), help))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| {
            path.extension()
                .is_some_and(|ending| ending == "yaml" || ending == "yml")
        });
        files.sort();
        let mut names = Vec::new();
        let mut broken = Vec::new();
        for file in files {
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            match ratchet_core::load(&file.to_string_lossy(), &text, &registry) {
                Ok(dag) if dag.name == name => return Ok(dag),
                Ok(dag) => names.push(format!("`{}`", dag.name)),
                Err(_) => broken.push(file.display().to_string()),
            }
        }
        let mut message = format!("no DAG of {shown} is called `{name}`; there are {}", names.join(", "));
        if !broken.is_empty() {
            message.push_str(&format!("; with errors: {}", broken.join(", ")));
        }
        Err(permanent(message, help))
    });
    found.await.map_err(transient)?
}

/// Drives the run, or waits for whoever does.
async fn until_it_ends(engine: &Engine, run: &str, stop: watch::Receiver<bool>) -> Result<RunRecord, EngineError> {
    loop {
        let (observer, _) = mpsc::unbounded_channel();
        match engine.execute(run, observer, stop.clone()).await {
            Err(EngineError::Ended { .. }) => return engine.run(run).await,
            Err(EngineError::Store(StoreError::Leased { .. })) => {
                if *stop.borrow() {
                    engine.store().ask_to_cancel(run, "the run around it").await?;
                }
                tokio::time::sleep(LOOK).await;
            }
            other => return other,
        }
    }
}

async fn judge(
    engine: &Engine,
    ended: RunRecord,
    stopped: bool,
) -> Result<(Verdict, BTreeMap<String, Output>), Stopped> {
    let tasks = engine.store().tasks(&ended.id).await.map_err(transient)?;
    let mut outputs = BTreeMap::from([("run".to_owned(), Output::Value(json!(ended.id)))]);
    let verdict = match ended.status {
        RunStatus::Succeeded => {
            let made = tasks.iter().filter(|task| task.instance.is_none());
            let made = made.map(|task| {
                let ports = task
                    .outputs
                    .iter()
                    .map(|(port, output)| (port.clone(), output.to_json()));
                (task.id.clone(), Value::Object(ports.collect()))
            });
            let made = Value::Object(made.collect::<Map<_, _>>());
            outputs.insert("outputs".to_owned(), Output::Value(made));
            Verdict::Succeeded
        }
        RunStatus::Cancelled if stopped => Verdict::Cancelled,
        status => {
            let first = tasks
                .iter()
                .find(|task| task.state == TaskState::Failed)
                .map(|task| {
                    let why = task.error.as_ref().map(|error| error.message.as_str());
                    format!(": task `{}`: {}", task.id, why.unwrap_or("it gave no message"))
                })
                .unwrap_or_default();
            let word = match status {
                RunStatus::Cancelled => "was cancelled",
                _ => "failed",
            };
            let failure = Failure {
                message: format!("run {} of DAG `{}` {word}{first}", ended.id, ended.dag),
                help: Some(format!("`ratchet runs show {}` shows it", ended.id)),
            };
            // Whether a retry can help was decided for each of its tasks.
            failed((failure, false))
        }
    };
    Ok((verdict, outputs))
}
