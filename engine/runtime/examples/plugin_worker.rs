//! A program with plugins of its own: the worker of its engine, and an engine that drives one run.
//!
//!     plugin_worker task-worker             run one task, as the engine asks
//!     plugin_worker drive HOME FILE         run a DAG file
//!     plugin_worker resume HOME             take over every run that nobody drives
//!     plugin_worker meddle HOME FILE        the same, after people made runs, cancelled, corrected and removed some
//!
//! With `TEST_POINT` and `TEST_POINT_AFTER` (milliseconds) an engine ends as by `kill -9` at a failpoint, with
//! `TEST_WORKER_POINT` and `TEST_WORKER_ONCE` (a file that must not exist) one worker does. `TEST_RECORD` names a file
//! for the points that are reached, by the engine alone with `TEST_RECORD_ENGINE_ONLY`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratchet_artifacts::failpoints;
use ratchet_runtime::{
    Collect, Engine, EngineOptions, NewBackfill, NewRun, RunStatus, RunTrigger, TaskState, WORKER_SUBCOMMAND,
    worker_main,
};

#[path = "../tests/it/plugins.rs"]
mod plugins;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [first] if *first == WORKER_SUBCOMMAND => {
            arm_worker();
            worker_main(&plugins::registry()).await
        }
        ["drive", home, file] => match drive(Path::new(home), Path::new(file)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        ["resume", home] => match resume(Path::new(home)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        ["meddle", home, file] => match meddle(Path::new(home), Path::new(file)).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        _ => ExitCode::from(2),
    }
}

fn record() {
    if let Some(file) = std::env::var_os("TEST_RECORD") {
        failpoints::record(PathBuf::from(file));
    }
}

fn arm_engine() {
    record();
    let Ok(point) = std::env::var("TEST_POINT") else { return };
    let after = std::env::var("TEST_POINT_AFTER")
        .ok()
        .and_then(|text| text.parse().ok());
    let from = Instant::now() + Duration::from_millis(after.unwrap_or(0));
    failpoints::arm(&point, move || Instant::now() >= from);
}

fn arm_worker() {
    if std::env::var_os("TEST_RECORD_ENGINE_ONLY").is_none() {
        record();
    }
    if let (Ok(point), Some(once)) = (std::env::var("TEST_WORKER_POINT"), std::env::var_os("TEST_WORKER_ONCE")) {
        failpoints::arm(&point, move || std::fs::File::create_new(&once).is_ok());
    }
}

async fn drive(home: &Path, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = open(home).await?;
    let run = create(&engine, file).await?;
    let (observer, _) = tokio::sync::mpsc::unbounded_channel();
    let (_stay, cancel) = tokio::sync::watch::channel(false);
    engine.execute(&run, observer, cancel).await?;
    Ok(())
}

async fn meddle(home: &Path, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = open(home).await?;
    create(&engine, file).await?;
    let unwanted = create(&engine, file).await?;
    engine.ask_to_cancel(&unwanted, "example").await?;
    let runs = engine.store().list_runs(None, 1_000).await?;
    if let Some(ended) = runs.iter().find(|run| run.status == RunStatus::Cancelled) {
        engine.mark(&ended.id, "wait", TaskState::Skipped, "example").await?;
    }
    engine.store().pause("meddled", "example").await?;
    engine.store().unpause("meddled").await?;
    fill_in(&engine, file).await?;
    let old = Collect {
        runs_older_than: Some(Duration::from_secs(48 * 60 * 60)),
        ..Collect::default()
    };
    engine.collect(&old).await?;
    take_over(&engine).await
}

/// A backfill of one tick, which somebody stops when it has begun.
async fn fill_in(engine: &Engine, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)?;
    let dag = ratchet_core::load(&file.display().to_string(), &text, &plugins::registry())
        .map_err(|error| error.to_string())?;
    let tick: jiff::Timestamp = "2024-05-01T00:00:00Z".parse()?;
    let new = NewBackfill {
        params: dag.bind(&Default::default()).map_err(|problems| problems.join(", "))?,
        dag,
        from: tick,
        to: tick,
        missing_only: false,
        max_active: 1,
        actor: "example".to_owned(),
    };
    if let Some(backfill) = engine.create_backfill(&new, None, jiff::Timestamp::now()).await? {
        engine.advance_backfill(&backfill, false).await?;
        engine.stop_backfill(&backfill, "example").await?;
    }
    Ok(())
}

async fn create(engine: &Engine, file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)?;
    let dag = ratchet_core::load(&file.display().to_string(), &text, &plugins::registry())
        .map_err(|error| error.to_string())?;
    let now = jiff::Timestamp::now();
    let run = engine
        .create_run(NewRun {
            params: dag.bind(&Default::default()).map_err(|problems| problems.join(", "))?,
            dag,
            logical_date: now,
            interval_start: now,
            trigger: RunTrigger::Manual,
            actor: "example".to_owned(),
        })
        .await?;
    Ok(run)
}

async fn resume(home: &Path) -> Result<(), Box<dyn std::error::Error>> {
    take_over(&open(home).await?).await
}

async fn take_over(engine: &Engine) -> Result<(), Box<dyn std::error::Error>> {
    let (_stay, cancel) = tokio::sync::watch::channel(false);
    let runs = engine.store().unattended_runs().await?;
    let driven = runs.iter().map(|run| {
        let (observer, _) = tokio::sync::mpsc::unbounded_channel();
        engine.execute(run, observer, cancel.clone())
    });
    futures::future::try_join_all(driven).await?;
    Ok(())
}

async fn open(home: &Path) -> Result<Engine, Box<dyn std::error::Error>> {
    arm_engine();
    Ok(Engine::open(EngineOptions {
        home: home.to_owned(),
        database_url: None,
        bucket_url: home.join("bucket").display().to_string(),
        signing_key: None,
        replay: None,
        working_directory: std::env::current_dir()?,
        worker: std::env::current_exe()?,
        slots: 4,
        registry: Arc::new(plugins::registry()),
    })
    .await?)
}
