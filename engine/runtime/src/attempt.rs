//! One attempt from its start to what the run gets of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ratchet_artifacts::{BlobRef, failpoints};
use ratchet_core::plugin::{Isolation, LogLevel, Output, Outputs, TaskError};
use ratchet_core::spec::TaskSpec;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;

use crate::complete::{Completed, Origin, complete};
use crate::engine::Inner;
use crate::event::RunEvent;
use crate::executor::{Ending, Execution, execute};
use crate::logs::{Recorder, attempt_directory, log_path, metrics_path};
use crate::masking::Masker;
use crate::protocol::AttemptRequest;
use crate::record::{AttemptOutcome, Failure};
use crate::store::AttemptName;

/// How often a completion is tried again by itself before the whole attempt is.
const COMPLETIONS: u32 = 3;

/// The first pause between completions; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    Succeeded,
    Failed {
        outcome: AttemptOutcome,
        failure: Failure,
        retryable: bool,
    },
    Cancelled,
}

/// What the run gets of an attempt.
#[derive(Debug)]
pub(crate) struct Finished {
    pub verdict: Verdict,
    pub seconds: f64,
    pub completed: Completed,
}

impl Finished {
    /// What the run gets of an attempt whose own code in the engine panicked.
    pub fn broken(error: &JoinError) -> Self {
        let failure = Failure {
            message: format!("the engine failed while it ran the attempt: {error}"),
            help: Some("this is a fault of the engine".to_owned()),
        };
        let verdict = Verdict::Failed {
            outcome: AttemptOutcome::Crashed,
            failure,
            retryable: true,
        };
        Self {
            verdict,
            seconds: 0.0,
            completed: Completed::default(),
        }
    }
}

/// True for an attempt of a pure plugin that runs inside the engine: it needs no directory, and whether it began before
/// its beginning was on disk makes no difference to anything.
pub(crate) fn touches_nothing(engine: &Inner, spec: &TaskSpec) -> bool {
    let pure = engine
        .options
        .registry
        .get(&spec.uses)
        .is_some_and(|plugin| plugin.pure);
    pure && spec.isolation == Isolation::Inline && spec.resources.memory_bytes.is_none() && spec.environment.is_empty()
}

/// Runs an attempt, registers what it returned and writes its log and documents into the bucket.
pub(crate) async fn run_attempt(
    engine: Arc<Inner>,
    spec: TaskSpec,
    mut request: AttemptRequest,
    masker: Arc<Masker>,
    observer: mpsc::UnboundedSender<RunEvent>,
    stop: watch::Receiver<bool>,
) -> Finished {
    let started = Instant::now();
    let name = AttemptName {
        run: request.run.id.clone(),
        task: request.task.clone(),
        attempt: request.attempt,
    };
    let log = Arc::new(Recorder::new(
        name,
        engine.journal.clone(),
        observer,
        Arc::clone(&masker),
    ));
    let directory = if touches_nothing(&engine, &spec) {
        Ok(None)
    } else {
        engine.temporary_directory(&request).map(Some)
    };
    let (verdict, completed) = match directory {
        Err(error) => {
            let failure = Failure {
                message: format!("failed to make a temporary directory in the home directory: {error}"),
                help: Some("check that RATCHET_HOME can be written and its disk is not full".to_owned()),
            };
            (
                Verdict::Failed {
                    outcome: AttemptOutcome::Failed,
                    failure,
                    retryable: true,
                },
                Completed::default(),
            )
        }
        Ok(directory) => {
            if let Some(directory) = &directory {
                request.temporary_directory = directory.path().to_owned();
            }
            let execution = Execution {
                registry: &engine.options.registry,
                worker: &engine.options.worker,
                isolation: spec.isolation,
                timeout: spec.timeout,
                memory: spec.resources.memory_bytes,
                log: &log,
                stop,
            };
            // From here on no secret is left in it: what follows keeps it, registers it and tells it.
            let ending = execute(request.clone(), execution).await.masked(&masker);
            judge(&engine, &request, &log, ending).await
        }
    };
    if let Verdict::Failed { failure, .. } = &verdict {
        log.keep(
            LogLevel::Error,
            format!("attempt {} failed: {failure}", request.attempt),
        );
    }
    let seconds = started.elapsed().as_secs_f64();
    if engine.options.replay.is_none() {
        leave_documents(&engine, &request, &log, &completed).await;
    }
    Finished {
        verdict,
        seconds,
        completed,
    }
}

