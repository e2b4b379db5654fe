//! One task of a DAG.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::{Retry, TriggerRule};
use crate::plugin::Isolation;

/// What an attempt may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Limit in bytes.
    pub memory_bytes: Option<u64>,
    /// Number of threads; none: as many as the machine has cores.
    pub threads: Option<usize>,
}

/// One task, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// `[a-z][a-z0-9_-]*`, unique in the DAG.
    pub id: String,
    /// Name of the plugin.
    pub uses: String,
    /// Configuration, its `${{ }}` not yet rendered.
    pub with: Value,
    /// All tasks that it comes after: those of `needs` and those whose ports it reads.
    pub dependencies: BTreeSet<String>,
    /// What the dependencies must have come to.
    pub trigger: TriggerRule,
    /// Expression text (without `${{ }}`); a false value skips the task.
    pub when: Option<String>,
    /// After a failure.
    pub retry: Retry,
    /// Limit of one attempt.
    pub timeout: Duration,
    /// Where it runs; from the plugin unless the file says otherwise.
    pub isolation: Isolation,
    /// What it may use.
    pub resources: Resources,
    /// Variables of its worker's environment, their `${{ }}` not yet rendered. A task with some gets a process of its
    /// own, whatever its isolation.
    pub environment: BTreeMap<String, String>,
}
