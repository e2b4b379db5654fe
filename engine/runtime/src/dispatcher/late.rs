//! A run that takes longer than its DAG's deadline gets a mark and goes on.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Dispatcher;
use crate::error::EngineError;

impl Dispatcher {
    /// When the run gets the mark; none if it has it, or has no deadline.
    pub(super) fn late_from(&self) -> Option<Instant> {
        let due = self.run.due_at.filter(|_| self.run.late_at.is_none())?;
        let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        Some(Instant::now() + left)
    }

    /// Marks the run, with a notice of it, once: whoever takes the run over finds the mark, and the notice if nobody was
    /// told yet.
    pub(super) async fn mark_late(&mut self) -> Result<(), EngineError> {
        let now = Timestamp::now();
        self.run.late_at = Some(now);
        self.untold |= self.engine.store.mark_late(&self.run.id, now).await?;
        Ok(())
    }
}
