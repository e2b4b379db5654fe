//! The one function that changes the state of a run.

use std::collections::VecDeque;

use super::event::{Changes, Event, IllegalEvent, Verdict};
use super::instances::NewInstance;
use super::rule::{Decision, decide};
use super::run::{Run, Task};
use super::{RunStatus, SkipCause, TaskState};
use crate::spec::TriggerRule;

/// How many attempts of a task may be lost in a row, each with the engine that ran it, before the task fails.
pub const MAX_LOSSES: u32 = 10;

/// Applies an event: O(successors of the tasks that end by it), except for [`Event::Expanded`], which makes all
/// instances, and [`Event::Begin`] and [`Event::Cancelled`], which look at every task. A refused event changes nothing.
pub fn apply(run: &mut Run, event: Event) -> Result<Changes, IllegalEvent> {
    let was_open = run.status() == RunStatus::Running;
    let mut changes = Changes::default();
    match event {
        Event::Begin => {
            for place in 0..run.tasks.len() {
                // Successors stand after their dependencies, so one pass in order decides all.
                settle(run, place, &mut changes);
            }
        }
        Event::ConditionFalse { task, reason } => {
            expect(run, task, TaskState::Ready)?;
            skip(run, task, SkipCause::Condition, reason, &mut changes);
        }
        Event::Awaited { task, message } => {
            expect(run, task, TaskState::Ready)?.reason = Some(message);
            set(run, task, TaskState::Awaiting, &mut changes);
        }
        Event::Answered { task, verdict, reason } => {
            let asked = expect(run, task, TaskState::Awaiting)?;
            match verdict {
                Verdict::Skipped => skip(run, task, SkipCause::Condition, reason, &mut changes),
                Verdict::Approved | Verdict::Rejected => {
                    asked.reason = Some(reason);
                    let state = if verdict == Verdict::Approved {
                        TaskState::Succeeded
                    } else {
                        TaskState::Failed
                    };
                    end(run, task, state, &mut changes);
                }
            }
        }
        Event::Expanded { task, instances } => {
            expect(run, task, TaskState::Ready)?;
            expand(run, task, instances, &mut changes)?;
        }
        Event::Rejected { task } => {
            expect(run, task, TaskState::Ready)?;
            end(run, task, TaskState::Failed, &mut changes);
        }
        Event::Reused { task, reason } => {
            expect(run, task, TaskState::Ready)?.reason = Some(reason);
            end(run, task, TaskState::Succeeded, &mut changes);
        }
        Event::Started { task } => {
            let started = expect(run, task, TaskState::Ready)?;
            started.attempts += 1;
            set(run, task, TaskState::Running, &mut changes);
        }
        Event::Succeeded { task, attempt } => {
            expect_attempt(run, task, attempt)?;
            end(run, task, TaskState::Succeeded, &mut changes);
        }
        Event::Failed {
            task,
            attempt,
            retryable,
        } => {
            let cancelling = run.cancelling;
            let failed = expect_attempt(run, task, attempt)?;
            failed.failures += 1;
            failed.losses = 0;
            if retryable && failed.failures < failed.max_attempts && !cancelling {
                set(run, task, TaskState::WaitingRetry, &mut changes);
            } else {
                end(run, task, TaskState::Failed, &mut changes);
            }
        }
        Event::Stopped { task, attempt } => {
            let (cancelling, timed_out) = (run.cancelling, run.timed_out);
            let stopped = expect_attempt(run, task, attempt)?;
            if !cancelling {
                return Err(IllegalEvent::NotCancelling {
                    task: stopped.id.clone(),
                });
            }
            stopped.reason = Some(ended_because(timed_out));
            end(run, task, TaskState::Cancelled, &mut changes);
        }
        Event::Lost { task, attempt } => {
            let (cancelling, timed_out) = (run.cancelling, run.timed_out);
            let lost = expect_attempt(run, task, attempt)?;
            if cancelling {
                lost.reason = Some(ended_because(timed_out));
                end(run, task, TaskState::Cancelled, &mut changes);
            } else {
                lost.losses += 1;
                let given_up = lost.losses >= MAX_LOSSES;
                if given_up {
                    end(run, task, TaskState::Failed, &mut changes);
                } else {
                    set(run, task, TaskState::Ready, &mut changes);
                }
            }
        }
        Event::RetryDue { task } => {
            expect(run, task, TaskState::WaitingRetry)?;
            set(run, task, TaskState::Ready, &mut changes);
        }
        Event::TimedOut { reason } => {
            run.timed_out = true;
            cancel(run, &reason, &mut changes);
        }
        Event::Cancelled { reason } => cancel(run, &reason, &mut changes),
    }
    if was_open && run.status() != RunStatus::Running {
        changes.ended = Some(run.status());
    }
    Ok(changes)
}

fn ended_because(timed_out: bool) -> String {
    let why = if timed_out {
        "took longer than its timeout"
    } else {
        "was cancelled"
    };
    format!("the run {why} while it was running")
}

fn expect(run: &mut Run, place: usize, expected: TaskState) -> Result<&mut Task, IllegalEvent> {
    let task = run.tasks.get_mut(place).ok_or(IllegalEvent::NoTask { task: place })?;
    if task.state != expected {
        return Err(IllegalEvent::WrongState {
            task: task.id.clone(),
            found: task.state,
            expected,
        });
    }
    Ok(task)
}

fn expect_attempt(run: &mut Run, place: usize, attempt: u32) -> Result<&mut Task, IllegalEvent> {
    // An older attempt is stale whatever became of the task since.
    let task = run.tasks.get(place).ok_or(IllegalEvent::NoTask { task: place })?;
    if task.attempts != attempt {
        return Err(IllegalEvent::Stale {
            task: task.id.clone(),
            attempt,
            current: task.attempts,
        });
    }
    if task.instances.is_some() {
        return Err(IllegalEvent::HasInstances { task: task.id.clone() });
    }
    expect(run, place, TaskState::Running)
}

