//! What can happen to a run, and what it changes.

use super::{NewInstance, RunStatus, TaskState};

/// Something that happened. Tasks are named by their place in [`Run::tasks`](super::Run::tasks). Events of an attempt
/// carry its number, which is the attempt's epoch: it only rises, and an event of an older attempt is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The run is driven, from its beginning or from where it was left. Decides every pending task that can be decided.
    Begin,
    /// A ready task's `when` was false.
    ConditionFalse {
        /// The task.
        task: usize,
        /// For people.
        reason: String,
    },
    /// A ready task has a list: an instance stands for each item from now on, and the task ends when they have. Without
    /// any it is skipped.
    Expanded {
        /// The task.
        task: usize,
        /// In the order of the list.
        instances: Vec<NewInstance>,
    },
    /// A ready task asks a person.
    Awaited {
        /// The task.
        task: usize,
        /// What is asked.
        message: String,
    },
    /// The question was answered.
    Answered {
        /// The task.
        task: usize,
        /// What the answer makes of it.
        verdict: Verdict,
        /// For people.
        reason: String,
    },
    /// A ready task cannot start: its configuration cannot be rendered.
    Rejected {
        /// The task.
        task: usize,
    },
    /// A ready task need not run: what it came to in an earlier run is taken.
    Reused {
        /// The task.
        task: usize,
        /// From where, for people.
        reason: String,
    },
    /// An attempt of a ready task starts.
    Started {
        /// The task.
        task: usize,
    },
    /// The attempt returned its outputs, and they are registered.
    Succeeded {
        /// The task.
        task: usize,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The attempt failed.
    Failed {
        /// The task.
        task: usize,
        /// Number of the attempt.
        attempt: u32,
        /// True if a later attempt may do better.
        retryable: bool,
    },
    /// The attempt was stopped because the run is being cancelled.
    Stopped {
        /// The task.
        task: usize,
        /// Number of the attempt.
        attempt: u32,
    },
    /// Whoever drove the attempt is gone. It is run again and does not count as a failure, but one that was lost
    /// [`MAX_LOSSES`](super::MAX_LOSSES) times in a row is given up: it may be what ends its engine.
    Lost {
        /// The task.
        task: usize,
        /// Number of the attempt.
        attempt: u32,
    },
    /// The pause before the next attempt is over.
    RetryDue {
        /// The task.
        task: usize,
    },
    /// The run took longer than its limit: it is ended as by somebody who cancels it, and has failed.
    TimedOut {
        /// For people.
        reason: String,
    },
    /// Somebody cancels the run.
    Cancelled {
        /// For people.
        reason: String,
    },
}

/// What an answer makes of the task that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeds.
    Approved,
    /// It fails.
    Rejected,
    /// It is skipped.
    Skipped,
}

/// What an event changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tasks whose state changed, in the order in which it was decided, with the new state.
    pub tasks: Vec<(usize, TaskState)>,
    /// How the run ended, if its last task ended now.
    pub ended: Option<RunStatus>,
}

/// The event does not fit the state. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEvent {
    /// No task has that place.
    #[error("there is no task number {task}")]
    NoTask {
        /// The place.
        task: usize,
    },
    /// The task stands elsewhere.
    #[error("task `{task}` is {found}, the event asks for {expected}")]
    WrongState {
        /// Id of the task.
        task: String,
        /// Where it stands.
        found: TaskState,
        /// Where it should.
        expected: TaskState,
    },
    /// Another attempt is the current one.
    #[error("attempt {attempt} of task `{task}` is not the current one, which is {current}")]
    Stale {
        /// Id of the task.
        task: String,
        /// The attempt that the event speaks of.
        attempt: u32,
        /// The current one.
        current: u32,
    },
    /// An attempt was stopped, but nobody cancelled the run.
    #[error("an attempt of task `{task}` was stopped, but the run is not being cancelled")]
    NotCancelling {
        /// Id of the task.
        task: String,
    },
    /// The task runs as instances and has no attempts of its own.
    #[error("task `{task}` runs as instances: it has no attempts of its own")]
    HasInstances {
        /// Id of the task.
        task: String,
    },
    /// Instances are not expanded again.
    #[error("task `{task}` is an instance: it makes no instances")]
    IsInstance {
        /// Id of the task.
        task: String,
    },
    /// A plan names a dependency that is not before it.
    #[error("task `{task}` depends on `{dependency}`, which does not stand before it")]
    BadPlan {
        /// Id of the task.
        task: String,
        /// The dependency.
        dependency: String,
    },
}
