//! A checked DAG.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Notify, Param, Retry, Schedule, TaskSpec};

/// What tasks inherit.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Limit of one attempt.
    pub timeout: Duration,
    /// What happens after a failure that a retry can help.
    pub retry: Retry,
    /// Variables of each worker's environment, their `${{ }}` not yet rendered.
    pub environment: BTreeMap<String, String>,
}

/// A DAG file that passed every check. Made by [`crate::load`].
#[derive(Clone, Debug, PartialEq)]
pub struct Dag {
    /// `[a-z][a-z0-9-]*`.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// Parameters by name.
    pub params: BTreeMap<String, Param>,
    /// What tasks inherit.
    pub defaults: Defaults,
    /// How many runs may be active at once.
    pub max_active_runs: u32,
    /// Who is told how a run ended.
    pub notify: Vec<Notify>,
    /// Every secret that the file reads, by name.
    pub secrets: BTreeSet<String>,
    /// Tasks, each after all that it depends on; ties in file order.
    pub tasks: Vec<TaskSpec>,
    /// The file's name as it was given.
    pub file_name: String,
    /// The file's text. A run keeps it and goes on with it.
    pub text: String,
}

impl Dag {
    /// The task of that id.
    pub fn task(&self, id: &str) -> Option<&TaskSpec> {
        self.tasks.iter().find(|task| task.id == id)
    }
}
