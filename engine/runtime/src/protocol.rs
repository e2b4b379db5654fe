//! What the engine and a task process say to each other, a line of JSON each.
//!
//! The engine writes one [`AttemptRequest`] and then keeps the pipe open; the only later lines are [`Order`]s. The
//! process answers with any number of [`Said::Message`] and one last [`Said::Succeeded`] or [`Said::Failed`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use ratchet_core::plugin::{Outputs, Replay, RunContext, TaskError, TaskMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of these lines. Engine and worker are the same program, but an upgrade can come between.
pub(crate) const PROTOCOL: u32 = 1;

/// The environment variable that names the attempt, in the worker and everything that it starts.
pub(crate) const MARK: &str = "RATCHET_ATTEMPT";

/// One attempt to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AttemptRequest {
    pub protocol: u32,
    pub uses: String,
    /// Rendered.
    pub with: Value,
    /// Rendered; set on the process and not written to it.
    #[serde(skip)]
    pub environment: BTreeMap<String, String>,
    pub run: RunContext,
    pub task: String,
    pub attempt: u32,
    pub seed: u64,
    pub threads: usize,
    /// What is read in the place of what is there.
    #[serde(default)]
    pub replay: Replay,
    pub bucket_url: String,
    pub working_directory: PathBuf,
    pub temporary_directory: PathBuf,
}

impl AttemptRequest {
    /// Unique among all attempts.
    pub fn mark(&self) -> String {
        mark(&self.run.id, &self.task, self.attempt)
    }
}

/// The value of [`MARK`].
pub(crate) fn mark(run: &str, task: &str, attempt: u32) -> String {
    format!("{run}/{task}/{attempt}")
}

/// What the engine says after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Order {
    /// The run is being cancelled; the group is killed soon.
    Cancel,
}

/// What the task process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub(crate) enum Said {
    /// While it runs.
    Message(TaskMessage),
    /// Its last line, if all went well.
    Succeeded(Outputs),
    /// Its last line otherwise.
    Failed(TaskError),
}
