//! The log of an attempt: `runs/<run>/<task>/<attempt>/log.ndjson`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratchet_core::plugin::{LogLevel, TaskMessage};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::event::RunEvent;
use crate::journal::Journal;
use crate::masking::Masker;
use crate::store::{AttemptName, Saying, SayingKind};

/// At most so many bytes of messages are kept of one attempt; the rest is counted.
const KEPT_BYTES: usize = 8 << 20;

/// At most so many points of curves are kept of one attempt.
const KEPT_METRICS: usize = 100_000;

/// Progress is kept at most this often.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// The task's own log.
    Task,
    /// What the process printed.
    Output,
    /// The engine, about the attempt.
    Engine,
}

/// One line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was received.
    pub time: Timestamp,
    /// Task id.
    pub task: String,
    /// From 1.
    pub attempt: u32,
    /// Loudness.
    pub level: LogLevel,
    /// Where it comes from.
    pub stream: LogStream,
    /// The line.
    pub message: String,
}

/// Where an attempt's log stands in the bucket.
pub(crate) fn log_path(run: &str, task: &str, attempt: u32) -> String {
    format!("{}/log.ndjson", attempt_directory(run, task, attempt))
}

/// Where the points of an attempt's curves stand in the bucket.
pub(crate) fn metrics_path(run: &str, task: &str, attempt: u32) -> String {
    format!("{}/metrics.ndjson", attempt_directory(run, task, attempt))
}

/// Where an attempt's documents stand in the bucket.
pub(crate) fn attempt_directory(run: &str, task: &str, attempt: u32) -> String {
    format!("runs/{run}/{task}/{attempt}")
}

/// Takes what an attempt says: hands it to the observer at once, to the database soon, and keeps the lines.
pub(crate) struct Recorder {
    name: AttemptName,
    journal: Journal,
    observer: mpsc::UnboundedSender<RunEvent>,
    masker: Arc<Masker>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
    metrics: Vec<String>,
    /// Number of the last saying that went to the database.
    number: i64,
    progress_at: Option<Instant>,
}

impl Recorder {
    pub(crate) fn new(
        name: AttemptName,
        journal: Journal,
        observer: mpsc::UnboundedSender<RunEvent>,
        masker: Arc<Masker>,
    ) -> Self {
        Self {
            name,
            journal,
            observer,
            masker,
            kept: Mutex::default(),
        }
    }

    /// What the task says.
    pub(crate) fn message(&self, message: TaskMessage) {
        let task = self.name.task.clone();
        let event = match self.masker.message(message) {
            TaskMessage::Log { level, message } => return self.line(level, LogStream::Task, message),
            TaskMessage::Progress { fraction, ref message } => {
                let event = RunEvent::TaskProgress {
                    task,
                    fraction,
                    message: message.clone(),
                };
                self.keep_progress(&TaskMessage::Progress {
                    fraction,
                    message: message.clone(),
                });
                event
            }
            TaskMessage::Metric { ref name, value, step } => {
                let event = RunEvent::TaskMetric {
                    task,
                    name: name.clone(),
                    value,
                    step,
                };
                self.keep_metric(&event);
                event
            }
        };
        // Nobody has to listen.
        let _ = self.observer.send(event);
    }

