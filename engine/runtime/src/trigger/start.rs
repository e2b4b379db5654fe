//! One run for all that waits.

use jiff::{SignedDuration, Timestamp};
use ratchet_core::spec::Dag;
use serde::Serialize;

use crate::cron::interval_of;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::record::{NewRun, RunTrigger};

/// What came of what waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Triggered {
    /// Nothing waits.
    Nothing,
    /// It waits for the end of the cooldown.
    CoolsDown {
        /// When that is.
        until: Timestamp,
    },
    /// It waits for the end of a run: as many are active as may be.
    Busy,
    /// It cannot start a run any more, and was dropped.
    Dropped {
        /// Why.
        reason: String,
    },
    /// A run was made. Whoever is told drives it.
    Started {
        /// The run.
        run: String,
    },
}

impl Engine {
    /// Makes one run of everything that the triggers of a DAG found and that waits, unless the cooldown or active runs
    /// hold it back. What is held back waits: it starts one run together with what comes meanwhile.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn start_triggered(&self, dag: &Dag, now: Timestamp) -> Result<Triggered, EngineError> {
        // Most of the time nothing waits, and then nothing is locked.
        let waiting = self.store().waiting_events(&dag.name).await?;
        if waiting.is_empty() {
            return Ok(Triggered::Nothing);
        }
        let (interval_start, logical_date) =
            interval_of(dag.schedule.as_ref(), None, now).map_err(|error| EngineError::Schedule {
                dag: dag.name.clone(),
                message: error.to_string(),
            })?;
        let template = NewRun {
            dag: dag.clone(),
            params: Default::default(),
            logical_date,
            interval_start,
            trigger: RunTrigger::Event,
            actor: String::new(),
        };
        let cooldown = SignedDuration::try_from(dag.cooldown).unwrap_or(SignedDuration::MAX);
        Ok(self.store().start_triggered(&template, cooldown, now).await?)
    }
}
