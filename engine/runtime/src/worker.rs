//! The other end of the process executor: this program again, with one task to run.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use futures::FutureExt;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{dup2_stdin, dup2_stdout, getpgrp, getpid};
use ratchet_artifacts::failpoints;
use ratchet_core::plugin::{LogLevel, Outputs, Registry, TaskContext, TaskError, TaskMessage};

use crate::executor::panic_message;
use crate::protocol::{AttemptRequest, Order, PROTOCOL, Said};

/// The first argument with which the engine starts a worker.
pub const WORKER_SUBCOMMAND: &str = "task-worker";

/// Runs one attempt: reads one request line of JSON on stdin, says on stdout what happens and how it ended. Called
/// by the engine's process executor alone, inside a multi-threaded tokio runtime. When stdin ends, because the engine
/// closed it or is gone, the whole process group ends at once.
///
/// The exit status is 0 once the outcome was said, a failed task included; 2 if there was no readable request.
pub async fn worker_main(registry: &Registry) -> ExitCode {
    let (requests, answers) = match take_standard_streams() {
        Ok(streams) => streams,
        Err(error) => return refuse(&format!("failed to set up the streams of a task process: {error}")),
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    let (first, request) = tokio::sync::oneshot::channel();
    let flag = Arc::clone(&cancelled);
    thread::spawn(move || supervise(requests, first, &flag));
    let request: AttemptRequest = match request
        .await
        .map_err(|error| error.to_string())
        .and_then(|line: String| serde_json::from_str(&line).map_err(|error| error.to_string()))
    {
        Ok(request) => request,
        Err(error) => {
            return refuse(&format!(
                "`{WORKER_SUBCOMMAND}` is what the engine calls to run one task and got no readable request ({error}); \
                 to run a DAG use `ratchet run`"
            ));
        }
    };
    let (said, lines) = mpsc::channel::<Said>();
    let writer = thread::spawn(move || write_lines(answers, &lines));
    let outcome = attempt(registry, request, said.clone(), cancelled).await;
    let last = match outcome {
        Ok(outputs) => Said::Succeeded(outputs),
        Err(error) => Said::Failed(error),
    };
    failpoints::before("answer as a worker");
    // An error means that the engine is gone; the supervisor is about to end this process.
    let _ = said.send(last);
    drop(said);
    // The task may have left a clone of the channel with a thread of its own, so the writer ends by the last line.
    let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    ExitCode::SUCCESS
}

async fn attempt(
    registry: &Registry,
    request: AttemptRequest,
    said: mpsc::Sender<Said>,
    cancelled: Arc<AtomicBool>,
) -> Result<Outputs, TaskError> {
    if request.protocol != PROTOCOL {
        return Err(TaskError::permanent(format!(
            "the engine speaks protocol {} and the worker protocol {PROTOCOL}",
            request.protocol
        ))
        .with_help("restart the engine after an upgrade"));
    }
    let plugin = registry
        .get(&request.uses)
        .ok_or_else(|| unknown_plugin(&request.uses))?;
    let said = std::sync::Mutex::new(said);
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
        sink: Arc::new(move |message: TaskMessage| {
            if let Ok(said) = said.lock() {
                // An error means that the outcome was said already.
                let _ = said.send(Said::Message(message));
            }
        }),
        cancelled,
    };
    let run = plugin.run(request.with, &context);
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(panicked(panic.as_ref())),
    }
}

/// The failure of a plugin that panicked.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> TaskError {
    TaskError::transient(format!("the task panicked: {}", panic_message(panic)))
        .with_help("this is a fault of the plugin; its log has more")
}

/// The failure of a task whose plugin this program does not have.
pub(crate) fn unknown_plugin(uses: &str) -> TaskError {
    TaskError::permanent(format!("this program has no plugin `{uses}`"))
        .with_help("`ratchet tasks list` shows the plugins; run with the program that the DAG was checked with")
}

fn refuse(message: &str) -> ExitCode {
    tracing::error!("{message}");
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(2)
}

/// Takes the pipes to the engine away from descriptors 0 and 1. A print from anywhere, or a program that the task
/// starts, then writes to the log and reads nothing; the pipes themselves are not inherited.
fn take_standard_streams() -> std::io::Result<(File, File)> {
    use std::os::fd::AsFd;
    let requests = std::io::stdin().as_fd().try_clone_to_owned()?;
    let answers = std::io::stdout().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(std::io::stderr())?;
    Ok((File::from(requests), File::from(answers)))
}

/// Reads the request, then orders, and ends the group when the engine's end of the pipe is gone. A thread of its own:
/// it must work while the task blocks every thread of the runtime.
fn supervise(requests: File, first: tokio::sync::oneshot::Sender<String>, cancelled: &AtomicBool) {
    let mut lines = BufReader::new(requests).lines();
    let Some(Ok(request)) = lines.next() else {
        drop(first);
        return;
    };
    let _ = first.send(request);
    for line in lines.map_while(Result::ok) {
        if let Ok(Order::Cancel) = serde_json::from_str(&line) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }
    // Only a group of our own: called by hand, the group is the shell's job.
    if getpgrp() == getpid() {
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    }
    std::process::exit(1);
}

fn write_lines(mut answers: File, lines: &mpsc::Receiver<Said>) {
    for said in lines {
        let last = !matches!(said, Said::Message(_));
        let mut line = match serde_json::to_vec(&said) {
            Ok(line) => line,
            Err(error) if last => {
                let error = TaskError::permanent(format!("the task's outputs cannot be written as JSON: {error}"));
                serde_json::to_vec(&Said::Failed(error)).unwrap_or_default()
            }
            Err(error) => {
                let message = format!("a message of the task cannot be written as JSON: {error}");
                let message = Said::Message(TaskMessage::Log {
                    level: LogLevel::Warn,
                    message,
                });
                serde_json::to_vec(&message).unwrap_or_default()
            }
        };
        line.push(b'\n');
        if answers.write_all(&line).is_err() || last {
            return;
        }
    }
}