    fn keep_progress(&self, message: &TaskMessage) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.progress_at.is_some_and(|at| at.elapsed() < PROGRESS_PAUSE) {
            return;
        }
        kept.progress_at = Some(Instant::now());
        self.say(0, SayingKind::Progress, serde_json::to_string(message));
    }

    fn keep_metric(&self, point: &RunEvent) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(json) = serde_json::to_string(point) else { return };
        if kept.metrics.len() < KEPT_METRICS {
            kept.number += 1;
            self.say(kept.number, SayingKind::Metric, Ok(json.clone()));
            kept.metrics.push(json);
        }
    }

    fn say(&self, number: i64, kind: SayingKind, body: serde_json::Result<String>) {
        let Ok(body) = body else { return };
        let AttemptName { run, task, attempt } = self.name.clone();
        self.journal.say(Saying {
            run,
            task,
            attempt,
            number,
            kind,
            body,
        });
    }

    /// The points of its curves, as they are stored; none if it had none.
    pub(crate) fn metrics(&self) -> Option<Vec<u8>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kept.metrics.iter().flat_map(|line| [line.as_bytes(), b"\n"]);
        (!kept.metrics.is_empty()).then(|| lines.flatten().copied().collect())
    }

    /// Its documents stand in the bucket now.
    pub(crate) fn moved(&self) {
        let said = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.number > 0 || kept.progress_at.is_some()
        };
        if said {
            self.journal.moved(self.name.clone());
        }
    }

    /// Where a piece of a printed line may be cut, so that no secret is cut.
    pub(crate) fn safe_cut(&self, piece: &[u8]) -> usize {
        self.masker.safe_cut(piece)
    }

    /// What the process printed.
    pub(crate) fn output(&self, line: &str) {
        self.line(LogLevel::Info, LogStream::Output, self.masker.text(line.to_owned()));
    }

    /// What the engine has to say about the attempt.
    pub(crate) fn engine(&self, level: LogLevel, message: impl Into<String>) {
        self.line(level, LogStream::Engine, self.masker.text(message.into()));
    }

    /// The same, for what observers are told by an event of its own.
    pub(crate) fn keep(&self, level: LogLevel, message: impl Into<String>) {
        self.kept(level, LogStream::Engine, self.masker.text(message.into()));
    }

    fn line(&self, level: LogLevel, stream: LogStream, message: String) {
        let _ = self.observer.send(RunEvent::TaskLog {
            task: self.name.task.clone(),
            level,
            message: message.clone(),
        });
        self.kept(level, stream, message);
    }

    fn kept(&self, level: LogLevel, stream: LogStream, message: String) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The engine's own lines say how the attempt ended; they are few and always kept.
        if stream != LogStream::Engine && kept.bytes + message.len() > KEPT_BYTES {
            kept.dropped += 1;
            return;
        }
        kept.bytes += message.len();
        kept.number += 1;
        let line = self.stamp(level, stream, message);
        if let Some(saying) = Saying::line(&self.name.run, kept.number, &line) {
            self.journal.say(saying);
        }
        kept.lines.push(line);
    }

    fn stamp(&self, level: LogLevel, stream: LogStream, message: String) -> LogLine {
        LogLine {
            time: Timestamp::now(),
            task: self.name.task.clone(),
            attempt: self.name.attempt,
            level,
            stream,
            message,
        }
    }

    /// The lines so far, as they are stored.
    pub(crate) fn to_ndjson(&self) -> Vec<u8> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let note = (kept.dropped > 0).then(|| {
            let message = format!(
                "{} more lines were not kept: the log is longer than {KEPT_BYTES} bytes",
                kept.dropped
            );
            self.stamp(LogLevel::Warn, LogStream::Engine, message)
        });
        let mut text = Vec::new();
        for line in kept.lines.iter().chain(&note) {
            if let Ok(json) = serde_json::to_vec(line) {
                text.extend(json);
                text.push(b'\n');
            }
        }
        text
    }
}

/// Reads stored lines; a line that cannot be read is shown as it stands.
pub(crate) fn from_ndjson(text: &[u8], task: &str, attempt: u32) -> Vec<LogLine> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            serde_json::from_slice(line).unwrap_or_else(|_| LogLine {
                time: Timestamp::UNIX_EPOCH,
                task: task.to_owned(),
                attempt,
                level: LogLevel::Warn,
                stream: LogStream::Engine,
                message: String::from_utf8_lossy(line).into_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn recorder(attempt: u32, observer: mpsc::UnboundedSender<RunEvent>) -> Recorder {
        let name = AttemptName {
            run: "run".to_owned(),
            task: "train".to_owned(),
            attempt,
        };
        Recorder::new(name, Journal::silent(), observer, Arc::default())
    }

    #[test]
    fn lines_come_back_in_order_and_reach_the_observer() {
        let (observer, mut heard) = mpsc::unbounded_channel();
        let recorder = recorder(2, observer);
        recorder.message(TaskMessage::Log {
            level: LogLevel::Warn,
            message: "one \"quoted\"\nbroken".to_owned(),
        });
        recorder.output("two");
        recorder.engine(LogLevel::Error, "three");
        let lines = from_ndjson(&recorder.to_ndjson(), "train", 2);
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["one \"quoted\"\nbroken", "two", "three"]);
        assert_eq!(lines[0].stream, LogStream::Task);
        assert_eq!(
            heard.try_recv().unwrap(),
            RunEvent::TaskLog {
                task: "train".to_owned(),
                level: LogLevel::Warn,
                message: "one \"quoted\"\nbroken".to_owned()
            }
        );
    }

    #[test]
    fn a_flood_is_cut_and_counted_and_the_end_is_kept() {
        let (observer, _) = mpsc::unbounded_channel();
        let recorder = recorder(1, observer);
        for _ in 0..10 {
            recorder.output(&"x".repeat(1 << 20));
        }
        recorder.engine(LogLevel::Error, "the end");
        let lines = from_ndjson(&recorder.to_ndjson(), "train", 1);
        assert_eq!(lines.len(), 8 + 2);
        assert_eq!(lines[8].message, "the end");
        assert!(lines[9].message.starts_with("2 more lines were not kept"));
    }
}
