//! How the engine fails.

use std::path::PathBuf;

use ratchet_artifacts::BucketError;
use ratchet_core::state::IllegalEvent;

/// The metadata database refused. A fragment that names the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be opened, or a newer program migrated it.
    #[error("the metadata database {0}")]
    Open(#[from] ratchet_database::OpenError),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] ratchet_database::AddressError),
    /// A statement failed.
    #[error("the metadata database failed to {action}: {source}")]
    Query {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A row does not read back.
    #[error("the metadata database holds {what} that cannot be read: {message}")]
    Damaged {
        /// Which row and column.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// More than one run begins so.
    #[error("{count} runs begin with `{prefix}`; give more of the id")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// Another process drives the run.
    #[error(
        "run {run} is driven by another process; wait for it, or, if it was killed, some seconds until its lease ends"
    )]
    Leased {
        /// The run.
        run: String,
    },
}

/// The engine could not do what it was asked. A failed run is none: see [`RunStatus`](crate::RunStatus).
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The home directory cannot be used.
    #[error("the home directory {path} cannot be used: {message}; name another one with RATCHET_HOME")]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// The metadata database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket refused.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// No such run.
    #[error("there is no run `{run}`; `ratchet runs list` shows them")]
    UnknownRun {
        /// What was asked for.
        run: String,
    },
    /// The run has no such task.
    #[error("run {run} has no task `{task}`; it has {known}")]
    UnknownTask {
        /// The run.
        run: String,
        /// What was asked for.
        task: String,
        /// The ids that it has.
        known: String,
    },
    /// The run is over.
    #[error("run {run} has ended ({status}); start a new one")]
    Ended {
        /// The run.
        run: String,
        /// How it ended.
        status: ratchet_core::state::RunStatus,
    },
    /// The run is not over.
    #[error(
        "run {run} has not ended; `ratchet runs cancel {run}` ends it, `ratchet runs resume {run}` takes it over if its engine is gone"
    )]
    Unfinished {
        /// The run.
        run: String,
    },
    /// A retry would run nothing.
    #[error("run {run} has nothing to run again: all its tasks succeeded; name the task to begin with by --from")]
    NothingToDo {
        /// The run.
        run: String,
    },
    /// A task that is left out is needed.
    #[error(
        "task `{task}` comes after `{needed}`, which is left out and has not succeeded in any run of `{dag}`; name `{needed}` too, or run everything up to the task with --until {task}"
    )]
    Needed {
        /// The DAG.
        dag: String,
        /// The task that shall run.
        task: String,
        /// What it comes after.
        needed: String,
    },
    /// Values of parameters do not fit.
    #[error(
        "the parameters of run {run} cannot be changed so: {message}; give each as NAME=VALUE of its declared type"
    )]
    Params {
        /// The run.
        run: String,
        /// All problems.
        message: String,
    },
    /// The task does not wait for an answer.
    #[error("task `{task}` of run {run} does not wait for an answer: {why}")]
    NotAwaited {
        /// The run.
        run: String,
        /// The task.
        task: String,
        /// Where it stands.
        why: String,
    },
    /// The form of an approval is not filled well.
    #[error("the form of task `{task}` is not filled well: {}", told(problems))]
    Form {
        /// The task.
        task: String,
        /// Each field with what is wrong.
        problems: Vec<(String, String)>,
    },
    /// The run's own DAG text does not load any more.
    #[error("the DAG text of run {run} cannot be read by this version: {message}")]
    Dag {
        /// The run.
        run: String,
        /// The first diagnostics.
        message: String,
    },
    /// An MLflow server was not told.
    #[error("MLflow was not told of run {run}: {message}")]
    Tracking {
        /// The run.
        run: String,
        /// Why, and what to do if that is known.
        message: String,
    },
    /// The program that runs the tasks cannot be read.
    #[error("{message}; start ratchet again if it was replaced while it ran")]
    Build {
        /// What the system said.
        message: String,
    },
    /// The schedule cannot be followed.
    #[error("the schedule of `{dag}` cannot be read: {message}; correct `cron` and `timezone`")]
    Schedule {
        /// The DAG.
        dag: String,
        /// Why.
        message: String,
    },
    /// A backfill that cannot be made or go on.
    #[error("no backfill of `{dag}`: {message}")]
    Backfill {
        /// The DAG.
        dag: String,
        /// Why, and what to do.
        message: String,
    },
    /// The state machine refused an event: a fault of this program.
    #[error("run {run}: {source}")]
    Illegal {
        /// The run.
        run: String,
        /// What was refused.
        source: IllegalEvent,
    },
}

fn told(problems: &[(String, String)]) -> String {
    let told: Vec<String> = problems
        .iter()
        .map(|(field, problem)| format!("`{field}` {problem}"))
        .collect();
    told.join("; ")
}
