//! Whether the runs that triggers started were worth it.

use ratchet_core::plugin::Output;

use crate::engine::Engine;
use crate::error::EngineError;

/// So many retrains in a row without a better model are enough.
const ENOUGH: u32 = 3;

/// A trigger that paused itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfPaused {
    /// The DAG.
    pub dag: String,
    /// The trigger.
    pub trigger: String,
    /// Why.
    pub reason: String,
    /// The last of the runs.
    pub run: String,
}

impl Engine {
    /// Judges the triggered runs that ended since: a promotion clears the count of the triggers that started the run, a
    /// run that trained and promoted nothing raises it, and the third in a row pauses them. A run that trained nothing
    /// says nothing. Each run is judged once, whoever asks; returns the triggers that paused themselves now.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn judge_triggered(&self) -> Result<Vec<SelfPaused>, EngineError> {
        let mut paused = Vec::new();
        for run in self.store().unjudged_runs().await? {
            let tasks = self.store().tasks(&run).await?;
            let promoted = tasks
                .iter()
                .any(|task| task.promotions.iter().any(|promotion| promotion.promoted));
            let trained = tasks
                .iter()
                .any(|task| task.outputs.values().any(|output| matches!(output, Output::Model(_))));
            let better = match (promoted, trained) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            };
            paused.extend(self.store().judge(&run, better, ENOUGH).await?);
        }
        Ok(paused)
    }
}
