//! Who is told how a run ended.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a notification is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    /// The run failed. A run that somebody cancelled did not.
    Failure,
    /// The run succeeded.
    Success,
    /// The run promoted a model, however it ended.
    Promotion,
}

/// `notify: [{ on: [failure], webhook: "${{ secrets.SLACK }}" }]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// What is told. One message a run, also where several of them hold.
    pub on: BTreeSet<NotifyOn>,
    /// Address that takes a POST in Slack's format, its `${{ }}` not yet rendered.
    pub webhook: String,
}
