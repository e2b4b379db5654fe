//! What a running task is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::port::{Blob, Collected};

/// The run that a task belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunContext {
    /// UUIDv7 of the run.
    pub id: String,
    /// Name of the DAG.
    pub dag: String,
    /// The tick's instant. A retry has the values of the run that it repeats.
    pub logical_date: Timestamp,
    /// The tick before.
    pub interval_start: Timestamp,
    /// Equals `logical_date`.
    pub interval_end: Timestamp,
}

/// What an earlier run read, to be read in the place of what is there by now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Raw bytes that it saved, in the bucket; empty: the source is read.
    pub raw: Vec<Blob>,
    /// When they were collected.
    pub collected: Option<Collected>,
    /// Versions of the lookups that it joined, by name. A lookup that is not named here is joined as it is by now.
    pub lookups: BTreeMap<String, u64>,
}

/// Where and when a task would run, for its [fingerprint](super::Plugin::fingerprint).
#[derive(Clone, Debug)]
pub struct Place {
    /// The run.
    pub run: RunContext,
    /// Relative paths of the configuration are read against it.
    pub working_directory: PathBuf,
}

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What someone should look at.
    Warn,
    /// What failed.
    Error,
}

/// What a task says while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TaskMessage {
    /// A line of the log.
    Log {
        /// Loudness.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// How far it got.
    Progress {
        /// From 0 to 1.
        fraction: f64,
        /// What it does now.
        message: String,
    },
    /// A number worth a curve.
    Metric {
        /// Name.
        name: String,
        /// Value.
        value: f64,
        /// Step, such as the boosting round.
        step: u64,
    },
}

/// Takes what a task says. Cheap to call, never blocks.
pub type MessageSink = Arc<dyn Fn(TaskMessage) + Send + Sync>;

/// Everything that a plugin may know about where it runs.
#[derive(Clone)]
pub struct TaskContext {
    /// The run.
    pub run: RunContext,
    /// Id of the task in the DAG.
    pub task: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Seed from the configuration; the same for each attempt.
    pub seed: u64,
    /// How many threads the task may use. Results must not depend on it.
    pub threads: usize,
    /// What an earlier run read, if that shall be read again.
    pub replay: Replay,
    /// The bucket's address (`file://`, `s3://`), for `ratchet_artifacts::Bucket::open`.
    pub bucket_url: String,
    /// Directory against which relative paths in the DAG are read.
    pub working_directory: PathBuf,
    /// Removed when the attempt ends.
    pub temporary_directory: PathBuf,
    /// Where messages go.
    pub sink: MessageSink,
    /// Set when the run is cancelled; long loops look at it.
    pub cancelled: Arc<AtomicBool>,
}

impl TaskContext {
    /// Writes a line of the log.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        (self.sink)(TaskMessage::Log {
            level,
            message: message.into(),
        });
    }

    /// Says what happens.
    pub fn info(&self, message: impl Into<String>) {
        self.log(LogLevel::Info, message);
    }

    /// Says what someone should look at.
    pub fn warn(&self, message: impl Into<String>) {
        self.log(LogLevel::Warn, message);
    }

    /// Says how far it got, from 0 to 1.
    pub fn progress(&self, fraction: f64, message: impl Into<String>) {
        (self.sink)(TaskMessage::Progress {
            fraction,
            message: message.into(),
        });
    }

    /// Records one point of a curve.
    pub fn metric(&self, name: impl Into<String>, value: f64, step: u64) {
        (self.sink)(TaskMessage::Metric {
            name: name.into(),
            value,
            step,
        });
    }

    /// True once the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
