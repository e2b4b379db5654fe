//! Where an attempt runs, and how it ended there.

mod group;
mod inline;
mod memory;
mod process;

pub(crate) use group::end_descendants;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ratchet_core::plugin::{Isolation, Outputs, Registry, TaskError};
use tokio::sync::watch;

use crate::logs::Recorder;
use crate::masking::Masker;
use crate::protocol::AttemptRequest;
use crate::record::Failure;

/// How long a cancelled attempt may go on by itself before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// What became of an attempt, before its outputs are registered.
#[derive(Debug)]
pub(crate) enum Ending {
    Succeeded(Outputs),
    Failed(TaskError),
    /// The worker ended without an answer.
    Crashed(Failure),
    TimedOut(Failure),
    Cancelled,
}

impl Ending {
    /// The same without secrets.
    pub(crate) fn masked(self, masker: &Masker) -> Self {
        match self {
            Self::Succeeded(outputs) => Self::Succeeded(masker.outputs(outputs)),
            Self::Failed(error) => Self::Failed(masker.error(error)),
            Self::Crashed(failure) => Self::Crashed(masker.failure(failure)),
            Self::TimedOut(failure) => Self::TimedOut(masker.failure(failure)),
            Self::Cancelled => Self::Cancelled,
        }
    }
}

/// What an executor needs beside the request.
pub(crate) struct Execution<'a> {
    pub registry: &'a Arc<Registry>,
    pub worker: &'a Path,
    pub isolation: Isolation,
    pub timeout: Duration,
    /// Limit in bytes.
    pub memory: Option<u64>,
    pub log: &'a Arc<Recorder>,
    /// Turns true when the run is cancelled.
    pub stop: watch::Receiver<bool>,
}

/// Runs an attempt to its end. Dropping the future ends the attempt.
pub(crate) async fn execute(request: AttemptRequest, execution: Execution<'_>) -> Ending {
    // Memory and environment are properties of a process: a task with a limit or variables gets one of its own.
    let isolation = match execution.memory {
        None if request.environment.is_empty() => execution.isolation,
        _ => Isolation::Process,
    };
    match isolation {
        Isolation::Process => process::execute(request, execution).await,
        Isolation::Inline => inline::execute(request, execution).await,
    }
}

/// Waits until the flag is true; for ever, if nobody can set it any more.
pub(crate) async fn turned_on(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|on| *on).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn timed_out(request: &AttemptRequest, timeout: Duration) -> Failure {
    Failure {
        message: format!(
            "attempt {} took longer than its timeout of {}",
            request.attempt,
            show(timeout)
        ),
        help: Some(format!(
            "see its log for what took the time, or raise `timeout` of task `{}`",
            request.task
        )),
    }
}

/// `90s`, `30m`, `4h`, `1.5s`: as it would be written in the file.
fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds, duration.subsec_millis()) {
        (_, 1..) => format!("{}s", duration.as_millis() as f64 / 1000.0),
        (seconds, _) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, _) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, _) => format!("{seconds}s"),
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it gave no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_written() {
        let cases = [
            (90_000, "90s"),
            (1_800_000, "30m"),
            (14_400_000, "4h"),
            (1_500, "1.5s"),
            (0, "0s"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(show(Duration::from_millis(milliseconds)), text);
        }
    }
}
