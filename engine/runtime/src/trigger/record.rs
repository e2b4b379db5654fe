//! What is kept of triggers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A trigger as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerRecord {
    /// How it reads: `on_data_change trips.csv`.
    pub trigger: String,
    /// Since when it is looked after.
    pub first_seen_at: Timestamp,
    /// Retrains in a row that gave no better model.
    pub fruitless: u32,
    /// Since when it has paused itself.
    pub paused_at: Option<Timestamp>,
    /// Why.
    pub paused_reason: Option<String>,
    /// What was seen last, as the trigger keeps it.
    #[serde(skip)]
    pub(crate) seen: String,
    /// Raised with each change of it.
    #[serde(skip)]
    pub(crate) number: i64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerOutcome {
    /// A run shall follow it.
    Waiting,
    /// A run followed.
    Started,
    /// Nothing follows: what it was about has passed.
    Dropped,
}

impl TriggerOutcome {
    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Dropped => "dropped",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Started, Self::Dropped]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// Something that a trigger saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerEvent {
    /// The trigger.
    pub trigger: String,
    /// When it was seen.
    pub at: Timestamp,
    /// What, for people.
    pub what: String,
    /// What became of it.
    pub outcome: TriggerOutcome,
    /// The run that followed.
    pub run: Option<String>,
}

/// An event to keep.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewEvent {
    /// The same for whoever sees it.
    pub event: String,
    /// For people.
    pub what: String,
    /// What it is about, if that can pass.
    pub subject: Option<String>,
    /// Values for parameters, as texts.
    pub params: BTreeMap<String, String>,
}
