//! What was decided since the last commit: it comes to disk as a whole, and only then anybody hears of it.

use std::collections::HashMap;
use std::sync::Arc;

use ratchet_core::spec::TaskSpec;
use tokio::task::JoinError;

use super::Dispatcher;
use crate::error::{EngineError, StoreError};
use crate::protocol::AttemptRequest;
use crate::slots::Slot;
use crate::store::Transition;

/// Steps in the order of their events, and the effects that wait for them to be on disk.
#[derive(Default)]
pub(super) struct Batch {
    step: Transition,
    /// Where each task's change stands in `step.tasks`.
    places: HashMap<usize, usize>,
    steps: usize,
    /// Attempts that start then.
    pub launches: Vec<Launch>,
    /// True if running attempts are told to end then.
    pub stop: bool,
}

/// An attempt that may start, with the slot that it takes.
pub(super) struct Launch {
    pub task: usize,
    pub spec: TaskSpec,
    pub request: AttemptRequest,
    /// None for what needs none.
    pub slot: Option<Slot>,
}

impl Batch {
    /// Adds a step. A task that moved twice is written once: as it stands at last, with what the moves left behind.
    pub fn add(&mut self, step: Transition) {
        self.steps += 1;
        self.step.at = step.at;
        for change in step.tasks {
            if let Some(&place) = self.places.get(&change.position) {
                let kept = &mut self.step.tasks[place];
                kept.snapshot = change.snapshot;
                kept.retry_at = change.retry_at;
                kept.started |= change.started;
                kept.result = change.result.or(kept.result.take());
            } else {
                self.places.insert(change.position, self.step.tasks.len());
                self.step.tasks.push(change);
            }
        }
        self.step.started.extend(step.started);
        self.step.instances.extend(step.instances);
        self.step.ended_attempts.extend(step.ended_attempts);
        self.step.questions.extend(step.questions);
        self.step.freed.extend(step.freed);
        self.step.events.extend(step.events);
        self.step.notices.extend(step.notices);
        self.step.ended = step.ended.or(self.step.ended);
    }
}

impl Dispatcher {
    /// Begins to write what gathered, unless another batch is on its way.
    pub(super) fn write(&mut self) {
        if self.gathering.steps == 0 || !self.writing.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.gathering);
        let engine = Arc::clone(&self.engine);
        let (run, owner) = (self.run.id.clone(), self.owner.clone());
        self.writing.spawn(async move {
            engine.store.transition(&run, &owner, &batch.step).await?;
            Ok(batch)
        });
    }

    /// The batch is on disk: its attempts start, and whoever listens is told.
    pub(super) fn written(&mut self, written: Result<Result<Batch, StoreError>, JoinError>) -> Result<(), EngineError> {
        let batch = written.map_err(|error| StoreError::Query {
            action: "record what happened in a run",
            source: sqlx::Error::Io(std::io::Error::other(error)),
        })??;
        for launch in batch.launches {
            self.launch(launch);
        }
        if batch.stop {
            self.stop.send_replace(true);
        }
        self.untold |= !batch.step.notices.is_empty();
        for event in batch.step.events {
            // Nobody has to listen.
            let _ = self.observer.send(event);
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_core::state::{RunStatus, Snapshot, TaskState};

    use super::*;
    use crate::event::RunEvent;
    use crate::store::{TaskChange, TaskResult};

    fn step(state: TaskState, attempts: u32) -> Transition {
        let snapshot = Snapshot {
            state,
            skip_cause: None,
            reason: None,
            attempts,
            failures: 0,
            losses: 0,
        };
        Transition {
            tasks: vec![TaskChange {
                position: 7,
                snapshot,
                started: state == TaskState::Running,
                retry_at: None,
                result: state.is_end().then(|| TaskResult {
                    seconds: Some(0.5),
                    ..TaskResult::default()
                }),
            }],
            started: (state == TaskState::Running)
                .then_some((7, attempts))
                .into_iter()
                .collect(),
            ..Transition::default()
        }
    }

    #[test]
    fn a_task_that_starts_and_ends_in_one_batch_is_written_once_and_nothing_of_it_is_lost() {
        let mut batch = Batch::default();
        batch.add(step(TaskState::Ready, 0));
        batch.add(step(TaskState::Running, 1));
        let mut last = step(TaskState::Succeeded, 1);
        last.ended = Some(RunStatus::Succeeded);
        last.events = vec![RunEvent::RunEnded {
            status: RunStatus::Succeeded,
        }];
        batch.add(last);
        assert_eq!(batch.step.tasks.len(), 1);
        let change = &batch.step.tasks[0];
        assert_eq!(change.snapshot.state, TaskState::Succeeded);
        assert!(change.started, "it started, and its row has to say when");
        assert_eq!(change.result.as_ref().unwrap().seconds, Some(0.5));
        assert_eq!(batch.step.started, [(7, 1)]);
        assert_eq!(
            (batch.step.ended, batch.step.events.len(), batch.steps),
            (Some(RunStatus::Succeeded), 1, 3)
        );
    }
}
