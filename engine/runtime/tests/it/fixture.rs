//! An engine in a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_runtime::{Engine, EngineOptions, NewRun, RunEvent, RunRecord, RunTrigger, TaskRecord, TaskState};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::plugins::registry;

pub struct Fixture {
    pub directory: TempDir,
    pub engine: Engine,
}

/// A run that ended, and all that was told about it.
pub struct Ended {
    pub run: RunRecord,
    pub tasks: Vec<TaskRecord>,
    pub events: Vec<RunEvent>,
}

impl Ended {
    pub fn task(&self, id: &str) -> &TaskRecord {
        self.tasks.iter().find(|task| task.id == id).unwrap()
    }

    pub fn states(&self) -> Vec<(&str, TaskState)> {
        self.tasks.iter().map(|task| (task.id.as_str(), task.state)).collect()
    }
}

/// The worker program, which cargo builds beside the tests.
pub fn worker() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/plugin_worker")
}

pub fn dag(text: &str) -> Dag {
    ratchet_core::load("test.yaml", text, &registry()).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Fixture {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Self::open(directory.path()).await;
        Self { directory, engine }
    }

    pub async fn open(home: &Path) -> Engine {
        Self::open_with(home, 4).await
    }

    /// An engine with that many slots.
    pub async fn open_with(home: &Path, slots: usize) -> Engine {
        let options = EngineOptions {
            home: home.to_owned(),
            database_url: None,
            bucket_url: home.join("bucket").display().to_string(),
            signing_key: None,
            replay: None,
            working_directory: home.to_owned(),
            worker: worker(),
            slots,
            registry: Arc::new(registry()),
        };
        Engine::open(options).await.unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub async fn create(&self, text: &str) -> String {
        let now = Timestamp::now();
        let dag = dag(text);
        let new = NewRun {
            params: dag.bind(&Default::default()).unwrap(),
            dag,
            logical_date: now,
            interval_start: now,
            trigger: RunTrigger::Manual,
            actor: "test".to_owned(),
        };
        self.engine.create_run(new).await.unwrap()
    }

    pub async fn run(&self, text: &str) -> Ended {
        let (_stay, cancel) = watch::channel(false);
        self.run_until(text, cancel).await
    }

    pub async fn run_until(&self, text: &str, cancel: watch::Receiver<bool>) -> Ended {
        let run = self.create(text).await;
        self.execute(&run, cancel).await
    }

    pub async fn execute(&self, run: &str, cancel: watch::Receiver<bool>) -> Ended {
        let (observer, mut heard) = mpsc::unbounded_channel();
        let run = self.engine.execute(run, observer, cancel).await.unwrap();
        let tasks = self.engine.store().tasks(&run.id).await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = heard.recv().await {
            events.push(event);
        }
        Ended { run, tasks, events }
    }
}

/// Waits for a file that a task writes.
pub async fn wait_for_file(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) => return text,
            Err(_) if start.elapsed() < Duration::from_secs(60) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

/// The processes of a file with an id a line.
pub fn pids(text: &str) -> Vec<i32> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Waits until none of the processes is left.
pub async fn assert_gone(pids: &[i32]) {
    let start = Instant::now();
    loop {
        let left: Vec<i32> = pids.iter().copied().filter(|pid| is_alive(*pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "still alive: {left:?} of {pids:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A zombie that nobody waited for is dead.
pub fn is_alive(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}
