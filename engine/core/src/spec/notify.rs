//! Who is told what came of a run or of one task.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a notification is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    /// The run, or the task, failed. What somebody cancelled did not.
    Failure,
    /// The run, or the task, succeeded.
    Success,
    /// The run promoted a model, however it ended. A task's own `notify` does not take it.
    Promotion,
    /// The run takes longer than the DAG's `deadline`. Told when it is over, while the run goes on.
    Late,
    /// A trigger paused itself: three retrains in a row gave no better model.
    TriggerPaused,
}

/// `notify: [{ on: [failure], webhook: "${{ secrets.SLACK }}" }, { on: [failure], mail: [team@example.com] }]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// What is told. One message, also where several of them hold.
    pub on: BTreeSet<NotifyOn>,
    /// Who is told.
    pub to: NotifyTo,
}

/// Who is told, its `${{ }}` not yet rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyTo {
    /// Address that takes a POST in Slack's format.
    Webhook(String),
    /// Addresses of people, for the mail server of the engine.
    Mail(Vec<String>),
}
