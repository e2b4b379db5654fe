//! Ends everything that an attempt started.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};

use crate::protocol::MARK;

/// How often descendants are looked for, because one may start another while it is being ended.
const ROUNDS: usize = 20;

/// A worker's process group. Ended when this is dropped, whatever becomes of whoever waits for the worker.
pub(super) struct Group(Pid);

impl Group {
    /// The group that the worker leads. The worker must not have been waited for: its id could be another's by then.
    pub(super) fn of(child: &tokio::process::Child) -> Option<Self> {
        let id = i32::try_from(child.id()?).ok()?;
        Some(Self(Pid::from_raw(id)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error means that no process is left in it.
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// Ends the processes that carry the attempt's mark in their environment: those that left the worker's group.
pub(crate) async fn end_descendants(mark: String) {
    let end = move || {
        for _ in 0..ROUNDS {
            let found = marked(&mark);
            if found.is_empty() {
                return;
            }
            for process in found {
                let _ = kill(process, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        tracing::warn!("processes of the attempt {mark} could not be ended");
    };
    let _ = tokio::task::spawn_blocking(end).await;
}

/// The ids of all processes that can be seen.
pub(super) fn processes() -> impl Iterator<Item = Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
}

/// The processes that carry the mark, but for this one.
pub(super) fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    processes()
        .filter(|process| *process != getpid())
        .filter(|process| {
            // Processes of other users and those that just ended cannot be read; neither is ours.
            let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == wanted.as_bytes())
        })
        .collect()
}
