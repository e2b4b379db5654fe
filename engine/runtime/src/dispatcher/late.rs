//! A run that takes longer than its DAG's deadline gets a mark and goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_core::spec::NotifyOn;
use tokio::time::Instant;

use super::Dispatcher;
use crate::error::EngineError;
use crate::notifier;

impl Dispatcher {
    /// When the run gets the mark; none if it has it, or has no deadline.
    pub(super) fn late_from(&self) -> Option<Instant> {
        let due = self.run.due_at.filter(|_| self.run.late_at.is_none())?;
        let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        Some(Instant::now() + left)
    }

    /// Marks the run and tells of it, once: whoever takes the run over finds the mark.
    pub(super) async fn mark_late(&mut self) -> Result<(), EngineError> {
        let now = Timestamp::now();
        self.run.late_at = Some(now);
        if !self.engine.store.mark_late(&self.run.id, now).await? {
            return Ok(());
        }
        for error in self.look_up_all().into_values() {
            tracing::warn!("{error}");
        }
        let (dag, scope, masker) = (self.dag.clone(), self.scope.clone(), Arc::clone(&self.secrets.masker));
        let elapsed = now.duration_since(self.run.created_at).as_secs();
        let text = notifier::line(
            &self.run.dag,
            &format!(
                "is late: run {} for {} takes {} min so far",
                self.run.id,
                self.run.logical_date,
                elapsed / 60
            ),
        );
        // A webhook that does not answer must not hold the run up.
        tokio::spawn(async move { notifier::tell(&dag, NotifyOn::Late, &text, &scope, &masker).await });
        Ok(())
    }
}
