//! What changes in the metadata: runs are created, leased and moved on, each in one transaction.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::plugin::Output;
use ratchet_core::state::{RunStatus, Snapshot, TaskState};
use serde::Serialize;
use sqlx::Any;
use uuid::Uuid;

use super::approvals::{Question, ask};
use super::instances::{InstanceRow, insert_instances, keep_instances};
use super::notices::{Notice, add_notices};
use super::open::{Store, query};
use super::pools::{forget_slots, free_slots};
use super::transaction::Transaction as Sql;
use crate::beginning::{Beginning, KeptTask};
use crate::error::StoreError;
use crate::event::RunEvent;
use crate::record::{AttemptOutcome, Failure, NewRun, PromotionOutcome};

/// How long a reserved run is left to whoever made it.
const RESERVED: SignedDuration = SignedDuration::from_secs(3);

/// One step of a run: what one event changed, or several in a row; written as a whole or not at all.
#[derive(Debug, Default)]
pub(crate) struct Transition {
    /// At most one for a task.
    pub tasks: Vec<TaskChange>,
    /// Tasks and the numbers of their new attempts.
    pub started: Vec<(usize, u32)>,
    /// New rows, which come before all changes.
    pub instances: Vec<InstanceRow>,
    pub ended_attempts: Vec<AttemptEnd>,
    /// Attempts whose slots of pools come free.
    pub freed: Vec<(usize, u32)>,
    /// What people are asked.
    pub questions: Vec<Question>,
    pub events: Vec<RunEvent>,
    /// What somebody has to be told of it.
    pub notices: Vec<Notice>,
    pub ended: Option<RunStatus>,
    pub at: Timestamp,
}

/// A task's new row.
#[derive(Debug)]
pub(crate) struct TaskChange {
    pub position: usize,
    pub snapshot: Snapshot,
    /// An attempt started.
    pub started: bool,
    pub retry_at: Option<Timestamp>,
    /// What an attempt leaves behind; none keeps what is there.
    pub result: Option<TaskResult>,
}

/// What a task's last attempt left behind.
#[derive(Debug, Default)]
pub(crate) struct TaskResult {
    pub outputs: BTreeMap<String, Output>,
    pub promotions: Vec<PromotionOutcome>,
    pub error: Option<Failure>,
    pub seconds: Option<f64>,
    /// What decided the outputs, if a later run may take them.
    pub cache_key: Option<String>,
}

/// The end of an attempt.
#[derive(Debug)]
pub(crate) struct AttemptEnd {
    pub position: usize,
    pub attempt: u32,
    pub outcome: AttemptOutcome,
    pub error: Option<Failure>,
}

impl Store {
    /// Records a run and its tasks. For a tick that has its run already, returns that run's id and changes nothing.
    pub(crate) async fn create_run(&self, new: &NewRun, beginning: &Beginning) -> Result<String, StoreError> {
        let mut transaction = self.begin("create a run").await?;
        let (id, _) = insert_run(&mut transaction, new, beginning).await?;
        transaction.commit().await.map_err(query("create a run"))?;
        Ok(id)
    }

    /// Takes the run for `owner` until `until`, unless somebody else holds it. True if it was taken.
    pub(crate) async fn lease(&self, run: &str, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        let failed = query("lease a run");
        let mut transaction = self.begin("lease a run").await?;
        let taken = sqlx::query(
            "UPDATE runs SET owner = $2, lease_until = $3, version = version + 1 \
             WHERE id = $1 AND (status = 'running' OR EXISTS (SELECT 1 FROM notices WHERE run_id = runs.id)) \
             AND (owner IS NULL OR owner = $2 OR lease_until < $4)",
        )
        .bind(run)
        .bind(owner)
        .bind(until.as_millisecond())
        .bind(Timestamp::now().as_millisecond())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(taken.rows_affected() == 1)
    }

