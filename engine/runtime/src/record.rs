//! What the metadata database knows about runs, tasks and attempts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::plugin::Output;
use ratchet_core::spec::Dag;
use ratchet_core::state::{RunStatus, TaskState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::RunEvent;

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunTrigger {
    /// A person.
    Manual,
    /// A tick of the schedule. Unique on DAG and logical date.
    Schedule,
    /// A tick of the past that somebody wanted a run for. Unique together with those of the schedule, unless it repeats
    /// a run.
    Backfill,
    /// A task of another run: see [`RunRecord::parent_run`].
    Dag,
    /// What the DAG's triggers found, or a call of its webhook.
    Event,
}

impl RunTrigger {
    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Backfill => "backfill",
            Self::Dag => "dag",
            Self::Event => "event",
        }
    }

    /// The trigger of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Manual, Self::Schedule, Self::Backfill, Self::Dag, Self::Event]
            .into_iter()
            .find(|trigger| trigger.name() == name)
    }
}

/// A run to create.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The checked DAG. The run keeps its text and goes on with it.
    pub dag: Dag,
    /// Parameter values as [`Dag::bind`](ratchet_core::spec::Dag) returned them.
    pub params: BTreeMap<String, Value>,
    /// The tick's instant; also the end of the interval.
    pub logical_date: Timestamp,
    /// The tick before.
    pub interval_start: Timestamp,
    /// What started it.
    pub trigger: RunTrigger,
    /// Who started it.
    pub actor: String,
}

/// A run as it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// UUIDv7.
    pub id: String,
    /// Name of the DAG.
    pub dag: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What started it.
    pub trigger: RunTrigger,
    /// Who started it.
    pub actor: String,
    /// Parameter values.
    pub params: BTreeMap<String, Value>,
    /// The tick's instant; also the end of the interval.
    pub logical_date: Timestamp,
    /// The tick before.
    pub interval_start: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
    /// The DAG file's text at that time.
    pub dag_text: String,
    /// The DAG file's name as it was given.
    pub file_name: String,
    /// The run that it repeats, whose finished tasks it kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// The run whose task made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run: Option<String>,
    /// From when on it is late, by the `deadline` of its DAG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When it was found late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_at: Option<Timestamp>,
}

/// Why a task failed, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong and where, as a fragment.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(formatter, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// What became of a task's request to promote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromotionOutcome {
    /// Model name.
    pub model: String,
    /// The version that asked for the alias.
    pub version: u64,
    /// Digest of its bundle.
    pub digest: String,
    /// The alias.
    pub alias: String,
    /// True if it holds the alias because of this request; false if it was refused or held it already.
    pub promoted: bool,
    /// Number of the entry in the promotion log, if one was appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// The request's reason if promoted, otherwise why not.
    pub reason: String,
}

/// What an instance of a task with `foreach` stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceOf {
    /// Id of the task in the DAG.
    pub task: String,
    /// Place in the list, from 0.
    pub index: u32,
    /// Its key, as in `task[key]`; the place in the list unless the task names another.
    pub key: String,
    /// The item of the list.
    pub item: Value,
}

/// A task of a run as it is recorded, or an instance of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Id in the DAG; of an instance `<task>[<key>]`.
    pub id: String,
    /// What it stands for, if it is an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceOf>,
    /// Name of its plugin.
    pub uses: String,
    /// Where it stands.
    pub state: TaskState,
    /// Why it was skipped or cancelled; for a failed one the message of `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many attempts were started.
    pub attempts: u32,
    /// From the start of the last attempt to its end.
    pub seconds: Option<f64>,
    /// Start of the last attempt.
    pub started_at: Option<Timestamp>,
    /// When the task came to its end.
    pub finished_at: Option<Timestamp>,
    /// Output ports, versions filled in. A failed task may have left some, such as a gate's report.
    pub outputs: BTreeMap<String, Output>,
    /// The last attempt's failure, if the task failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What became of its requests to promote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<PromotionOutcome>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The task returned its outputs.
    Succeeded,
    /// The task, or the completion of its outputs, failed.
    Failed,
    /// The worker ended without an answer.
    Crashed,
    /// It took longer than the task's timeout.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
    /// The engine that drove the run was gone.
    Lost,
}

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Id of the task.
    pub task: String,
    /// From 1.
    pub attempt: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How it ended; none while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// What went wrong.
    pub error: Option<Failure>,
}

/// An event of a run with its place in the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// From 1, without gaps, per run.
    pub number: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: RunEvent,
}
