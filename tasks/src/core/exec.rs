//! `core.exec`: any program as a task.
//!
//! # The protocol
//!
//! The program gets one line of JSON on standard input and then its end:
//!
//! ```json
//! {"protocol": 1,
//!  "run": {"id": "0198...", "dag": "orders", "logical_date": "2026-01-15T02:00:00Z",
//!          "interval_start": "2025-12-15T02:00:00Z", "interval_end": "2026-01-15T02:00:00Z"},
//!  "task": "score", "attempt": 1, "seed": 7, "threads": 2,
//!  "bucket": "file:///data/bucket", "temporary_directory": "/tmp/...", "input": {"table": {"files": ["..."]}}}
//! ```
//!
//! It answers with one JSON object, `{"outputs": {...}}`: in the file that the variable `RATCHET_OUTPUT` names, or, if
//! it does not write that file, as the last line of its standard output. What stands under `outputs` is the port
//! `value`. A program that answers nothing has no outputs. Every other line of standard output, and standard error,
//! goes to the task's log as it is written.
//!
//! Exit status 0 is success. 64, 65 and 78 (`EX_USAGE`, `EX_DATAERR`, `EX_CONFIG` of sysexits.h) say that a retry
//! cannot help; any other status, and a signal, is a failure that a retry may help.
//!
//! The working directory is the one against which paths in the DAG are read. The program inherits the environment.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ratchet_core::plugin::{
    ConfigProblem, LogLevel, Output, Outputs, Place, Plugin, Port, PortKind, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::digest::digest_of_file;

/// Lines of standard error that a failure shows.
const SHOWN_LINES: usize = 20;

/// How often a running program is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// How long output is awaited after the program has ended: something that it left behind may hold the pipe.
const DRAIN: Duration = Duration::from_secs(2);

/// Exit statuses that say "do not try again": EX_USAGE, EX_DATAERR, EX_CONFIG.
const PERMANENT: [i32; 3] = [64, 65, 78];

/// Runs a program.
pub struct Exec;

/// Configuration of `core.exec`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// The program and its arguments. No shell is involved: `[sh, -c, "a | b"]` asks for one.
    pub command: Vec<String>,
    /// Variables that are added to the environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Any value; the program finds it under `input` in the request on its standard input.
    #[serde(default)]
    pub input: Value,
    /// Names that the program's answer has to hold under `outputs`. A missing one is a failure.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// With `cache: true`: the files on which the program's answer depends, the program's own among them. A change of one of
    /// them runs it again.
    #[serde(default)]
    pub files: Vec<PathBuf>,
}

#[async_trait]
impl Plugin for Exec {
    type Config = ExecConfig;
    const NAME: &'static str = "core.exec";
    const SUMMARY: &'static str = "Runs a program: a request as JSON on its standard input, an answer as JSON back.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "value",
            kind: PortKind::Value,
            description: "What the program answered under `outputs`.",
        }]
    }

    fn validate(config: &ExecConfig) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if config.command.first().is_none_or(|program| program.trim().is_empty()) {
            problems.push(ConfigProblem {
                pointer: "/command".to_owned(),
                message: "names no program".to_owned(),
                help: Some("write the program and its arguments as a list, such as `[python3, score.py]`".to_owned()),
            });
        }
        for name in config
            .environment
            .keys()
            .filter(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            problems.push(ConfigProblem {
                pointer: "/environment".to_owned(),
                message: format!("`{name}` is not a name that a variable can have"),
                help: None,
            });
        }
        problems
    }

    async fn fingerprint(config: &ExecConfig, place: &Place) -> Result<Option<String>, TaskError> {
        // The program is told the dates of the run.
        let run = &place.run;
        let mut parts = vec![format!("{} {}", run.interval_start, run.logical_date)];
        for file in &config.files {
            let digest = digest_of_file(&file.to_string_lossy(), place.working_directory.join(file)).await?;
            parts.push(digest);
        }
        Ok(Some(parts.join(" ")))
    }

    async fn run(config: ExecConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let answer_file = context
            .temporary_directory
            .join(format!("{}-output.json", context.task));
        let mut child = start(&config, context, &answer_file)?;
        let name = config.command.first().cloned().unwrap_or_default();

        let request = format!("{}\n", request(&config, context));
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input closes the pipe; that is its right.
            tokio::spawn(async move {
                let _ = input.write_all(request.as_bytes()).await;
            });
        }
        let last_line: Arc<Mutex<Option<String>>> = Arc::default();
        let tail: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let streams = [
            child.stdout.take().map(|stream| {
                let (context, last_line) = (context.clone(), Arc::clone(&last_line));
                tokio::spawn(each_line(stream, move |line| {
                    hold_back_last(&last_line, &context, line)
                }))
            }),
            child.stderr.take().map(|stream| {
                let (context, tail) = (context.clone(), Arc::clone(&tail));
                tokio::spawn(each_line(stream, move |line| {
                    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                    if tail.len() == SHOWN_LINES {
                        tail.pop_front();
                    }
                    tail.push_back(line.clone());
                    context.warn(line);
                }))
            }),
        ];
        let status = wait(&mut child, context, &name).await?;
        for stream in streams.into_iter().flatten() {
            let stop = stream.abort_handle();
            if tokio::time::timeout(DRAIN, stream).await.is_err() {
                stop.abort();
                context.warn(format!(
                    "`{name}` has ended, but something it started still holds its output"
                ));
            }
        }

        let last_line = last_line.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !status.success() {
            if let Some(line) = last_line {
                context.info(line);
            }
            let tail: Vec<String> = tail
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .cloned()
                .collect();
            return Err(failure(&name, status, &tail));
        }
        let answer = read_answer(&answer_file, last_line, context, &name)?;
        let missing: Vec<&str> = config
            .outputs
            .iter()
            .map(String::as_str)
            .filter(|output| answer.get(*output).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(
                TaskError::permanent(format!("`{name}` did not answer the outputs {}", missing.join(", "))).with_help(
                    "let it print {\"outputs\": {...}} as its last line, or write it to the file $RATCHET_OUTPUT",
                ),
            );
        }
        Ok(Outputs::default().with("value", Output::Value(answer)))
    }
}

