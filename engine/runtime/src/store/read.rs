//! What is asked of the metadata.

use std::str::FromStr;

use jiff::Timestamp;
use ratchet_core::state::{RunStatus, SkipCause, Snapshot, TaskState};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::open::{Store, query};
use crate::error::StoreError;
use crate::record::{AttemptRecord, EventRecord, InstanceOf, RunRecord, RunTrigger, TaskRecord};

/// A task's row: the record, and what the state machine wants back.
pub(crate) struct StoredTask {
    pub record: TaskRecord,
    pub position: usize,
    /// The position of the task whose instance it is.
    pub instance_of: Option<usize>,
    pub snapshot: Snapshot,
    /// When the next attempt may start, for a task that waits for one.
    pub retry_at: Option<Timestamp>,
}

impl Store {
    /// The newest runs, newest first; of one DAG, if one is named.
    pub async fn list_runs(&self, dag: Option<&str>, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM runs WHERE $1 IS NULL OR dag = $1 ORDER BY id DESC LIMIT $2")
            .bind(dag)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(query("list runs"))?;
        rows.iter().map(run_record).collect()
    }

    /// The run of that id, or the one run whose id begins or ends so (the end is what tells runs of one moment apart).
    pub async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        if id.len() < 4 || !id.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-') {
            return Ok(None);
        }
        // SQLite's LIKE takes capitals for the same, Postgres' does not.
        let id = &id.to_ascii_lowercase();
        let rows = sqlx::query("SELECT * FROM runs WHERE id = $1 OR id LIKE $1 || '%' OR id LIKE '%' || $1 LIMIT 100")
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(query("find a run"))?;
        let found: Vec<RunRecord> = rows.iter().map(run_record).collect::<Result<_, _>>()?;
        if found.len() > 1 {
            return match found.iter().find(|run| &run.id == id) {
                Some(run) => Ok(Some(run.clone())),
                None => Err(StoreError::Ambiguous {
                    prefix: id.clone(),
                    count: found.len(),
                }),
            };
        }
        Ok(found.into_iter().next())
    }

    /// The tasks of a run in DAG order, the instances of a task behind it.
    pub async fn tasks(&self, run: &str) -> Result<Vec<TaskRecord>, StoreError> {
        let mut stored = self.stored_tasks(run).await?;
        stored.sort_by_key(|task| (task.instance_of.unwrap_or(task.position), task.position));
        Ok(stored.into_iter().map(|stored| stored.record).collect())
    }

    /// The same with all that the state machine wants back, by position: instances stand behind all tasks of the DAG.
    pub(crate) async fn stored_tasks(&self, run: &str) -> Result<Vec<StoredTask>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tasks WHERE run_id = $1 ORDER BY position")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the tasks of a run"))?;
        rows.iter().map(stored_task).collect()
    }

    /// The attempts of a run, by task in DAG order, then by number.
    pub async fn attempts(&self, run: &str) -> Result<Vec<AttemptRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT attempts.*, tasks.id AS task FROM attempts \
             JOIN tasks ON tasks.run_id = attempts.run_id AND tasks.position = attempts.position \
             WHERE attempts.run_id = $1 \
             ORDER BY COALESCE(tasks.instance_of, tasks.position), attempts.position, attempts.attempt",
        )
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(query("read the attempts of a run"))?;
        rows.iter().map(attempt_record).collect()
    }

    /// The state changes of a run in the order in which they were decided. Outputs are left out: they stand on the task.
    pub async fn events(&self, run: &str) -> Result<Vec<EventRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM events WHERE run_id = $1 ORDER BY number")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the events of a run"))?;
        rows.iter().map(event_record).collect()
    }
}

pub(super) fn damaged(what: &str, column: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        what: format!("a column `{column}` of a {what}"),
        message: error.to_string(),
    }
}

pub(super) fn text(row: &AnyRow, what: &str, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(|error| damaged(what, column, error))
}

pub(super) fn optional(row: &AnyRow, what: &str, column: &str) -> Result<Option<String>, StoreError> {
    row.try_get(column).map_err(|error| damaged(what, column, error))
}

pub(super) fn number<T: TryFrom<i64, Error: std::fmt::Display>>(
    row: &AnyRow,
    what: &str,
    column: &str,
) -> Result<T, StoreError> {
    let number: i64 = row.try_get(column).map_err(|error| damaged(what, column, error))?;
    T::try_from(number).map_err(|error| damaged(what, column, error))
}

pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, what: &str, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(&text(row, what, column)?).map_err(|error| damaged(what, column, error))
}

