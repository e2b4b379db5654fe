//! How the triggers of a DAG stand, for people.

use jiff::Timestamp;
use ratchet_core::spec::{Dag, Trigger};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::StoreError;

/// A trigger of a DAG as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerState {
    /// How it reads: `on_data_change trips.csv`.
    pub trigger: String,
    /// What it is called in the file.
    pub kind: String,
    /// How often it looks, if the file says so.
    pub every_seconds: Option<f64>,
    /// Since when it is looked after; none if it never was.
    pub first_seen_at: Option<Timestamp>,
    /// Retrains in a row that gave no better model.
    pub fruitless: u32,
    /// Since when it has paused itself.
    pub paused_at: Option<Timestamp>,
    /// Why.
    pub paused_reason: Option<String>,
}

impl Engine {
    /// The triggers of a DAG in the order of its file, each with how it stands.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn triggers_of(&self, dag: &Dag) -> Result<Vec<TriggerState>, StoreError> {
        let records = self.store().triggers(&dag.name).await?;
        let states = dag.triggers.iter().map(|trigger| {
            let name = trigger.to_string();
            let record = records.iter().find(|record| record.trigger == name);
            TriggerState {
                kind: trigger.kind().to_owned(),
                every_seconds: match trigger {
                    Trigger::DataChange { every, .. } => Some(every.as_secs_f64()),
                    _ => None,
                },
                first_seen_at: record.map(|record| record.first_seen_at),
                fruitless: record.map_or(0, |record| record.fruitless),
                paused_at: record.and_then(|record| record.paused_at),
                paused_reason: record.and_then(|record| record.paused_reason.clone()),
                trigger: name,
            }
        });
        Ok(states.collect())
    }
}
