//! A run that takes longer than its DAG's `timeout` is ended.

use std::time::Duration;

use jiff::Timestamp;
use ratchet_core::state::Event;
use tokio::time::Instant;

use super::{Detail, Dispatcher};
use crate::error::EngineError;

impl Dispatcher {
    /// When the run has to have ended; none if it may take as long as it likes.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let limit = self.dag.timeout?;
        // Counted from when it was accepted: whoever takes it over has no more time than the one before.
        let taken = Duration::try_from(Timestamp::now().duration_since(self.run.created_at)).unwrap_or_default();
        Some(Instant::now() + limit.saturating_sub(taken))
    }

    /// Ends what runs and starts nothing more.
    pub(super) fn time_out(&mut self) -> Result<(), EngineError> {
        self.waiting.clear();
        self.retries.clear();
        let limit = self.dag.timeout.unwrap_or_default();
        let reason = format!("the run took longer than its timeout ({limit:?}) before it started");
        self.step(Event::TimedOut { reason }, Detail::default())?;
        self.gathering.stop = true;
        Ok(())
    }
}