pub(super) fn optional_json<T: DeserializeOwned>(
    row: &AnyRow,
    what: &str,
    column: &str,
) -> Result<Option<T>, StoreError> {
    let text = optional(row, what, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(what, column, error)))
        .transpose()
}

pub(super) fn instant(row: &AnyRow, what: &str, column: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_str(&text(row, what, column)?).map_err(|error| damaged(what, column, error))
}

pub(super) fn optional_instant(row: &AnyRow, what: &str, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let text = optional(row, what, column)?;
    text.map(|text| Timestamp::from_str(&text).map_err(|error| damaged(what, column, error)))
        .transpose()
}

pub(super) fn named<T>(row: &AnyRow, what: &str, column: &str, find: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let name = text(row, what, column)?;
    find(&name).ok_or_else(|| damaged(what, column, format!("`{name}` is no value of it")))
}

pub(super) fn run_record(row: &AnyRow) -> Result<RunRecord, StoreError> {
    let what = "run";
    Ok(RunRecord {
        id: text(row, what, "id")?,
        dag: text(row, what, "dag")?,
        status: named(row, what, "status", RunStatus::from_name)?,
        trigger: named(row, what, "started_by", RunTrigger::from_name)?,
        actor: text(row, what, "actor")?,
        params: json(row, what, "params")?,
        logical_date: instant(row, what, "logical_date")?,
        interval_start: instant(row, what, "interval_start")?,
        created_at: instant(row, what, "created_at")?,
        finished_at: optional_instant(row, what, "finished_at")?,
        dag_text: text(row, what, "dag_text")?,
        file_name: text(row, what, "file_name")?,
        retry_of: optional(row, what, "retry_of")?,
        parent_run: optional(row, what, "parent_run")?,
        due_at: match number(row, what, "due_at")? {
            0 => None,
            due => Some(Timestamp::from_millisecond(due).map_err(|error| damaged(what, "due_at", error))?),
        },
        late_at: optional_instant(row, what, "late_at")?,
    })
}

fn stored_task(row: &AnyRow) -> Result<StoredTask, StoreError> {
    let what = "task";
    let state = named(row, what, "state", TaskState::from_name)?;
    let skip_cause = match optional(row, what, "skip_cause")? {
        None => None,
        Some(_) => Some(named(row, what, "skip_cause", SkipCause::from_name)?),
    };
    let reason = optional(row, what, "reason")?;
    let attempts: u32 = number(row, what, "attempts")?;
    let error: Option<crate::record::Failure> = optional_json(row, what, "error")?;
    let shown = reason
        .clone()
        .or_else(|| error.as_ref().map(|error| error.message.clone()));
    let instance_of: Option<i64> = row
        .try_get("instance_of")
        .map_err(|error| damaged(what, "instance_of", error))?;
    let id = text(row, what, "id")?;
    let instance = match instance_of {
        None => None,
        Some(_) => Some(InstanceOf {
            task: id.split('[').next().unwrap_or_default().to_owned(),
            index: number(row, what, "instance_index")?,
            key: text(row, what, "instance_key")?,
            item: json(row, what, "item")?,
        }),
    };
    Ok(StoredTask {
        position: number(row, what, "position")?,
        instance_of: instance_of.map(|position| usize::try_from(position).unwrap_or(usize::MAX)),
        snapshot: Snapshot {
            state,
            skip_cause,
            reason,
            attempts,
            failures: number(row, what, "failures")?,
            losses: number(row, what, "losses")?,
        },
        retry_at: optional_instant(row, what, "retry_at")?,
        record: TaskRecord {
            id,
            instance,
            uses: text(row, what, "uses")?,
            state,
            reason: shown,
            attempts,
            seconds: row
                .try_get("seconds")
                .map_err(|error| damaged(what, "seconds", error))?,
            started_at: optional_instant(row, what, "started_at")?,
            finished_at: optional_instant(row, what, "finished_at")?,
            outputs: json(row, what, "outputs")?,
            error,
            promotions: json(row, what, "promotions")?,
        },
    })
}

fn attempt_record(row: &AnyRow) -> Result<AttemptRecord, StoreError> {
    let what = "attempt";
    Ok(AttemptRecord {
        task: text(row, what, "task")?,
        attempt: number(row, what, "attempt")?,
        started_at: instant(row, what, "started_at")?,
        finished_at: optional_instant(row, what, "finished_at")?,
        outcome: optional_json(row, what, "outcome")?,
        error: optional_json(row, what, "error")?,
    })
}

pub(super) fn event_record(row: &AnyRow) -> Result<EventRecord, StoreError> {
    let what = "event";
    Ok(EventRecord {
        number: number(row, what, "number")?,
        at: instant(row, what, "at")?,
        event: json(row, what, "body")?,
    })
}
