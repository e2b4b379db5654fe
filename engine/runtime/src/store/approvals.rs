//! Questions to people and their answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Any;
use sqlx::any::AnyRow;

use super::open::{Store, query};
use super::read::{instant, number, optional, optional_instant, optional_json, text};
use super::transaction::Transaction as Sql;
use super::write::to_json;
use crate::approval::{Answer, ApprovalRecord};
use crate::error::StoreError;

/// A question that is asked with a step.
#[derive(Debug)]
pub(crate) struct Question {
    pub position: usize,
    pub task: String,
    pub message: String,
    pub deadline: Option<Timestamp>,
}

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It stands.
    Yes,
    /// The task does not wait for one, or another answer stands, or the deadline is over.
    No,
}

pub(super) async fn ask(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    at: &str,
    questions: &[Question],
) -> Result<(), StoreError> {
    for question in questions {
        sqlx::query(
            "INSERT INTO approvals (run_id, position, task, message, asked_at, deadline) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(run)
        .bind(question.position as i64)
        .bind(&question.task)
        .bind(&question.message)
        .bind(at)
        .bind(question.deadline.map_or(0, Timestamp::as_millisecond))
        .execute(&mut **transaction)
        .await
        .map_err(query("ask for an approval"))?;
    }
    Ok(())
}

impl Store {
    /// Keeps an answer, if the task still waits for one. An answer of the deadline (`by` is none) is taken only when
    /// that is over, one of a person only before.
    pub(crate) async fn answer(&self, run: &str, task: &str, answer: &Answer) -> Result<Taken, StoreError> {
        let failed = query("keep the answer to an approval");
        let mut transaction = self.begin("keep the answer to an approval").await?;
        let now = Timestamp::now();
        let in_time = match answer.by {
            Some(_) => "(deadline = 0 OR deadline > $8)",
            None => "(deadline > 0 AND deadline <= $8)",
        };
        let kept = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE approvals SET answered_at = $3, answer = $4, answered_by = $5, reason = $6, fields = $7 \
             WHERE run_id = $1 AND task = $2 AND answer IS NULL AND {in_time} \
             AND EXISTS (SELECT 1 FROM tasks WHERE tasks.run_id = $1 AND tasks.id = $2 AND tasks.state = 'awaiting')"
        )))
        .bind(run)
        .bind(task)
        .bind(now.to_string())
        .bind(if answer.approved { "yes" } else { "no" })
        .bind(&answer.by)
        .bind(&answer.reason)
        .bind(to_json(&answer.fields)?)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(if kept.rows_affected() == 1 {
            Taken::Yes
        } else {
            Taken::No
        })
    }

    /// What a run asked people, in the order of its tasks.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn approvals(&self, run: &str) -> Result<Vec<ApprovalRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM approvals WHERE run_id = $1 ORDER BY position")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the approvals of a run"))?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &AnyRow) -> Result<ApprovalRecord, StoreError> {
    let what = "approval";
    let deadline: i64 = number(row, what, "deadline")?;
    let answered_at = optional_instant(row, what, "answered_at")?;
    let answer = match optional(row, what, "answer")? {
        None => None,
        Some(said) => Some(Answer {
            approved: said == "yes",
            by: optional(row, what, "answered_by")?,
            reason: optional(row, what, "reason")?,
            fields: optional_json::<BTreeMap<String, Value>>(row, what, "fields")?.unwrap_or_default(),
        }),
    };
    Ok(ApprovalRecord {
        task: text(row, what, "task")?,
        message: text(row, what, "message")?,
        asked_at: instant(row, what, "asked_at")?,
        deadline: (deadline > 0).then(|| Timestamp::from_millisecond(deadline).unwrap_or(Timestamp::MAX)),
        answered_at,
        answer,
        position: number(row, what, "position")?,
    })
}
