//! From a task that has a slot to its attempt.

use std::sync::{Arc, LazyLock};

use ratchet_core::plugin::{Plugin, RunContext, SubDag};
use ratchet_core::state::{Event, TaskState};

use super::batch::Launch;
use super::waiting::Next;
use super::{Detail, Dispatcher};
use crate::attempt::{run_attempt, touches_nothing};
use crate::error::EngineError;
use crate::protocol::{AttemptRequest, PROTOCOL};
use crate::seed::seed;
use crate::slots::Slot;
use crate::sub_dag::run_sub_dag;

impl Dispatcher {
    /// Gives the slot to the task that comes first of those that may start; to nobody, if what else they need is not to
    /// be had.
    pub(super) async fn start_next(&mut self, slot: Slot) -> Result<(), EngineError> {
        while let Some(next) = self.waiting.take(&self.open_gates()) {
            if self.state.tasks()[next.task].state != TaskState::Ready {
                continue;
            }
            if !self.claim(&next).await? {
                self.waiting.put_back(next);
            } else if self.spec(next.task).uses == SubDag::NAME {
                // The slot is for whoever comes behind it, perhaps one of its own tasks.
                self.start(next, None)?;
            } else {
                return self.start(next, Some(slot));
            }
        }
        Ok(())
    }

    pub(super) fn start(&mut self, next: Next, slot: Option<Slot>) -> Result<(), EngineError> {
        let Next { task, rendered, .. } = next;
        self.step(Event::Started { task }, Detail::default())?;
        let attempt = self.state.tasks()[task].attempts;
        self.started_instance(task);
        let spec = self.spec(task).clone();
        let id = self.state.tasks()[task].id.clone();
        let options = &self.engine.options;
        let request = AttemptRequest {
            protocol: PROTOCOL,
            uses: spec.uses.clone(),
            with: rendered.with,
            environment: rendered.environment,
            run: self.context(),
            seed: seed(&self.run.dag, &id),
            replay: options
                .replay
                .as_ref()
                .map(|earlier| earlier.of(&id))
                .unwrap_or_default(),
            task: id,
            attempt,
            threads: spec.resources.threads.unwrap_or_else(cores),
            bucket_url: options.bucket_url.clone(),
            working_directory: options.working_directory.clone(),
            temporary_directory: options.home.clone(),
        };
        let at_once = touches_nothing(&self.engine, &spec);
        let launch = Launch {
            task,
            spec,
            request,
            slot,
        };
        // Everything else waits until its start is on disk.
        if at_once {
            self.launch(launch);
        } else {
            self.gathering.launches.push(launch);
        }
        Ok(())
    }

    /// What tasks know of the run.
    pub(super) fn context(&self) -> RunContext {
        RunContext {
            id: self.run.id.clone(),
            dag: self.run.dag.clone(),
            logical_date: self.run.logical_date,
            interval_start: self.run.interval_start,
            interval_end: self.run.logical_date,
        }
    }

    pub(super) fn launch(&mut self, launch: Launch) {
        let Launch {
            task,
            spec,
            request,
            slot,
        } = launch;
        let attempt = request.attempt;
        let (engine, observer, stop) = (Arc::clone(&self.engine), self.observer.clone(), self.stop.subscribe());
        let masker = Arc::clone(&self.secrets.masker);
        let handle = self.attempts.spawn(async move {
            let _slot = slot;
            if request.uses == SubDag::NAME {
                run_sub_dag(engine, request, masker, stop).await
            } else {
                run_attempt(engine, spec, request, masker, observer, stop).await
            }
        });
        self.running.insert(handle.id(), (task, attempt));
    }
}

/// Asked once: the answer costs several reads of the file system.
fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CORES
}