async fn judge(engine: &Inner, request: &AttemptRequest, log: &Recorder, ending: Ending) -> (Verdict, Completed) {
    let failed = |outcome, failure, retryable| Verdict::Failed {
        outcome,
        failure,
        retryable,
    };
    match ending {
        Ending::Cancelled => (Verdict::Cancelled, Completed::default()),
        Ending::Crashed(failure) => (failed(AttemptOutcome::Crashed, failure, true), Completed::default()),
        Ending::TimedOut(failure) => (failed(AttemptOutcome::TimedOut, failure, true), Completed::default()),
        Ending::Succeeded(outputs) => {
            failpoints::before("register what an attempt returned");
            let mut completed = complete_patiently(engine, request, log, outputs).await;
            failpoints::after("register what an attempt returned");
            let verdict = match completed.failure.take() {
                None => Verdict::Succeeded,
                Some(stopped) => failed(AttemptOutcome::Failed, stopped.failure, stopped.retryable),
            };
            (verdict, completed)
        }
        Ending::Failed(error) => {
            let TaskError {
                message,
                help,
                retryable,
                outputs,
            } = error;
            // What a failed task leaves behind is shown, not registered: no version comes from a failure.
            let ports = outputs.ports.into_iter();
            let kept = ports
                .filter(|(_, output)| matches!(output, Output::Report(_) | Output::Value(_)))
                .collect();
            let completed = Completed {
                outputs: kept,
                ..Completed::default()
            };
            (
                failed(AttemptOutcome::Failed, Failure { message, help }, retryable),
                completed,
            )
        }
    }
}

/// Hours of training are not thrown away because the bucket is away for a second.
async fn complete_patiently(engine: &Inner, request: &AttemptRequest, log: &Recorder, outputs: Outputs) -> Completed {
    let ports = engine
        .options
        .registry
        .get(&request.uses)
        .map(|plugin| plugin.outputs.as_slice())
        .unwrap_or_default();
    let origin = Origin {
        run: &request.run.id,
        dag: &request.run.dag,
        task: &request.task,
        ports,
        with: &request.with,
        build: engine.build_of(&outputs).await,
        registers: engine.options.replay.is_none(),
    };
    let mut pause = PAUSE;
    for _ in 1..COMPLETIONS {
        let completed = complete(&engine.bucket, &origin, outputs.clone()).await;
        match &completed.failure {
            Some(stopped) if stopped.retryable => {
                log.engine(
                    LogLevel::Warn,
                    format!("registering its outputs failed, trying again: {}", stopped.failure),
                );
            }
            _ => return completed,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    complete(&engine.bucket, &origin, outputs).await
}

/// The manifest of an attempt's outputs, `outputs.json`.
#[derive(Serialize)]
struct OutputManifest<'a> {
    format: u32,
    outputs: &'a std::collections::BTreeMap<String, Output>,
    promotions: &'a [crate::record::PromotionOutcome],
}

/// Writes the log, the outputs and the reports. They are for people: a bucket that refuses them does not fail the
/// attempt, whose outcome stands in the database.
async fn leave_documents(engine: &Inner, request: &AttemptRequest, log: &Recorder, completed: &Completed) {
    let directory = attempt_directory(&request.run.id, &request.task, request.attempt);
    for output in completed.outputs.values() {
        let Output::Report(report) = output else { continue };
        let blob = BlobRef {
            sha256: report.blob.sha256.clone(),
            bytes: report.blob.bytes,
        };
        let written = match engine.bucket.get_blob(&blob).await {
            Ok(content) => {
                let path = format!("{directory}/{}", report_name(&report.file_name));
                engine.bucket.create(&path, content).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            log.engine(
                LogLevel::Warn,
                format!("the report {} cannot be copied to the run: {error}", report.file_name),
            );
        }
    }
    let manifest = OutputManifest {
        format: 1,
        outputs: &completed.outputs,
        promotions: &completed.promotions,
    };
    // Plain values stand on the task's row; the manifest is for those who find the bucket without its database.
    let in_bucket = |output: &Output| !matches!(output, Output::Value(_));
    if completed.outputs.values().any(in_bucket) || !completed.promotions.is_empty() {
        let written = match serde_json::to_vec_pretty(&manifest) {
            Ok(json) => {
                let created = engine
                    .bucket
                    .create(&format!("{directory}/outputs.json"), Bytes::from(json))
                    .await;
                created.map(|_| ()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            log.engine(LogLevel::Warn, format!("outputs.json cannot be written: {error}"));
        }
    }
    let (run, task, attempt) = (&request.run.id, &request.task, request.attempt);
    let mut documents = Vec::new();
    let lines = log.to_ndjson();
    if !lines.is_empty() {
        documents.push((log_path(run, task, attempt), lines));
    }
    documents.extend(log.metrics().map(|points| (metrics_path(run, task, attempt), points)));
    for (path, content) in documents {
        if let Err(error) = engine.bucket.create(&path, Bytes::from(content)).await {
            // The database keeps the lines; whoever asks for them finds them there.
            tracing::warn!("{path} cannot be written: {error}");
            return;
        }
    }
    log.moved();
}

/// A plain file name beside the engine's own documents.
fn report_name(file_name: &str) -> String {
    let name = file_name.rsplit('/').next().unwrap_or_default();
    match name {
        "" | "." | ".." => "report".to_owned(),
        "log.ndjson" | "metrics.ndjson" | "outputs.json" => format!("report-{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::report_name;

    #[test]
    fn reports_stay_in_their_directory_and_beside_the_log() {
        let cases = [
            ("gate.json", "gate.json"),
            ("../../x.json", "x.json"),
            ("a/..", "report"),
            ("log.ndjson", "report-log.ndjson"),
        ];
        for (given, name) in cases {
            assert_eq!(report_name(given), name);
        }
    }
}
