//! Tasks that run once for each item of a list. To the rest of the run such a task is one node: it runs from the moment
//! at which its instances were made until the last of them has ended.

use std::ops::Range;

use super::TaskState;
use super::run::{Run, Task};

/// An instance to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInstance {
    /// `<task>[<key>]`.
    pub id: String,
    /// True if it succeeded in the run that this one repeats, and is not run again.
    pub kept: bool,
}

/// What became of a task's instances so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instances {
    /// Their places, in the order of the list.
    places: Range<usize>,
    open: usize,
    succeeded: usize,
    failed: usize,
    cancelled: usize,
}

impl Instances {
    /// What the task came to, once all have ended.
    pub(super) fn outcome(&self) -> Option<TaskState> {
        (self.open == 0).then(|| TaskState::of_instances(self.succeeded, self.failed, self.cancelled))
    }
}

impl TaskState {
    /// What a task came to whose instances came to this; those that are not counted were skipped.
    pub fn of_instances(succeeded: usize, failed: usize, cancelled: usize) -> Self {
        match (succeeded, failed, cancelled) {
            (_, _, 1..) => Self::Cancelled,
            (_, 1.., _) => Self::Failed,
            (1.., _, _) => Self::Succeeded,
            _ => Self::Skipped,
        }
    }
}

impl Run {
    /// Puts back instances that were made before, with these ids. They stand behind all tasks that are there.
    pub fn with_instances(mut self, task: usize, ids: impl IntoIterator<Item = String>) -> Self {
        if task < self.tasks.len() {
            self.add_instances(task, ids);
        }
        self
    }

    /// The places of a task's instances, in the order of its list; none while the list is not known.
    pub fn instances_of(&self, task: usize) -> Option<Range<usize>> {
        Some(self.tasks.get(task)?.instances.as_ref()?.places.clone())
    }

    /// The task whose instance this is.
    pub fn parent_of(&self, task: usize) -> Option<usize> {
        self.tasks.get(task)?.parent
    }

    pub(super) fn add_instances(&mut self, task: usize, ids: impl IntoIterator<Item = String>) {
        let first = self.tasks.len();
        let like = self.tasks[task].clone();
        let instances = ids.into_iter().map(|id| Task {
            id,
            state: TaskState::Pending,
            skip_cause: None,
            reason: None,
            attempts: 0,
            failures: 0,
            losses: 0,
            successors: Vec::new(),
            parent: Some(task),
            instances: None,
            upstream: Default::default(),
            failed_root: None,
            max_attempts: like.max_attempts,
            trigger: like.trigger,
        });
        self.tasks.extend(instances);
        let count = self.tasks.len() - first;
        self.open += count;
        self.tasks[task].instances = Some(Instances {
            places: first..self.tasks.len(),
            open: count,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
        });
    }

    /// Counts an instance that just ended in its task's view.
    pub(super) fn note_instance(&mut self, place: usize) {
        let state = self.tasks[place].state;
        let parent = self.tasks[place].parent;
        let Some(instances) = parent.and_then(|parent| self.tasks[parent].instances.as_mut()) else {
            return;
        };
        instances.open -= 1;
        match state {
            TaskState::Succeeded => instances.succeeded += 1,
            TaskState::Failed => instances.failed += 1,
            TaskState::Cancelled => instances.cancelled += 1,
            _ => {}
        }
    }
}