/// Makes the instances of a task, all at once.
fn expand(run: &mut Run, place: usize, instances: Vec<NewInstance>, changes: &mut Changes) -> Result<(), IllegalEvent> {
    if run.tasks[place].parent.is_some() {
        let task = run.tasks[place].id.clone();
        return Err(IllegalEvent::IsInstance { task });
    }
    if instances.is_empty() {
        skip(
            run,
            place,
            SkipCause::Condition,
            "its list is empty".to_owned(),
            changes,
        );
        return Ok(());
    }
    set(run, place, TaskState::Running, changes);
    let first = run.tasks.len();
    let kept: Vec<bool> = instances.iter().map(|instance| instance.kept).collect();
    run.add_instances(place, instances.into_iter().map(|instance| instance.id));
    for (instance, kept) in (first..).zip(kept) {
        if kept {
            run.tasks[instance].reason = Some("kept from the run that this one repeats".to_owned());
            end(run, instance, TaskState::Succeeded, changes);
        } else {
            set(run, instance, TaskState::Ready, changes);
        }
    }
    Ok(())
}

fn set(run: &mut Run, place: usize, state: TaskState, changes: &mut Changes) {
    run.tasks[place].state = state;
    changes.tasks.push((place, state));
}

fn skip(run: &mut Run, place: usize, cause: SkipCause, reason: String, changes: &mut Changes) {
    run.tasks[place].skip_cause = Some(cause);
    run.tasks[place].reason = Some(reason);
    end(run, place, TaskState::Skipped, changes);
}

/// Ends a task and decides its successors, and theirs where they are skipped. A queue, not recursion: a chain of ten
/// thousand tasks is skipped in one go.
fn end(run: &mut Run, place: usize, state: TaskState, changes: &mut Changes) {
    set(run, place, state, changes);
    run.note_end(place);
    let Some(place) = node_of(run, place, changes) else {
        return;
    };
    let mut ended = VecDeque::from([place]);
    while let Some(place) = ended.pop_front() {
        let successors = std::mem::take(&mut run.tasks[place].successors);
        for &successor in &successors {
            if settle(run, successor, changes) {
                ended.push_back(successor);
            }
        }
        run.tasks[place].successors = successors;
    }
}

/// The node of the graph that has ended with this task: itself, or, if it was the last instance of one, that one, which
/// comes to what its instances came to. None if other instances are still open.
fn node_of(run: &mut Run, place: usize, changes: &mut Changes) -> Option<usize> {
    let Some(parent) = run.tasks[place].parent else {
        return Some(place);
    };
    let state = run.tasks[parent].instances.as_ref()?.outcome()?;
    match state {
        TaskState::Skipped => {
            run.tasks[parent].skip_cause = Some(SkipCause::Condition);
            run.tasks[parent].reason = Some("all its instances were skipped".to_owned());
        }
        TaskState::Cancelled => {
            run.tasks[parent].reason = Some("the run was cancelled while its instances were open".to_owned());
        }
        _ => {}
    }
    set(run, parent, state, changes);
    run.note_end(parent);
    Some(parent)
}

/// Decides a pending task. True if it ended by that.
fn settle(run: &mut Run, place: usize, changes: &mut Changes) -> bool {
    let task = &run.tasks[place];
    if task.state != TaskState::Pending || run.cancelling {
        return false;
    }
    match decide(task.trigger, &task.upstream) {
        Decision::Wait => false,
        Decision::Start => {
            set(run, place, TaskState::Ready, changes);
            false
        }
        Decision::Skip(cause) => {
            let reason = reason(run, place, cause);
            let task = &mut run.tasks[place];
            task.skip_cause = Some(cause);
            task.reason = Some(reason);
            set(run, place, TaskState::Skipped, changes);
            run.note_end(place);
            true
        }
    }
}

/// Why the rule cannot hold, for people.
fn reason(run: &Run, place: usize, cause: SkipCause) -> String {
    let Task { upstream, trigger, .. } = &run.tasks[place];
    let name = |place: usize| run.tasks[place].id.as_str();
    if cause == SkipCause::UpstreamFailed {
        return match upstream.first_failed {
            Some(root) => format!("task `{}` failed", name(root)),
            None => "a task before it failed".to_owned(),
        };
    }
    match (
        trigger,
        upstream.first_succeeded,
        upstream.first_failed,
        upstream.first_skipped,
    ) {
        (TriggerRule::OneFailed, ..) => "no task before it failed".to_owned(),
        (TriggerRule::OneDone, ..) => "no task before it ran".to_owned(),
        (TriggerRule::AllFailed | TriggerRule::AllSkipped, Some(one), ..) => format!("task `{}` succeeded", name(one)),
        (TriggerRule::AllSkipped, _, Some(root), _) => format!("task `{}` failed", name(root)),
        (_, _, _, Some(skipped)) => format!("task `{}` was skipped", name(skipped)),
        _ => "its trigger rule cannot hold".to_owned(),
    }
}

fn cancel(run: &mut Run, reason: &str, changes: &mut Changes) {
    run.cancelling = true;
    for place in 0..run.tasks.len() {
        let task = &mut run.tasks[place];
        if matches!(
            task.state,
            TaskState::Pending | TaskState::Ready | TaskState::WaitingRetry | TaskState::Awaiting
        ) {
            task.reason = Some(reason.to_owned());
            set(run, place, TaskState::Cancelled, changes);
            run.note_end(place);
            node_of(run, place, changes);
        }
    }
}
