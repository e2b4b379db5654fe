//! From a task that has a slot to its attempt.

use std::sync::{Arc, LazyLock};

use ratchet_core::plugin::RunContext;
use ratchet_core::state::{Event, TaskState};
use tokio::sync::OwnedSemaphorePermit;

use super::batch::Launch;
use super::{Detail, Dispatcher};
use crate::attempt::{run_attempt, touches_nothing};
use crate::error::EngineError;
use crate::protocol::{AttemptRequest, PROTOCOL};
use crate::seed::seed;

impl Dispatcher {
    /// Gives the slot to the task that waits longest for one.
    pub(super) fn start_next(&mut self, permit: OwnedSemaphorePermit) -> Result<(), EngineError> {
        let Some((task, rendered)) = self.queue.pop_front() else {
            return Ok(());
        };
        if self.state.tasks()[task].state != TaskState::Ready {
            return Ok(());
        }
        self.step(Event::Started { task }, Detail::default())?;
        let attempt = self.state.tasks()[task].attempts;
        let spec = self.dag.tasks[task].clone();
        let options = &self.engine.options;
        let request = AttemptRequest {
            protocol: PROTOCOL,
            uses: spec.uses.clone(),
            with: rendered.with,
            environment: rendered.environment,
            run: RunContext {
                id: self.run.id.clone(),
                dag: self.run.dag.clone(),
                logical_date: self.run.logical_date,
                interval_start: self.run.interval_start,
                interval_end: self.run.logical_date,
            },
            task: spec.id.clone(),
            attempt,
            seed: seed(&self.run.dag, &spec.id),
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
            permit,
        };
        // Everything else waits until its start is on disk.
        if at_once {
            self.launch(launch);
        } else {
            self.gathering.launches.push(launch);
        }
        Ok(())
    }

    pub(super) fn launch(&mut self, launch: Launch) {
        let Launch {
            task,
            spec,
            request,
            permit,
        } = launch;
        let attempt = request.attempt;
        let (engine, observer, stop) = (Arc::clone(&self.engine), self.observer.clone(), self.stop.subscribe());
        let masker = Arc::clone(&self.secrets.masker);
        let handle = self.attempts.spawn(async move {
            let _permit = permit;
            run_attempt(engine, spec, request, masker, observer, stop).await
        });
        self.running.insert(handle.id(), (task, attempt));
    }
}

/// Asked once: the answer costs several reads of the file system.
fn cores() -> usize {
    static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CORES
}
