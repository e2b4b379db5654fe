//! Tasks that ask a person: the question is a row, the task waits without a slot and a process, and the answer is looked
//! for twice a second.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::plugin::Output;
use ratchet_core::spec::{Approval, OnDeadline, OnReject};
use ratchet_core::state::{Event, TaskState, Verdict};
use ratchet_core::template::render;
use serde_json::{Value, json};

use super::{Detail, Dispatcher, RunEvent};
use crate::approval::{Answer, ApprovalRecord};
use crate::error::EngineError;
use crate::prepare::{Prepared, condition, failure};
use crate::record::Failure;
use crate::store::{Question, TaskResult};

impl Dispatcher {
    /// Asks the question of a ready task. False if it has none.
    pub(super) fn ask(&mut self, task: usize) -> Result<bool, EngineError> {
        let spec = self.spec(task);
        let Some(approval) = &spec.approval else {
            return Ok(false);
        };
        match condition(spec, &spec.id, &self.scope) {
            Some(Prepared::Skip(reason)) => {
                self.step(Event::ConditionFalse { task, reason }, Detail::default())?;
                return Ok(true);
            }
            Some(Prepared::Fail(error)) => {
                self.reject(task, error)?;
                return Ok(true);
            }
            _ => {}
        }
        let message = match render(&Value::String(approval.message.clone()), &self.scope) {
            Ok(Value::String(message)) => message,
            Ok(other) => other.to_string(),
            Err(error) => {
                let error = failure("message", &spec.id, error);
                self.reject(task, error)?;
                return Ok(true);
            }
        };
        let id = spec.id.clone();
        let deadline = approval.deadline.map(|deadline| {
            let deadline = SignedDuration::try_from(deadline).unwrap_or(SignedDuration::MAX);
            Timestamp::now().checked_add(deadline).unwrap_or(Timestamp::MAX)
        });
        let question = Question {
            position: task,
            task: id.clone(),
            message: message.clone(),
            deadline,
        };
        let detail = Detail {
            question: Some(question),
            first: Some(RunEvent::TaskAwaited {
                task: id,
                message: message.clone(),
                deadline,
            }),
            ..Detail::default()
        };
        self.step(Event::Awaited { task, message }, detail)?;
        Ok(true)
    }

    fn awaits(&self) -> bool {
        // Only tasks of the DAG ask, never instances.
        let tasks = self.dag.tasks.iter().zip(self.state.tasks());
        tasks
            .into_iter()
            .any(|(spec, task)| spec.approval.is_some() && task.state == TaskState::Awaiting)
    }

    /// Looks whether somebody answered, or a deadline is over.
    pub(super) async fn look_for_answers(&mut self) -> Result<(), EngineError> {
        if !self.awaits() {
            return Ok(());
        }
        let store = self.engine.store.clone();
        for asked in store.approvals(&self.run.id).await? {
            let place = asked.position;
            let Some(approval) = self.dag.tasks.get(place).and_then(|spec| spec.approval.clone()) else {
                continue;
            };
            if self.state.tasks()[place].state != TaskState::Awaiting {
                continue;
            }
            let over = asked.deadline.is_some_and(|deadline| deadline <= Timestamp::now());
            let answer = match asked {
                ApprovalRecord {
                    answer: Some(answer), ..
                } => answer,
                asked if over => {
                    let answer = by_deadline(&approval);
                    // Somebody may have answered in the last moment: whoever was first is right.
                    store.answer(&self.run.id, &asked.task, &answer).await?;
                    let again = store.approvals(&self.run.id).await?;
                    match again
                        .into_iter()
                        .find(|one| one.position == place)
                        .and_then(|one| one.answer)
                    {
                        Some(answer) => answer,
                        None => continue,
                    }
                }
                _ => continue,
            };
            self.answered(place, &approval, answer)?;
        }
        Ok(())
    }

    fn answered(&mut self, task: usize, approval: &Approval, answer: Answer) -> Result<(), EngineError> {
        let verdict = match (answer.approved, approval.on_reject) {
            (true, _) => Verdict::Approved,
            (false, OnReject::Fail) => Verdict::Rejected,
            (false, OnReject::Skip) => Verdict::Skipped,
        };
        let told = answer.told();
        let error = (verdict == Verdict::Rejected).then(|| Failure {
            message: told.clone(),
            help: Some("a retry asks again; `on_reject: skip` lets a no skip the task".to_owned()),
        });
        let detail = Detail {
            result: Some(TaskResult {
                outputs: outputs(answer),
                error,
                ..TaskResult::default()
            }),
            ..Detail::default()
        };
        let event = Event::Answered {
            task,
            verdict,
            reason: told,
        };
        self.step(event, detail)
    }
}

fn by_deadline(approval: &Approval) -> Answer {
    let approved = approval.on_deadline == OnDeadline::Approve;
    Answer {
        approved,
        by: None,
        reason: None,
        // Every field has a default where the deadline approves.
        fields: approval.read(approved, &BTreeMap::new()).unwrap_or_default(),
    }
}

/// The ports: the answer, who gave it and why, and the form.
fn outputs(answer: Answer) -> BTreeMap<String, Output> {
    let mut ports: BTreeMap<String, Output> = answer
        .fields
        .into_iter()
        .map(|(field, value)| (field, Output::Value(value)))
        .collect();
    ports.insert("approved".to_owned(), Output::Value(json!(answer.approved)));
    ports.insert("by".to_owned(), Output::Value(json!(answer.by)));
    ports.insert("reason".to_owned(), Output::Value(json!(answer.reason)));
    ports
}
