//! Runs an attempt in a process of its own: a crash, a leak or a hanging thread ends with it.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ratchet_artifacts::failpoints;
use ratchet_core::plugin::TaskError;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::group::{Group, end_descendants};
use super::memory;
use super::{Ending, Execution, GRACE, timed_out, turned_on};
use crate::logs::Recorder;
use crate::protocol::{AttemptRequest, MARK, Order, Said};
use crate::record::Failure;
use crate::secrets::variables_of_secrets;
use crate::worker::WORKER_SUBCOMMAND;

/// How long to wait for the last of what was printed: a process that left the group may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Longer printed lines are cut into pieces of this many bytes.
const LONGEST_LINE: u64 = 16 * 1024;

/// The thread pools of the libraries that size themselves by the machine.
const THREAD_VARIABLES: [&str; 3] = ["RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "OMP_NUM_THREADS"];

pub(super) async fn execute(request: AttemptRequest, execution: Execution<'_>) -> Ending {
    let line = match to_line(&request) {
        Ok(line) => line,
        Err(error) => return Ending::Failed(TaskError::permanent(format!("failed to write the request: {error}"))),
    };
    failpoints::before("start a worker");
    let mut child = match spawn(&request, &execution) {
        Ok(child) => child,
        Err(error) => return Ending::Failed(cannot_start(&execution, &error)),
    };
    failpoints::after("start a worker");
    // From here on the group ends with this future.
    let group = Group::of(&child);
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Ending::Failed(TaskError::transient("the worker has no pipes"));
    };
    let mut printed = tokio::spawn(capture(stderr, Arc::clone(execution.log)));
    let mut stop = execution.stop.clone();
    let (limit, leader) = (execution.memory.unwrap_or(u64::MAX), child.id());
    let answer = {
        let mut answer = pin!(listen(stdout, execution.log));
        tokio::select! {
            said = &mut answer => Ok(said),
            () = tell(&mut stdin, &line, &mut stop) => Err(Ending::Cancelled),
            () = tokio::time::sleep(execution.timeout) => Err(Ending::TimedOut(timed_out(&request, execution.timeout))),
            used = memory::exceeded(limit, leader, request.mark()), if execution.memory.is_some() => {
                Err(Ending::Failed(too_large(&request, used, limit)))
            }
        }
    };
    // The group is ended before its leader is waited for: afterwards the id could belong to others. A worker that
    // ended by itself has its exit status fixed by now, and one that answered has nothing left to do.
    drop(group);
    let status = child.wait().await;
    drop(stdin);
    failpoints::before("end what a worker left");
    end_descendants(request.mark()).await;
    failpoints::after("end what a worker left");
    if tokio::time::timeout(LAST_WORDS, &mut printed).await.is_err() {
        printed.abort();
    }
    let cancelled = *stop.borrow();
    match answer {
        Ok(Some(Said::Succeeded(outputs))) => Ending::Succeeded(outputs),
        Ok(_) if cancelled => Ending::Cancelled,
        Ok(Some(Said::Failed(error))) => Ending::Failed(error),
        Ok(_) => Ending::Crashed(crashed(status)),
        Err(ending) => ending,
    }
}

fn spawn(request: &AttemptRequest, execution: &Execution<'_>) -> std::io::Result<Child> {
    let mut command = Command::new(execution.worker);
    command
        .arg(WORKER_SUBCOMMAND)
        // They hold passwords or lead to a key, and no task has any business with the metadata, with mail or with signatures.
        .env_remove("RATCHET_DATABASE_URL")
        .env_remove("RATCHET_SIGNING_KEY")
        .env_remove(crate::notifier::SERVER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: what the worker starts is ended with it, and the terminal's Ctrl-C reaches only us.
        .process_group(0);
    for variable in THREAD_VARIABLES {
        command.env(variable, request.threads.to_string());
    }
    // A task sees the secrets that it reads, not those that the engine could look up.
    for variable in variables_of_secrets() {
        command.env_remove(variable);
    }
    command.envs(&request.environment).env(MARK, request.mark());
    command.spawn()
}

/// A retry would need as much.
fn too_large(request: &AttemptRequest, used: u64, limit: u64) -> TaskError {
    TaskError::permanent(format!(
        "attempt {} was ended because it used {} of memory; its limit is {}",
        request.attempt,
        memory::show(used),
        memory::show(limit)
    ))
    .with_help(format!(
        "raise `resources.memory` of task `{}`, or let it take less at once",
        request.task
    ))
}

fn cannot_start(execution: &Execution<'_>, error: &std::io::Error) -> TaskError {
    let message = format!(
        "the worker program {} cannot be started: {error}",
        execution.worker.display()
    );
    // Too many processes or too little memory may pass; a missing program will not.
    let passes = matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::OutOfMemory
    );
    if passes {
        TaskError::transient(message)
    } else {
        TaskError::permanent(message)
    }
}

fn to_line(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Gives the worker its request and, if the run is cancelled, the order to end; returns when its grace is over.
async fn tell(stdin: &mut ChildStdin, request: &[u8], stop: &mut watch::Receiver<bool>) {
    // A worker that does not listen any more has ended; its closed stdout says so.
    let _ = stdin.write_all(request).await;
    turned_on(stop).await;
    if let Ok(order) = to_line(&Order::Cancel) {
        let _ = stdin.write_all(&order).await;
    }
    tokio::time::sleep(GRACE).await;
}

/// Reads what the worker says until its outcome; none if it ended without one.
async fn listen(stdout: impl AsyncRead + Unpin, log: &Recorder) -> Option<Said> {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        if matches!(reader.read_until(b'\n', &mut line).await, Ok(0) | Err(_)) {
            return None;
        }
        match serde_json::from_slice(&line) {
            Ok(Said::Message(message)) => log.message(message),
            Ok(outcome) => return Some(outcome),
            Err(_) => log.output(String::from_utf8_lossy(&line).trim_end()),
        }
    }
}

/// Takes what the worker and its children print as lines of the log.
async fn capture(stderr: impl AsyncRead + Unpin, log: Arc<Recorder>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        let read = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await;
        let ended = matches!(read, Ok(0) | Err(_));
        // The pieces of a long line must not cut a secret: it would be recognized in neither.
        let cut = if ended || line.ends_with(b"\n") {
            line.len()
        } else {
            log.safe_cut(&line)
        };
        if cut > 0 {
            log.output(String::from_utf8_lossy(&line[..cut]).trim_end());
            line.drain(..cut);
        }
        if ended {
            return;
        }
    }
}

fn crashed(status: std::io::Result<ExitStatus>) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    let how = match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => match nix::sys::signal::Signal::try_from(signal) {
                Ok(signal) => format!("it was ended by {signal}"),
                Err(_) => format!("it was ended by signal {signal}"),
            },
            (None, Some(code)) => format!("its exit status was {code}"),
            (None, None) => "its exit status is not known".to_owned(),
        },
        Err(error) => format!("its exit status cannot be read: {error}"),
    };
    let help = if how.contains("SIGKILL") {
        "the system ends processes so when memory is short: look at the machine's memory, and at the task's log"
    } else {
        "the task's log shows what it printed last"
    };
    Failure {
        message: format!("the worker process ended without an answer; {how}"),
        help: Some(help.to_owned()),
    }
}