fn request(config: &ExecConfig, context: &TaskContext) -> Value {
    json!({
        "protocol": 1,
        "run": context.run,
        "task": context.task,
        "attempt": context.attempt,
        "seed": context.seed,
        "threads": context.threads,
        "bucket": context.bucket_url,
        "temporary_directory": context.temporary_directory,
        "input": config.input,
    })
}

fn start(config: &ExecConfig, context: &TaskContext, answer_file: &Path) -> Result<Child, TaskError> {
    let (program, arguments) = config
        .command
        .split_first()
        .ok_or_else(|| TaskError::permanent("`command` names no program"))?;
    Command::new(program)
        .args(arguments)
        .envs(&config.environment)
        .env("RATCHET_OUTPUT", answer_file)
        .env("RATCHET_RUN", &context.run.id)
        .env("RATCHET_TASK", &context.task)
        .current_dir(&context.working_directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let directory = context.working_directory.display();
            let message = format!("cannot start `{program}` in {directory}: {error}");
            match error.kind() {
                std::io::ErrorKind::NotFound => TaskError::permanent(message)
                    .with_help("install the program, write its path, and check that the directory is there"),
                std::io::ErrorKind::PermissionDenied => {
                    TaskError::permanent(message).with_help("make the file executable (`chmod +x`)")
                }
                _ => TaskError::transient(message),
            }
        })
}

async fn wait(child: &mut Child, context: &TaskContext, name: &str) -> Result<ExitStatus, TaskError> {
    loop {
        match tokio::time::timeout(LOOK, child.wait()).await {
            Ok(Ok(status)) => return Ok(status),
            Ok(Err(error)) => return Err(TaskError::transient(format!("lost sight of `{name}`: {error}"))),
            Err(_) if context.is_cancelled() => {
                let _ = child.kill().await;
                return Err(TaskError::permanent(format!(
                    "`{name}` was ended because the run was cancelled"
                )));
            }
            Err(_) => {}
        }
    }
}

/// Hands each line on, whatever its bytes.
async fn each_line(stream: impl AsyncRead + Unpin, mut take: impl FnMut(String)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
        }
    }
}

/// The last line may be the answer, so each line waits for the next before it goes to the log.
fn hold_back_last(last_line: &Mutex<Option<String>>, context: &TaskContext, line: String) {
    let mut last = last_line.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = last.replace(line) {
        context.log(LogLevel::Info, before);
    }
}

fn failure(name: &str, status: ExitStatus, tail: &[String]) -> TaskError {
    let how = match status.code() {
        Some(code) => format!("exit status {code}"),
        None => format!("{status}"),
    };
    let mut message = format!("`{name}` failed with {how}");
    if tail.is_empty() {
        message.push_str(" and wrote nothing to standard error");
    } else {
        message.push_str("; its last lines on standard error:");
        for line in tail {
            message.push_str("\n  ");
            message.push_str(line);
        }
    }
    match status.code() {
        Some(code) if PERMANENT.contains(&code) => TaskError::permanent(message),
        _ => TaskError::transient(message),
    }
}

/// What stands under `outputs` in the program's answer; an empty object if it gave none.
fn read_answer(
    file: &PathBuf,
    last_line: Option<String>,
    context: &TaskContext,
    name: &str,
) -> Result<Value, TaskError> {
    let not_an_answer = |place: &str, why: String| {
        TaskError::permanent(format!(
            "the answer of `{name}` in {place} is not an object with `outputs`: {why}"
        ))
        .with_help("write one JSON object, such as {\"outputs\": {\"rows\": 12}}")
    };
    match std::fs::read_to_string(file) {
        Ok(text) => {
            if let Some(line) = last_line {
                context.info(line);
            }
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| not_an_answer("the file of RATCHET_OUTPUT", error.to_string()))?;
            return outputs_of(&value)
                .ok_or_else(|| not_an_answer("the file of RATCHET_OUTPUT", "there is no object `outputs`".to_owned()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(not_an_answer("the file of RATCHET_OUTPUT", error.to_string())),
    }
    let Some(line) = last_line else { return Ok(json!({})) };
    match serde_json::from_str::<Value>(&line).ok().as_ref().and_then(outputs_of) {
        Some(outputs) => Ok(outputs),
        // An ordinary last line of output is no answer and no fault.
        None => {
            context.info(line);
            Ok(json!({}))
        }
    }
}

fn outputs_of(answer: &Value) -> Option<Value> {
    answer.get("outputs").filter(|outputs| outputs.is_object()).cloned()
}
