//! The door to this crate: see [`Engine`].

use std::path::PathBuf;
use std::sync::Arc;

use ratchet_artifacts::{Bucket, SigningKey, sha256_of_file};
use ratchet_core::plugin::{Output, Outputs, Registry};
use ratchet_core::state::RunStatus;
use ratchet_database::Address;
use tempfile::TempDir;
use tokio::sync::{OnceCell, mpsc, watch};

use crate::beginning::Beginning;
use crate::dispatcher::Dispatcher;
use crate::error::{EngineError, StoreError};
use crate::event::RunEvent;
use crate::journal::Journal;
use crate::logs::{LogLine, from_ndjson, log_path};
use crate::protocol::AttemptRequest;
use crate::record::{NewRun, RunRecord};
use crate::reproduce::Earlier;
use crate::slots::Slots;
use crate::store::{AttemptName, SayingKind, Store};

/// What an engine needs to know.
#[derive(Clone)]
pub struct EngineOptions {
    /// Holds `engine.sqlite` and the temporary directories of attempts. Created if missing.
    pub home: PathBuf,
    /// Address of the metadata database: `sqlite://PATH`, or `postgres://...` where it gets a schema of its own,
    /// `ratchet_engine`. None: `engine.sqlite` in the home directory.
    pub database_url: Option<String>,
    /// Address of the bucket: `file://`, a plain path, or `s3://`.
    pub bucket_url: String,
    /// Signs manifests and promotions; without one they are not signed.
    pub signing_key: Option<SigningKey>,
    /// Set, it runs what led to a version once more, in a home of its own: see [`Engine::reproduce`].
    pub replay: Option<Earlier>,
    /// Relative paths in DAGs are read against this directory.
    pub working_directory: PathBuf,
    /// The program for tasks in processes, called as `<worker> task-worker`.
    pub worker: PathBuf,
    /// How many attempts may run at once, over all runs that this engine drives; at least 1.
    pub slots: usize,
    /// The plugins.
    pub registry: Arc<Registry>,
}

/// Creates runs and drives them. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub options: EngineOptions,
    pub store: Store,
    pub bucket: Bucket,
    pub slots: Arc<Slots>,
    pub journal: Journal,
    /// The digest of the program that runs the tasks, once somebody asked for it.
    pub build: OnceCell<String>,
}

impl Inner {
    /// The digest of the program that runs the tasks, as 64 hexadecimal digits.
    pub async fn build(&self) -> Result<&str, String> {
        let program = self.options.worker.clone();
        let digest = self.build.get_or_try_init(|| async {
            let digest = tokio::task::spawn_blocking(move || sha256_of_file(&program));
            match digest.await {
                Ok(Ok(digest)) => Ok(digest),
                Ok(Err(error)) => Err(format!("the program that runs the tasks cannot be read: {error}")),
                Err(error) => Err(error.to_string()),
            }
        });
        digest.await.map(String::as_str)
    }

    /// The same for the lineage of what a task returned; empty if nothing of it is registered.
    pub async fn build_of(&self, outputs: &Outputs) -> &str {
        let registered = |output: &Output| matches!(output, Output::Table(_) | Output::Model(_));
        if !outputs.ports.values().any(registered) {
            return "";
        }
        match self.build().await {
            Ok(build) => build,
            Err(error) => {
                tracing::warn!("the lineage does not say which program made it: {error}");
                ""
            }
        }
    }

    /// A directory that is removed when the value is dropped.
    pub fn temporary_directory(&self, request: &AttemptRequest) -> std::io::Result<TempDir> {
        let parent = self.options.home.join("tmp");
        std::fs::create_dir_all(&parent)?;
        let prefix = temporary_prefix(&request.run.id, &request.task, request.attempt);
        tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)
    }

    /// Removes what an attempt left whose engine was killed.
    pub fn remove_temporary_directories(&self, run: &str, task: &str, attempt: u32) {
        let prefix = temporary_prefix(run, task, attempt);
        let Ok(entries) = std::fs::read_dir(self.options.home.join("tmp")) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix)
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::warn!("{} cannot be removed: {error}", entry.path().display());
            }
        }
    }
}

fn temporary_prefix(run: &str, task: &str, attempt: u32) -> String {
    format!("{run}.{task}.{attempt}.")
}

