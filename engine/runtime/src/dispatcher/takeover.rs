//! Where a dispatcher begins: at nothing, or at what a process left that is gone.

use ratchet_core::plugin::{Plugin, SubDag};
use ratchet_core::state::{Event, MAX_LOSSES, RunStatus, TaskState};
use tokio::time::Instant;

use super::{CANCELLED, Detail, Dispatcher};
use crate::error::EngineError;
use crate::event::RunEvent;
use crate::executor::end_descendants;
use crate::journal::move_left_behind;
use crate::protocol::mark;
use crate::record::{AttemptOutcome, Failure};
use crate::store::{AttemptEnd, TaskResult};

impl Dispatcher {
    /// Begins, or goes on after another process: its attempts are lost, and what they left running is ended.
    pub(super) async fn begin(&mut self) -> Result<(), EngineError> {
        let mut first = Some(RunEvent::RunStarted {
            run: self.run.id.clone(),
            dag: self.run.dag.clone(),
        });
        move_left_behind(&self.engine, &self.run.id).await?;
        self.untold = !self.engine.store.notices(&self.run.id).await?.is_empty();
        if self.state.status() != RunStatus::Running {
            return Ok(());
        }
        let asked = self.engine.store.cancel_asked_by(&self.run.id).await?.is_some();
        if !asked && self.ends_at().is_some_and(|end| end <= Instant::now()) {
            // Also if the one before was about to: what it ended has to count as too long, not as somebody's wish.
            self.time_out()?;
        }
        if asked && !self.state.is_cancelling() {
            let reason = CANCELLED.to_owned();
            let first = first.take();
            self.step(
                Event::Cancelled { reason },
                Detail {
                    first,
                    ..Detail::default()
                },
            )?;
        }
        for place in 0..self.state.tasks().len() {
            let task = &self.state.tasks()[place];
            match task.state {
                TaskState::Ready => self.ready.push_back(place),
                TaskState::WaitingRetry => {
                    self.retries.entry(place).or_insert_with(Instant::now);
                }
                // It has no attempt: its instances go on.
                TaskState::Running if self.state.instances_of(place).is_some() => {}
                TaskState::Running => {
                    let first = first.take();
                    self.lost(place, first).await?;
                }
                _ => {}
            }
        }
        if self.state.is_cancelling() {
            self.retries.clear();
        }
        if first.is_none() && self.state.status() != RunStatus::Running {
            return Ok(());
        }
        self.step(
            Event::Begin,
            Detail {
                first,
                ..Detail::default()
            },
        )
    }

    /// Ends what a lost attempt left running, before the task is run again or given up.
    async fn lost(&mut self, place: usize, first: Option<RunEvent>) -> Result<(), EngineError> {
        let task = &self.state.tasks()[place];
        let attempt = task.attempts;
        end_descendants(mark(&self.run.id, &task.id, attempt)).await;
        self.engine
            .remove_temporary_directories(&self.run.id, &task.id, attempt);
        if self.state.is_cancelling() && self.spec(place).uses == SubDag::NAME {
            let (store, task) = (&self.engine.store, &self.state.tasks()[place].id);
            store.ask_to_cancel_within(&self.run.id, task, &self.run.actor).await?;
        }
        let task = &self.state.tasks()[place];
        let given_up = task.losses + 1 >= MAX_LOSSES && !self.state.is_cancelling();
        let result = given_up.then(|| TaskResult {
            error: Some(Failure {
                message: format!("the engine that ran it ended during {MAX_LOSSES} attempts in a row"),
                help: Some(
                    "the task may be what ends it: look at the machine's memory, set `resources.memory` or \
                     `isolation: process`; `ratchet runs retry` tries again"
                        .to_owned(),
                ),
            }),
            ..TaskResult::default()
        });
        let ended_attempt = Some(AttemptEnd {
            position: place,
            attempt,
            outcome: AttemptOutcome::Lost,
            error: None,
        });
        let detail = Detail {
            ended_attempt,
            result,
            first,
            ..Detail::default()
        };
        self.step(Event::Lost { task: place, attempt }, detail)
    }
}
