//! A program with plugins of its own: the worker of its engine, and an engine that drives one run.
//!
//!     plugin_worker task-worker             run one task, as the engine asks
//!     plugin_worker drive HOME FILE         run a DAG file
//!     plugin_worker resume HOME             take over every run that nobody drives

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ratchet_runtime::{Engine, EngineOptions, NewRun, RunTrigger, WORKER_SUBCOMMAND, worker_main};

#[path = "../tests/it/plugins.rs"]
mod plugins;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [first] if *first == WORKER_SUBCOMMAND => worker_main(&plugins::registry()).await,
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
        _ => ExitCode::from(2),
    }
}

async fn drive(home: &Path, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = open(home).await?;
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
    let (observer, _) = tokio::sync::mpsc::unbounded_channel();
    let (_stay, cancel) = tokio::sync::watch::channel(false);
    engine.execute(&run, observer, cancel).await?;
    Ok(())
}

async fn resume(home: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = open(home).await?;
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
    Ok(Engine::open(EngineOptions {
        home: home.to_owned(),
        database_url: None,
        bucket_url: home.join("bucket").display().to_string(),
        working_directory: std::env::current_dir()?,
        worker: std::env::current_exe()?,
        slots: 4,
        registry: Arc::new(plugins::registry()),
    })
    .await?)
}
