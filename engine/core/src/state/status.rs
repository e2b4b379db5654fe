//! Where tasks and runs stand.

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for its dependencies.
    Pending,
    /// May start.
    Ready,
    /// An attempt is under way.
    Running,
    /// An attempt failed; the next one waits for its pause.
    WaitingRetry,
    /// Somebody was asked; the answer is awaited.
    Awaiting,
    /// Ended well.
    Succeeded,
    /// Ended badly, no attempt is left.
    Failed,
    /// Was not run; the [`SkipCause`] says why.
    Skipped,
    /// The run was cancelled before it ended.
    Cancelled,
}

impl TaskState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::WaitingRetry,
        Self::Awaiting,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// True if nothing follows.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::WaitingRetry => "waiting_retry",
            Self::Awaiting => "awaiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a task was skipped. Trigger rules count [`SkipCause::UpstreamFailed`] as failed and the others as skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Its `when` was false, its list was empty, or a person said no.
    Condition,
    /// Its trigger rule cannot hold because something before it failed.
    UpstreamFailed,
    /// Its trigger rule cannot hold because of what else became of its dependencies.
    UpstreamSkipped,
}

impl SkipCause {
    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamSkipped => "upstream_skipped",
        }
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Condition, Self::UpstreamFailed, Self::UpstreamSkipped]
            .into_iter()
            .find(|cause| cause.name() == name)
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Some task has not ended.
    Running,
    /// All tasks ended and none failed.
    Succeeded,
    /// All tasks ended and at least one failed, whatever ran after it: a cleanup that succeeds does not hide a failure.
    Failed,
    /// It was cancelled before all tasks had ended.
    Cancelled,
}

impl RunStatus {
    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
