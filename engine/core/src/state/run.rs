//! A run in memory.

use std::collections::BTreeMap;

use super::instances::Instances;
use super::rule::Upstream;
use super::{IllegalEvent, RunStatus, SkipCause, TaskState};
use crate::spec::{Dag, TriggerRule};

/// What the state machine needs to know of a task beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlan {
    /// Id, unique in the run.
    pub id: String,
    /// Ids of the tasks that it comes after; they stand before it.
    pub dependencies: Vec<String>,
    /// What they must have come to.
    pub trigger: TriggerRule,
    /// How many failed attempts end it.
    pub max_attempts: u32,
}

/// What has to be kept of a task to go on with it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: TaskState,
    /// Why it was skipped.
    pub skip_cause: Option<SkipCause>,
    /// The same for people; also why it was cancelled.
    pub reason: Option<String>,
    /// How many attempts were started.
    pub attempts: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of the last ones were lost, one after the other.
    pub losses: u32,
}

/// A task of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Id.
    pub id: String,
    /// Where it stands.
    pub state: TaskState,
    /// Why it was skipped.
    pub skip_cause: Option<SkipCause>,
    /// The same for people; also why it was cancelled.
    pub reason: Option<String>,
    /// How many attempts were started; the number of the current one.
    pub attempts: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of the last ones were lost, one after the other.
    pub losses: u32,
    pub(super) max_attempts: u32,
    pub(super) trigger: TriggerRule,
    pub(super) successors: Vec<usize>,
    /// The task whose instance it is.
    pub(super) parent: Option<usize>,
    /// Its own instances, once its list is known.
    pub(super) instances: Option<Instances>,
    pub(super) upstream: Upstream,
    /// The failed task that this one's skip goes back to.
    pub(super) failed_root: Option<usize>,
}

impl Task {
    /// What has to be kept.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state,
            skip_cause: self.skip_cause,
            reason: self.reason.clone(),
            attempts: self.attempts,
            failures: self.failures,
            losses: self.losses,
        }
    }
}

/// A run: its tasks and where each stands. Changed by [`apply`](super::apply) alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub(super) tasks: Vec<Task>,
    pub(super) cancelling: bool,
    /// It is being ended because it took too long.
    pub(super) timed_out: bool,
    /// How many tasks have not ended.
    pub(super) open: usize,
    pub(super) failed: usize,
    pub(super) cancelled: usize,
}

impl Run {
    /// A new run of a DAG; tasks have the places that they have in [`Dag::tasks`].
    pub fn new(dag: &Dag) -> Result<Self, IllegalEvent> {
        let plans = dag.tasks.iter().map(|task| TaskPlan {
            id: task.id.clone(),
            dependencies: task.dependencies.iter().cloned().collect(),
            trigger: task.trigger,
            max_attempts: task.retry.attempts,
        });
        Self::from_plans(plans)
    }

    /// A new run of tasks, each after all that it depends on.
    pub fn from_plans(plans: impl IntoIterator<Item = TaskPlan>) -> Result<Self, IllegalEvent> {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut tasks: Vec<Task> = Vec::new();
        for plan in plans {
            let place = tasks.len();
            for dependency in &plan.dependencies {
                let before = places.get(dependency).and_then(|before| tasks.get_mut(*before));
                let Some(before) = before else {
                    return Err(IllegalEvent::BadPlan {
                        task: plan.id,
                        dependency: dependency.clone(),
                    });
                };
                before.successors.push(place);
            }
            places.insert(plan.id.clone(), place);
            tasks.push(Task {
                id: plan.id,
                state: TaskState::Pending,
                skip_cause: None,
                reason: None,
                attempts: 0,
                failures: 0,
                losses: 0,
                max_attempts: plan.max_attempts.max(1),
                trigger: plan.trigger,
                successors: Vec::new(),
                parent: None,
                instances: None,
                upstream: Upstream {
                    total: plan.dependencies.len(),
                    ..Upstream::default()
                },
                failed_root: None,
            });
        }
        Ok(Self {
            open: tasks.len(),
            tasks,
            cancelling: false,
            timed_out: false,
            failed: 0,
            cancelled: 0,
        })
    }

    /// Takes the run to where it was left. `snapshots` have the places of [`Run::tasks`]; a missing one leaves its
    /// task pending. Instances that were made are put back before by [`Run::with_instances`]. Send [`Event::Begin`](super::Event::Begin) afterwards.
    pub fn restore(mut self, snapshots: impl IntoIterator<Item = Snapshot>) -> Self {
        for (place, snapshot) in snapshots.into_iter().enumerate().take(self.tasks.len()) {
            let task = &mut self.tasks[place];
            task.state = snapshot.state;
            task.skip_cause = snapshot.skip_cause;
            task.reason = snapshot.reason;
            task.attempts = snapshot.attempts;
            task.failures = snapshot.failures;
            task.losses = snapshot.losses;
            if task.state.is_end() {
                self.note_end(place);
            }
        }
        self.cancelling = self.cancelled > 0;
        self
    }

    /// All tasks, in DAG order; behind them the instances in the order in which they were made.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// True once somebody cancelled it.
    pub fn is_cancelling(&self) -> bool {
        self.cancelling
    }

    /// Where the run stands.
    pub fn status(&self) -> RunStatus {
        if self.open > 0 {
            RunStatus::Running
        } else if self.cancelled > 0 && !self.timed_out {
            RunStatus::Cancelled
        } else if self.failed > 0 || self.cancelled > 0 {
            RunStatus::Failed
        } else {
            RunStatus::Succeeded
        }
    }

    /// Counts a task that just ended, here and in its successors' view. Tasks end in any order, but always after the
    /// tasks that decided them, so a skipped task's root is known by now.
    pub(super) fn note_end(&mut self, place: usize) {
        let (state, cause) = (self.tasks[place].state, self.tasks[place].skip_cause);
        self.open -= 1;
        self.note_instance(place);
        match state {
            TaskState::Failed => {
                self.failed += 1;
                self.tasks[place].failed_root = Some(place);
            }
            TaskState::Cancelled => self.cancelled += 1,
            TaskState::Skipped if cause == Some(SkipCause::UpstreamFailed) => {
                self.tasks[place].failed_root = self.tasks[place].upstream.first_failed;
            }
            _ => {}
        }
        let root = self.tasks[place].failed_root;
        let successors = std::mem::take(&mut self.tasks[place].successors);
        for &successor in &successors {
            let upstream = &mut self.tasks[successor].upstream;
            match (state, cause) {
                (TaskState::Succeeded, _) => {
                    upstream.succeeded += 1;
                    keep_first(&mut upstream.first_succeeded, Some(place));
                }
                (TaskState::Failed, _) => {
                    upstream.failed += 1;
                    keep_first(&mut upstream.first_failed, root);
                }
                (TaskState::Skipped, Some(SkipCause::UpstreamFailed)) => {
                    upstream.upstream_failed += 1;
                    keep_first(&mut upstream.first_failed, root);
                }
                (TaskState::Skipped, _) => {
                    upstream.skipped += 1;
                    keep_first(&mut upstream.first_skipped, Some(place));
                }
                // A cancelled task's successors are cancelled themselves.
                _ => {}
            }
        }
        self.tasks[place].successors = successors;
    }
}

fn keep_first(first: &mut Option<usize>, place: Option<usize>) {
    *first = match (*first, place) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}
