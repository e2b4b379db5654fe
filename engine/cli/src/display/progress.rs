//! What a run shows while it goes on, on stderr.
//!
//! On a terminal: a line for each running task with what it does now, and above them what ended. Elsewhere: plain
//! lines without a time, so that two runs can be compared.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratchet_core::plugin::LogLevel;
use ratchet_runtime::{RunEvent, TaskState};

use super::{describe, output};

/// Shows events of one run.
pub struct Progress {
    least: LogLevel,
    quiet: bool,
    width: usize,
    terminal: Option<Terminal>,
}

struct Terminal {
    lines: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
}

impl Progress {
    /// For tasks of these ids.
    pub fn new<'a>(tasks: impl IntoIterator<Item = &'a str>, quiet: bool, verbose: bool) -> Self {
        let terminal = (!quiet && std::io::stderr().is_terminal()).then(|| Terminal {
            lines: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            running: BTreeMap::new(),
        });
        Self {
            least: if verbose { LogLevel::Debug } else { LogLevel::Info },
            quiet,
            width: tasks.into_iter().map(|task| task.chars().count()).max().unwrap_or(0),
            terminal,
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &RunEvent) {
        if let Some(terminal) = &mut self.terminal {
            terminal.follow(event, self.width);
        }
        let on_terminal = self.terminal.is_some();
        if let Some(line) = self.line_of(event, on_terminal) {
            self.print(&line);
        }
    }

    fn print(&self, line: &str) {
        match &self.terminal {
            Some(terminal) => terminal.lines.suspend(|| output::error(line)),
            None => output::error(line),
        }
    }

    fn line_of(&self, event: &RunEvent, on_terminal: bool) -> Option<String> {
        let width = self.width;
        match event {
            RunEvent::TaskLog { task, level, message } => {
                // On a terminal the last line stands beside the task's spinner; warnings stay.
                let shown = if self.quiet {
                    false
                } else if on_terminal && self.least == LogLevel::Info {
                    loudness(*level) >= loudness(LogLevel::Warn)
                } else {
                    loudness(*level) >= loudness(self.least)
                };
                let mark = match level {
                    LogLevel::Debug | LogLevel::Info => "",
                    LogLevel::Warn => "warning: ",
                    LogLevel::Error => "error: ",
                };
                shown.then(|| format!("{task:width$}  | {mark}{message}"))
            }
            RunEvent::TaskEnded {
                task,
                state: TaskState::Failed,
                seconds,
                reason,
                error,
                ..
            } => {
                let why = error
                    .as_ref()
                    .map(ToString::to_string)
                    .or_else(|| reason.clone())
                    .unwrap_or_default();
                let after = seconds
                    .map(|seconds| format!(" after {}", describe::duration(seconds)))
                    .unwrap_or_default();
                Some(format!("{task:width$}  failed{after}: {why}"))
            }
            _ if self.quiet => None,
            RunEvent::RunStarted { run, dag } => Some(format!("run {run} of {dag}")),
            RunEvent::TaskAwaited { task, message, .. } => Some(format!(
                "{task:width$}  asks: {message}\n{task:width$}  `ratchet runs approve RUN {task}` answers, with --reject no"
            )),
            RunEvent::TaskExpanded { task, instances } => Some(format!("{task:width$}  makes {instances} instances")),
            RunEvent::TaskStarted { .. } if on_terminal => None,
            RunEvent::TaskStarted { task, attempt: 1 } => Some(format!("{task:width$}  started")),
            RunEvent::TaskStarted { task, attempt } => Some(format!("{task:width$}  started attempt {attempt}")),
            RunEvent::TaskRetry {
                task,
                attempt,
                pause,
                error,
            } => {
                let pause = describe::duration(*pause);
                Some(format!(
                    "{task:width$}  failed: {error}\n{task:width$}  attempt {attempt} follows in {pause}"
                ))
            }
            RunEvent::TaskEnded {
                task,
                state,
                seconds,
                reason,
                ..
            } => {
                let time = seconds
                    .map(|seconds| format!(" in {}", describe::duration(seconds)))
                    .unwrap_or_default();
                let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                Some(format!("{task:width$}  {state}{time}{why}"))
            }
            RunEvent::TaskProgress { .. } | RunEvent::TaskMetric { .. } | RunEvent::RunEnded { .. } => None,
        }
    }
}