    /// Prolongs a lease. Refused once somebody else took the run.
    pub(crate) async fn renew(&self, run: &str, owner: &str, until: Timestamp) -> Result<(), StoreError> {
        let failed = query("renew the lease of a run");
        let mut transaction = self.begin("renew the lease of a run").await?;
        let renewed = sqlx::query("UPDATE runs SET lease_until = $3 WHERE id = $1 AND owner = $2")
            .bind(run)
            .bind(owner)
            .bind(until.as_millisecond())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        if renewed.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::Leased { run: run.to_owned() })
        }
    }

    /// Gives a run back, so that somebody else need not wait for the lease to end.
    pub(crate) async fn release(&self, run: &str, owner: &str) -> Result<(), StoreError> {
        let failed = query("release a run");
        let mut transaction = self.begin("release a run").await?;
        forget_slots(&mut transaction, run, owner).await?;
        sqlx::query("UPDATE runs SET owner = NULL, lease_until = 0 WHERE id = $1 AND owner = $2")
            .bind(run)
            .bind(owner)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Writes a step. Refused as a whole if `owner` does not hold the run any more, or if a row has moved on past the
    /// attempt that the step speaks of.
    pub(crate) async fn transition(&self, run: &str, owner: &str, step: &Transition) -> Result<(), StoreError> {
        let failed = query("record what happened in a run");
        let lost = || StoreError::Leased { run: run.to_owned() };
        let at = step.at.to_string();
        let mut transaction = self.begin("record what happened in a run").await?;
        // First of all the run's own row: whoever holds it, holds the order of all events of the run.
        let held = sqlx::query(
            "UPDATE runs SET version = version + 1, status = COALESCE($3, status), \
             finished_at = CASE WHEN $3 IS NULL THEN finished_at ELSE $4 END WHERE id = $1 AND owner = $2",
        )
        .bind(run)
        .bind(owner)
        .bind(step.ended.map(RunStatus::name))
        .bind(&at)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if held.rows_affected() != 1 {
            return Err(lost());
        }
        insert_instances(&mut transaction, run, &at, &step.instances).await?;
        for change in &step.tasks {
            write_task(&mut transaction, run, &at, change).await?;
        }
        for &(position, attempt) in &step.started {
            sqlx::query("INSERT INTO attempts (run_id, position, attempt, started_at) VALUES ($1, $2, $3, $4)")
                .bind(run)
                .bind(position as i64)
                .bind(i64::from(attempt))
                .bind(&at)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        for end in &step.ended_attempts {
            let written = sqlx::query(
                "UPDATE attempts SET finished_at = $4, outcome = $5, error = $6 \
                 WHERE run_id = $1 AND position = $2 AND attempt = $3 AND outcome IS NULL",
            )
            .bind(run)
            .bind(end.position as i64)
            .bind(i64::from(end.attempt))
            .bind(&at)
            .bind(to_json(&end.outcome)?)
            .bind(end.error.as_ref().map(to_json).transpose()?)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
            // A finished attempt is recorded exactly once.
            if written.rows_affected() != 1 {
                return Err(lost());
            }
        }
        ask(&mut transaction, run, &at, &step.questions).await?;
        free_slots(&mut transaction, run, &step.freed).await?;
        add_events(&mut transaction, run, &at, &step.events).await?;
        add_notices(&mut transaction, run, &step.notices).await?;
        transaction.commit().await.map_err(&failed)
    }
}

/// Records a run and its tasks: its id and true; or the id of the run that the tick has already (or that repeats the
/// same run for a backfill), and false.
pub(super) async fn insert_run(
    transaction: &mut Sql<'_, Any>,
    new: &NewRun,
    beginning: &Beginning,
) -> Result<(String, bool), StoreError> {
    let failed = query("create a run");
    let id = Uuid::now_v7().to_string();
    let now = Timestamp::now();
    let deadline = new
        .dag
        .deadline
        .and_then(|deadline| SignedDuration::try_from(deadline).ok());
    let due = deadline.and_then(|deadline| now.checked_add(deadline).ok());
    let created: Option<String> = sqlx::query_scalar(
        "INSERT INTO runs (id, dag, status, started_by, actor, params, logical_date, interval_start, created_at, \
         dag_text, file_name, retry_of, version, lease_until, due_at, parent_run, parent_task) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, $15, $16) \
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(&id)
    .bind(&new.dag.name)
    .bind(RunStatus::Running.name())
    .bind(new.trigger.name())
    .bind(&new.actor)
    .bind(to_json(&new.params)?)
    .bind(new.logical_date.to_string())
    .bind(new.interval_start.to_string())
    .bind(now.to_string())
    .bind(&new.dag.text)
    .bind(&new.dag.file_name)
    .bind(&beginning.retry_of)
    .bind(if beginning.reserved {
        (now + RESERVED).as_millisecond()
    } else {
        0
    })
    .bind(due.map_or(0, Timestamp::as_millisecond))
    .bind(beginning.parent.as_ref().map(|parent| &parent.run))
    .bind(beginning.parent.as_ref().map(|parent| &parent.task))
    .fetch_optional(&mut **transaction)
    .await
    .map_err(&failed)?;
    if created.is_none() {
        let there: String = match (&beginning.parent, &beginning.retry_of) {
            (Some(parent), _) => {
                sqlx::query_scalar("SELECT id FROM runs WHERE parent_run = $1 AND parent_task = $2")
                    .bind(&parent.run)
                    .bind(&parent.task)
                    .fetch_one(&mut **transaction)
                    .await
            }
            (None, Some(repeated)) => {
                sqlx::query_scalar("SELECT id FROM runs WHERE retry_of = $1 AND started_by = 'backfill'")
                    .bind(repeated)
                    .fetch_one(&mut **transaction)
                    .await
            }
            (None, None) => {
                sqlx::query_scalar(
                    "SELECT id FROM runs WHERE dag = $1 AND logical_date = $2 \
                     AND started_by IN ('schedule', 'backfill') AND retry_of IS NULL",
                )
                .bind(&new.dag.name)
                .bind(new.logical_date.to_string())
                .fetch_one(&mut **transaction)
                .await
            }
        }
        .map_err(&failed)?;
        return Ok((there, false));
    }
    for (position, task) in (0_i64..).zip(&new.dag.tasks) {
        let kept = beginning.kept.get(&task.id);
        sqlx::query(
            "INSERT INTO tasks (run_id, position, id, uses, state, skip_cause, reason, attempts, failures, \
             finished_at, outputs, promotions) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, '[]')",
        )
        .bind(&id)
        .bind(position)
        .bind(&task.id)
        .bind(&task.uses)
        .bind(kept.map_or(TaskState::Pending, |kept| kept.state).name())
        .bind(kept.and_then(KeptTask::skip_cause).map(|cause| cause.name()))
        .bind(kept.map(|kept| &kept.reason))
        .bind(kept.map(|_| Timestamp::now().to_string()))
        .bind(to_json(&kept.map(|kept| &kept.outputs).unwrap_or(&BTreeMap::new()))?)
        .execute(&mut **transaction)
        .await
        .map_err(&failed)?;
    }
    keep_instances(transaction, &id, &beginning.kept_instances).await?;
    Ok((id, true))
}

/// Appends events to those of the run, whose row the transaction holds.
pub(super) async fn add_events(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    at: &str,
    events: &[RunEvent],
) -> Result<(), StoreError> {
    for event in events {
        sqlx::query(
            "INSERT INTO events (run_id, number, at, body) \
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3 FROM events WHERE run_id = $1",
        )
        .bind(run)
        .bind(at)
        .bind(to_json(&event.without_outputs())?)
        .execute(&mut **transaction)
        .await
        .map_err(query("record the events of a run"))?;
    }
    Ok(())
}

async fn write_task(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    at: &str,
    change: &TaskChange,
) -> Result<(), StoreError> {
    let failed = query("record a task");
    let TaskChange {
        position,
        snapshot,
        started,
        retry_at,
        result,
    } = change;
    let written = sqlx::query(
        "UPDATE tasks SET state = $3, skip_cause = $4, reason = $5, attempts = $6, failures = $7, losses = $12, retry_at = $8, \
         started_at = CASE WHEN $9 THEN $10 ELSE started_at END, \
         finished_at = CASE WHEN $11 THEN $10 ELSE finished_at END \
         WHERE run_id = $1 AND position = $2 AND attempts <= $6",
    )
    .bind(run)
    .bind(*position as i64)
    .bind(snapshot.state.name())
    .bind(snapshot.skip_cause.map(|cause| cause.name()))
    .bind(&snapshot.reason)
    .bind(i64::from(snapshot.attempts))
    .bind(i64::from(snapshot.failures))
    .bind(retry_at.map(|instant| instant.to_string()))
    .bind(*started)
    .bind(at)
    .bind(snapshot.state.is_end())
    .bind(i64::from(snapshot.losses))
    .execute(&mut **transaction)
    .await
    .map_err(&failed)?;
    if written.rows_affected() != 1 {
        return Err(StoreError::Leased { run: run.to_owned() });
    }
    let Some(result) = result else { return Ok(()) };
    // Less than no time stands for none: sqlx tells Postgres that an absent number has four bytes, and the prepared
    // statement would keep that type for the next number, which has eight.
    sqlx::query(
        "UPDATE tasks SET outputs = $3, promotions = $4, error = $5, seconds = NULLIF($6, -1.0), \
         cache_key = $7 \
         WHERE run_id = $1 AND position = $2",
    )
    .bind(run)
    .bind(*position as i64)
    .bind(to_json(&result.outputs)?)
    .bind(to_json(&result.promotions)?)
    .bind(result.error.as_ref().map(to_json).transpose()?)
    .bind(result.seconds.unwrap_or(-1.0))
    .bind(&result.cache_key)
    .execute(&mut **transaction)
    .await
    .map_err(&failed)?;
    Ok(())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged {
        what: "a value to write".to_owned(),
        message: error.to_string(),
    })
}