impl Engine {
    /// Opens the metadata database (migrating it; a file is created) and the bucket.
    ///
    /// # Errors
    ///
    /// If the home directory, the database or the bucket cannot be used; the message names it and the remedy.
    pub async fn open(mut options: EngineOptions) -> Result<Self, EngineError> {
        let unusable = |error: std::io::Error| EngineError::Home {
            path: options.home.clone(),
            message: error.to_string(),
        };
        std::fs::create_dir_all(&options.home).map_err(unusable)?;
        // Workers get these paths, and may have another working directory one day.
        let home = std::path::absolute(&options.home).map_err(unusable)?;
        let working_directory = std::path::absolute(&options.working_directory).map_err(unusable)?;
        options.home = home;
        options.working_directory = working_directory;
        let address = match &options.database_url {
            Some(url) => Address::parse(url).map_err(StoreError::from)?,
            None => Address::file(&options.home.join("engine.sqlite")),
        };
        let store = Store::open(&address).await?;
        let bucket = Bucket::open(&options.bucket_url).await?;
        let bucket = bucket.signing_with(options.signing_key.clone());
        let journal = Journal::start(store.clone());
        let slots = Slots::new(options.slots.max(1));
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                store,
                bucket,
                slots,
                journal,
                build: OnceCell::new(),
            }),
        })
    }

    /// Records a run and returns its id. A tick that has its run already makes no second one: that run's id is returned.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn create_run(&self, new: NewRun) -> Result<String, EngineError> {
        self.create_run_from(new, &Beginning::default()).await
    }

    /// The same for a run that begins with what another one finished.
    ///
    /// # Errors
    ///
    /// If no task is left to run, or the database refuses.
    pub async fn create_run_from(&self, new: NewRun, beginning: &Beginning) -> Result<String, EngineError> {
        // A run without an open task would never come to its end.
        if new.dag.tasks.iter().all(|task| beginning.kept.contains_key(&task.id)) {
            let run = beginning.retry_of.clone().unwrap_or_else(|| new.dag.name.clone());
            return Err(EngineError::NothingToDo { run });
        }
        Ok(self.inner.store.create_run(&new, beginning).await?)
    }

    /// Drives a run to its end: from its beginning, or from where a process that is gone left it. `observer` is told
    /// what happens; nobody has to listen. When `cancel` turns true, running attempts are ended and the run is
    /// cancelled. Dropping the future ends the attempts and leaves the run to whoever executes it next.
    ///
    /// # Errors
    ///
    /// If there is no such run, it has ended, another process drives it, or the database fails. A failed task is no
    /// error: see [`RunRecord::status`].
    pub async fn execute(
        &self,
        run: &str,
        observer: mpsc::UnboundedSender<RunEvent>,
        cancel: watch::Receiver<bool>,
    ) -> Result<RunRecord, EngineError> {
        let record = self.run(run).await?;
        if record.status != RunStatus::Running && self.inner.store.notices(&record.id).await?.is_empty() {
            return Err(EngineError::Ended {
                run: record.id,
                status: record.status,
            });
        }
        let id = record.id.clone();
        Dispatcher::take(Arc::clone(&self.inner), record, observer, cancel)
            .await?
            .drive()
            .await?;
        self.run(&id).await
    }

    /// The log lines of a run's attempts, also of those under way, or of one task's: by task in DAG order, then attempt, then time.
    ///
    /// # Errors
    ///
    /// If there is no such run or task, or the database or the bucket fails.
    pub async fn logs(&self, run: &str, task: Option<&str>) -> Result<Vec<LogLine>, EngineError> {
        let record = self.run(run).await?;
        if let Some(task) = task {
            let tasks = self.inner.store.tasks(&record.id).await?;
            if !tasks.iter().any(|known| known.id == task) {
                let known: Vec<String> = tasks.into_iter().map(|known| format!("`{}`", known.id)).collect();
                return Err(EngineError::UnknownTask {
                    run: record.id,
                    task: task.to_owned(),
                    known: known.join(", "),
                });
            }
        }
        let mut lines = Vec::new();
        for attempt in self.inner.store.attempts(&record.id).await? {
            // The lines of a task are those of its instances.
            let asked_for = |task: &str| {
                let rest = attempt.task.strip_prefix(task);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
            };
            if task.is_some_and(|task| !asked_for(task)) {
                continue;
            }
            let path = log_path(&record.id, &attempt.task, attempt.attempt);
            // Under way, or ended while the bucket refused its log.
            let kept = AttemptName {
                run: record.id.clone(),
                task: attempt.task.clone(),
                attempt: attempt.attempt,
            };
            let mut text = self.inner.store.said(&kept, SayingKind::Log).await?;
            if attempt.outcome.is_some()
                && let Some(whole) = self.inner.bucket.get(&path).await?
            {
                text = whole.to_vec();
            }
            lines.extend(from_ndjson(&text, &attempt.task, attempt.attempt));
        }
        Ok(lines)
    }

    /// The run of that id, or the one run whose id begins or ends so.
    ///
    /// # Errors
    ///
    /// If there is none or more than one, or the database fails.
    pub async fn run(&self, run: &str) -> Result<RunRecord, EngineError> {
        self.inner
            .store
            .run(run)
            .await?
            .ok_or_else(|| EngineError::UnknownRun { run: run.to_owned() })
    }

    /// The metadata.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.inner.bucket
    }
}
