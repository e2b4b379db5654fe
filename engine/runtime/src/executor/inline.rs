//! Runs an attempt inside the engine, for tasks that take milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratchet_core::plugin::{Outputs, TaskContext, TaskError};
use tokio::task::JoinSet;

use super::{Ending, Execution, GRACE, timed_out, turned_on};
use crate::protocol::AttemptRequest;
use crate::worker::{panicked, unknown_plugin};

/// A task of its own, so that a panic ends the attempt and not the engine. Work that the plugin gave to a blocking
/// thread cannot be ended from outside; it has to look at `cancelled`.
pub(super) async fn execute(request: AttemptRequest, mut execution: Execution<'_>) -> Ending {
    let cancelled = Arc::new(AtomicBool::new(false));
    let timeout = execution.timeout;
    let late = timed_out(&request, timeout);
    let registry = Arc::clone(execution.registry);
    let log = Arc::clone(execution.log);
    let flag = Arc::clone(&cancelled);
    // The set ends its task when this future is dropped.
    let mut task: JoinSet<Result<Outputs, TaskError>> = JoinSet::new();
    task.spawn(async move {
        let plugin = registry
            .get(&request.uses)
            .ok_or_else(|| unknown_plugin(&request.uses))?;
        let context = TaskContext {
            run: request.run,
            task: request.task,
            attempt: request.attempt,
            seed: request.seed,
            threads: request.threads,
            replay: request.replay,
            bucket_url: request.bucket_url,
            working_directory: request.working_directory,
            temporary_directory: request.temporary_directory,
            sink: Arc::new(move |message| log.message(message)),
            cancelled: flag,
        };
        plugin.run(request.with, &context).await
    });
    let cancel = async {
        turned_on(&mut execution.stop).await;
        cancelled.store(true, Ordering::Relaxed);
        tokio::time::sleep(GRACE).await;
    };
    let ending = tokio::select! {
        Some(joined) = task.join_next() => match joined {
            Ok(Ok(outputs)) => Ending::Succeeded(outputs),
            Ok(Err(_)) if cancelled.load(Ordering::Relaxed) => Ending::Cancelled,
            Ok(Err(error)) => Ending::Failed(error),
            Err(error) if error.is_panic() => Ending::Failed(panicked(error.into_panic().as_ref())),
            Err(_) => Ending::Cancelled,
        },
        () = cancel => Ending::Cancelled,
        () = tokio::time::sleep(timeout) => Ending::TimedOut(late),
    };
    cancelled.store(true, Ordering::Relaxed);
    ending
}