impl Terminal {
    fn follow(&mut self, event: &RunEvent, width: usize) {
        match event {
            RunEvent::TaskStarted { task, .. } => {
                let line = self
                    .lines
                    .add(ProgressBar::new(100))
                    .with_prefix(format!("{task:width$}"));
                if let Ok(style) = ProgressStyle::with_template("{prefix}  {spinner} {elapsed:>4}  {wide_msg}") {
                    line.set_style(style);
                }
                line.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(task.clone(), line);
            }
            RunEvent::TaskProgress {
                task,
                fraction,
                message,
            } => {
                self.say(task, format!("{:3.0} %  {message}", fraction.clamp(0.0, 1.0) * 100.0));
            }
            RunEvent::TaskLog {
                task,
                level: LogLevel::Info,
                message,
            } => self.say(task, message.clone()),
            RunEvent::TaskRetry { task, .. } | RunEvent::TaskEnded { task, .. } => {
                if let Some(line) = self.running.remove(task) {
                    line.finish_and_clear();
                    self.lines.remove(&line);
                }
            }
            _ => {}
        }
    }

    fn say(&self, task: &str, message: String) {
        if let Some(line) = self.running.get(task) {
            line.set_message(message);
        }
    }
}

fn loudness(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_runtime::Failure;

    fn plain(quiet: bool) -> Progress {
        Progress {
            least: LogLevel::Info,
            quiet,
            width: 8,
            terminal: None,
        }
    }

    fn log(level: LogLevel) -> RunEvent {
        RunEvent::TaskLog {
            task: "gate".to_owned(),
            level,
            message: "4 rows".to_owned(),
        }
    }

    fn ended(state: TaskState, reason: Option<&str>, error: Option<Failure>) -> RunEvent {
        RunEvent::TaskEnded {
            task: "gate".to_owned(),
            state,
            seconds: (state != TaskState::Skipped).then_some(1.25),
            reason: reason.map(str::to_owned),
            error,
            outputs: BTreeMap::new(),
        }
    }

    #[test]
    fn plain_lines_name_the_task_first() {
        let progress = plain(false);
        let line = |event: &RunEvent| progress.line_of(event, false);
        let started = RunEvent::TaskStarted {
            task: "gate".to_owned(),
            attempt: 2,
        };
        assert_eq!(line(&started).as_deref(), Some("gate      started attempt 2"));
        assert_eq!(line(&log(LogLevel::Info)).as_deref(), Some("gate      | 4 rows"));
        assert_eq!(
            line(&log(LogLevel::Warn)).as_deref(),
            Some("gate      | warning: 4 rows")
        );
        assert_eq!(line(&log(LogLevel::Debug)), None);
        assert_eq!(
            line(&ended(TaskState::Succeeded, None, None)).as_deref(),
            Some("gate      succeeded in 1.2 s")
        );
        let skipped = ended(TaskState::Skipped, Some("task `load` failed"), None);
        assert_eq!(line(&skipped).as_deref(), Some("gate      skipped: task `load` failed"));
    }

    #[test]
    fn quiet_keeps_failures_alone() {
        let progress = plain(true);
        assert_eq!(progress.line_of(&log(LogLevel::Error), false), None);
        assert_eq!(progress.line_of(&ended(TaskState::Succeeded, None, None), false), None);
        let error = Failure {
            message: "no rows".to_owned(),
            help: Some("add some".to_owned()),
        };
        let failed = progress.line_of(&ended(TaskState::Failed, Some("no rows"), Some(error)), false);
        assert_eq!(
            failed.as_deref(),
            Some("gate      failed after 1.2 s: no rows\n  help: add some")
        );
    }
}
