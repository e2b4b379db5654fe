//! The log of an attempt: `runs/<run>/<task>/<attempt>/log.ndjson`.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use ratchet_core::plugin::{LogLevel, TaskMessage};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::event::RunEvent;

/// At most so many bytes of messages are kept of one attempt; the rest is counted.
const KEPT_BYTES: usize = 8 << 20;

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

/// Where an attempt's documents stand in the bucket.
pub(crate) fn attempt_directory(run: &str, task: &str, attempt: u32) -> String {
    format!("runs/{run}/{task}/{attempt}")
}

/// Takes what an attempt says: hands it to the observer at once and keeps the lines.
pub(crate) struct Recorder {
    task: String,
    attempt: u32,
    observer: mpsc::UnboundedSender<RunEvent>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl Recorder {
    pub(crate) fn new(task: &str, attempt: u32, observer: mpsc::UnboundedSender<RunEvent>) -> Self {
        Self {
            task: task.to_owned(),
            attempt,
            observer,
            kept: Mutex::default(),
        }
    }

    /// What the task says.
    pub(crate) fn message(&self, message: TaskMessage) {
        let task = self.task.clone();
        let event = match message {
            TaskMessage::Log { level, message } => return self.line(level, LogStream::Task, message),
            TaskMessage::Progress { fraction, message } => RunEvent::TaskProgress {
                task,
                fraction,
                message,
            },
            TaskMessage::Metric { name, value, step } => RunEvent::TaskMetric {
                task,
                name,
                value,
                step,
            },
        };
        // Nobody has to listen.
        let _ = self.observer.send(event);
    }

    /// What the process printed.
    pub(crate) fn output(&self, line: &str) {
        self.line(LogLevel::Info, LogStream::Output, line.to_owned());
    }

    /// What the engine has to say about the attempt.
    pub(crate) fn engine(&self, level: LogLevel, message: impl Into<String>) {
        self.line(level, LogStream::Engine, message.into());
    }

    /// The same, for what observers are told by an event of its own.
    pub(crate) fn keep(&self, level: LogLevel, message: impl Into<String>) {
        self.kept(level, LogStream::Engine, message.into());
    }

    fn line(&self, level: LogLevel, stream: LogStream, message: String) {
        let _ = self.observer.send(RunEvent::TaskLog {
            task: self.task.clone(),
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
        kept.lines.push(self.stamp(level, stream, message));
    }

    fn stamp(&self, level: LogLevel, stream: LogStream, message: String) -> LogLine {
        LogLine {
            time: Timestamp::now(),
            task: self.task.clone(),
            attempt: self.attempt,
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

    #[test]
    fn lines_come_back_in_order_and_reach_the_observer() {
        let (observer, mut heard) = mpsc::unbounded_channel();
        let recorder = Recorder::new("train", 2, observer);
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
        let recorder = Recorder::new("train", 1, observer);
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
