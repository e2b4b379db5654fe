//! What an observer of a run is told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::plugin::{LogLevel, Output};
use ratchet_core::state::{RunStatus, TaskState};
use serde::{Deserialize, Serialize};

use crate::record::Failure;

/// Something that happened in a run. State changes (all but log lines, progress and metrics) are told after
/// they are on disk, in the order in which they were decided, and are kept: see [`Store::events`](crate::Store::events).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run is being driven, from its beginning or from where a former engine left it.
    RunStarted {
        /// Run id.
        run: String,
        /// Name of the DAG.
        dag: String,
    },
    /// The list of a task is known: from now on its instances run, and it ends with the last of them.
    TaskExpanded {
        /// Task id.
        task: String,
        /// How many.
        instances: usize,
    },
    /// A person is asked.
    TaskAwaited {
        /// Task id.
        task: String,
        /// What is asked.
        message: String,
        /// Until when the question stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// An attempt starts.
    TaskStarted {
        /// Task id.
        task: String,
        /// From 1.
        attempt: u32,
    },
    /// A line of an attempt's log.
    TaskLog {
        /// Task id.
        task: String,
        /// Loudness.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// How far an attempt got.
    TaskProgress {
        /// Task id.
        task: String,
        /// From 0 to 1.
        fraction: f64,
        /// What it does now.
        message: String,
    },
    /// A point of a curve.
    TaskMetric {
        /// Task id.
        task: String,
        /// Name of the curve.
        name: String,
        /// Value.
        value: f64,
        /// Step, such as the boosting round.
        step: u64,
    },
    /// An attempt failed and another one follows.
    TaskRetry {
        /// Task id.
        task: String,
        /// The attempt that follows.
        attempt: u32,
        /// Seconds until then.
        pause: f64,
        /// Why the last one failed.
        error: Failure,
    },
    /// A task came to its end.
    TaskEnded {
        /// Task id.
        task: String,
        /// Succeeded, failed, skipped or cancelled.
        state: TaskState,
        /// Seconds of the last attempt; none if it never ran.
        seconds: Option<f64>,
        /// Why it was skipped, cancelled or failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The failure, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
        /// Output ports, versions filled in.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, Output>,
    },
    /// All tasks came to their end.
    RunEnded {
        /// Succeeded, failed or cancelled.
        status: RunStatus,
    },
}

impl RunEvent {
    /// The event as it is kept: outputs stand on the task's row already.
    pub(crate) fn without_outputs(&self) -> Self {
        let mut event = self.clone();
        if let Self::TaskEnded { outputs, .. } = &mut event {
            outputs.clear();
        }
        event
    }
}
