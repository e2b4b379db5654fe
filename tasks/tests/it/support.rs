//! A bucket, a context, and a way to run a plugin.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use polars::prelude::DataFrame;
use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::{Bucket, Collected, Lineage, PageTag};
use ratchet_core::plugin::{Output, Outputs, Replay, Report, RunContext, Table, TaskContext, TaskError, TaskMessage};
use ratchet_tasks::table::to_blob_ref;
use serde_json::Value;
use tempfile::TempDir;

/// Everything that a task needs, gone when the test ends.
pub struct Stage {
    _directory: TempDir,
    pub context: TaskContext,
    pub messages: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    pub fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let working_directory = directory.path().join("work");
        let temporary_directory = directory.path().join("temporary");
        std::fs::create_dir_all(&working_directory).unwrap();
        std::fs::create_dir_all(&temporary_directory).unwrap();
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&messages);
        let context = TaskContext {
            run: RunContext {
                id: "0198c0de-0000-7000-8000-000000000000".to_owned(),
                dag: "test".to_owned(),
                logical_date: "2026-01-15T02:00:00Z".parse().unwrap(),
                interval_start: "2025-12-15T02:00:00Z".parse().unwrap(),
                interval_end: "2026-01-15T02:00:00Z".parse().unwrap(),
            },
            task: "task".to_owned(),
            attempt: 1,
            seed: 7,
            threads: 2,
            replay: Replay::default(),
            bucket_url: directory.path().join("bucket").display().to_string(),
            working_directory,
            temporary_directory,
            sink: Arc::new(move |message| {
                if let TaskMessage::Log { message, .. } = message {
                    sink.lock().unwrap().push(message);
                }
            }),
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        Stage {
            _directory: directory,
            context,
            messages,
        }
    }

    /// Runs a plugin by its name.
    pub async fn run(&self, uses: &str, with: Value) -> Result<Outputs, TaskError> {
        let registry = ratchet_tasks::registry();
        registry
            .get(uses)
            .expect("the plugin is registered")
            .run(with, &self.context)
            .await
    }

    /// Registers a table under the name of the task, as the engine does when the task has ended.
    pub async fn register(&self, table: &Table) {
        let collected = table.collected.clone().unwrap();
        let pages = collected.pages.into_iter().map(|page| PageTag {
            address: page.address,
            etag: page.etag,
            last_modified: page.last_modified,
        });
        let new = NewDataset {
            name: "test-task".to_owned(),
            files: table.files.iter().map(to_blob_ref).collect(),
            raw: table.raw.iter().map(to_blob_ref).collect(),
            collected: Some(Collected {
                at: collected.at,
                etag: collected.etag,
                last_modified: collected.last_modified,
                pages: pages.collect(),
            }),
            rows: table.rows,
            columns: Vec::new(),
            lineage: Lineage {
                source: table.source.clone(),
                ..Lineage::default()
            },
            key: format!("run/{}", table.raw[0].sha256),
        };
        datasets::register(&self.bucket().await, new).await.unwrap();
    }

    /// The same stage, for a task that reads what a table was read from.
    pub fn replaying(mut self, table: &Table) -> Stage {
        self.context.replay = Replay {
            raw: table.raw.clone(),
            collected: table.collected.clone(),
            ..Replay::default()
        };
        self
    }

    /// Runs a plugin that returns a table.
    pub async fn table(&self, uses: &str, with: Value) -> Table {
        let outputs = self
            .run(uses, with)
            .await
            .unwrap_or_else(|error| panic!("{uses}: {error}"));
        match outputs.ports.get("table") {
            Some(Output::Table(table)) => table.clone(),
            other => panic!("{uses} returned {other:?}"),
        }
    }

    pub async fn frame(&self, table: &Table) -> DataFrame {
        ratchet_tasks::table::read(&self.bucket().await, table).await.unwrap()
    }

    pub async fn bucket(&self) -> Bucket {
        Bucket::open(&self.context.bucket_url).await.unwrap()
    }

    /// The report behind a port, as JSON.
    pub async fn report(&self, outputs: &Outputs) -> Value {
        let Some(Output::Report(Report { blob, .. })) = outputs.ports.get("report") else {
            panic!("no report in {outputs:?}");
        };
        let content = self
            .bucket()
            .await
            .get_blob(&ratchet_tasks::table::to_blob_ref(blob))
            .await
            .unwrap();
        serde_json::from_slice(&content).unwrap()
    }

    /// Writes a file into the working directory.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.context.working_directory.join(name), content).unwrap();
    }

    pub fn log(&self) -> String {
        self.messages.lock().unwrap().join("\n")
    }
}

/// Keeps a page as test output, for people to look at.
pub fn keep_page(name: &str, html: &str) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, html).unwrap();
    println!("kept {}", path.display());
}

/// A file of real records. None, with a line that says so, if it is not there: the test counts as skipped.
pub fn real_records(name: &str) -> Option<String> {
    let directory = std::env::var_os("RATCHET_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = directory.join(name);
    if !path.exists() {
        println!("skipped: {} is not there; set RATCHET_TEST_DATA", path.display());
        return None;
    }
    Some(path.canonicalize().unwrap().display().to_string())
}

/// The tasks of the DAG that ships, with its configuration: one text for the product and its tests.
pub fn shipped_task(id: &str) -> Value {
    shipped_dag("lfb_response_time.yaml")["tasks"][id]["with"].clone()
}

/// The vehicles that the DAG that ships makes of incident records.
pub async fn shipped_vehicles(stage: &Stage, incidents: &Table) -> Table {
    let mut with = shipped_task("arrivals");
    with["tables"] = serde_json::json!({ "incidents": incidents });
    let arrivals = stage.table("transform.sql", with).await;
    let mut with = shipped_task("vehicles");
    with["tables"] = serde_json::json!({ "incidents": incidents, "arrivals": arrivals });
    stage.table("transform.sql", with).await
}

/// A DAG that ships.
pub fn shipped_dag(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dags").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
