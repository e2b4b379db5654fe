//! A person says yes or no: what is asked and what was answered.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::state::TaskState;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::store::Taken;

/// What was asked of people in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Id of the task.
    pub task: String,
    /// The question.
    pub message: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    #[serde(skip)]
    pub(crate) position: usize,
}

/// A yes or a no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Yes.
    pub approved: bool,
    /// Who gave it; none: nobody did before the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The form.
    pub fields: BTreeMap<String, Value>,
}

impl Answer {
    /// `approved by ada`, `rejected by ada: not before Monday`.
    pub fn told(&self) -> String {
        let what = if self.approved { "approved" } else { "rejected" };
        let who = match &self.by {
            Some(by) => format!("{what} by {by}"),
            None => format!("{what} because nobody answered before the deadline"),
        };
        match &self.reason {
            Some(reason) => format!("{who}: {reason}"),
            None => who,
        }
    }
}

impl Engine {
    /// Answers the question of a task. Whoever drives the run goes on within a second; if nobody does, the answer waits for
    /// whoever takes it.
    ///
    /// # Errors
    ///
    /// If there is no such run or task, the task does not wait for an answer (any more), or the form is not filled well.
    pub async fn approve(
        &self,
        run: &str,
        task: &str,
        approved: bool,
        given: &BTreeMap<String, String>,
        reason: Option<&str>,
        actor: &str,
    ) -> Result<Answer, EngineError> {
        let record = self.run(run).await?;
        let dag = self.dag_of(&record)?;
        let spec = crate::beginning::known(&dag, &record.id, task)?;
        let not_awaited = |why: String| EngineError::NotAwaited {
            run: record.id.clone(),
            task: task.to_owned(),
            why,
        };
        let Some(approval) = &spec.approval else {
            return Err(not_awaited("it asks nobody".to_owned()));
        };
        let fields = approval.read(approved, given).map_err(|problems| EngineError::Form {
            task: task.to_owned(),
            problems,
        })?;
        let answer = Answer {
            approved,
            by: Some(actor.to_owned()),
            reason: reason.map(str::to_owned).filter(|reason| !reason.trim().is_empty()),
            fields,
        };
        if self.store().answer(&record.id, task, &answer).await? == Taken::Yes {
            return Ok(answer);
        }
        let asked = self.store().approvals(&record.id).await?;
        let tasks = self.store().tasks(&record.id).await?;
        let state = tasks.iter().find(|known| known.id == task).map(|known| known.state);
        Err(not_awaited(match asked.into_iter().find(|asked| asked.task == task) {
            Some(asked) => match (asked.answer, asked.deadline) {
                (Some(answer), _) => format!("it was {}", answer.told()),
                (None, Some(deadline)) if deadline <= Timestamp::now() => format!("its deadline was {deadline}"),
                _ => format!("it is {}", state.unwrap_or(TaskState::Cancelled)),
            },
            None => format!("it is {} and has not asked yet", state.unwrap_or(TaskState::Pending)),
        }))
    }
}
