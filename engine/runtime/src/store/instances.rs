//! Instances of tasks with a list, as rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::plugin::Output;
use ratchet_core::state::{SkipCause, TaskState};
use serde_json::Value;
use sqlx::Any;

use super::open::{Store, query};
use super::read::{json, named, text};
use super::transaction::Transaction as Sql;
use super::write::to_json;
use crate::beginning::KeptInstance;
use crate::error::StoreError;
use crate::record::Failure;

/// A new row.
#[derive(Debug)]
pub(crate) struct InstanceRow {
    pub position: usize,
    /// The position of its task.
    pub of: usize,
    /// Place in the list.
    pub index: usize,
    pub id: String,
    pub key: String,
    pub item: Value,
    pub uses: String,
    /// What it left in the run that this one repeats; it is not run then.
    pub kept: Option<BTreeMap<String, Output>>,
}

pub(super) async fn insert_instances(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    at: &str,
    rows: &[InstanceRow],
) -> Result<(), StoreError> {
    let nothing = BTreeMap::new();
    for row in rows {
        let kept = row.kept.is_some();
        sqlx::query(
            "INSERT INTO tasks (run_id, position, id, uses, state, reason, attempts, failures, finished_at, outputs, \
             promotions, instance_of, instance_index, instance_key, item) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, '[]', $9, $10, $11, $12)",
        )
        .bind(run)
        .bind(row.position as i64)
        .bind(&row.id)
        .bind(&row.uses)
        .bind(if kept { TaskState::Succeeded } else { TaskState::Ready }.name())
        .bind(kept.then_some("kept from the run that this one repeats"))
        .bind(kept.then_some(at))
        .bind(to_json(row.kept.as_ref().unwrap_or(&nothing))?)
        .bind(row.of as i64)
        .bind(row.index as i64)
        .bind(&row.key)
        .bind(to_json(&row.item)?)
        .execute(&mut **transaction)
        .await
        .map_err(query("record the instances of a task"))?;
    }
    Ok(())
}

pub(super) async fn keep_instances(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    kept: &[KeptInstance],
) -> Result<(), StoreError> {
    for instance in kept {
        sqlx::query("INSERT INTO kept_instances (run_id, task, key, item, outputs) VALUES ($1, $2, $3, $4, $5)")
            .bind(run)
            .bind(&instance.task)
            .bind(&instance.key)
            .bind(to_json(&instance.item)?)
            .bind(to_json(&instance.outputs)?)
            .execute(&mut **transaction)
            .await
            .map_err(query("keep the instances of a task"))?;
    }
    Ok(())
}

impl Store {
    /// What a run keeps of the instances of the one that it repeats.
    pub(crate) async fn kept_instances(&self, run: &str) -> Result<Vec<KeptInstance>, StoreError> {
        let rows = sqlx::query("SELECT * FROM kept_instances WHERE run_id = $1")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(query("read the kept instances of a run"))?;
        let what = "kept instance";
        rows.iter()
            .map(|row| {
                Ok(KeptInstance {
                    task: text(row, what, "task")?,
                    key: text(row, what, "key")?,
                    item: json(row, what, "item")?,
                    outputs: json(row, what, "outputs")?,
                })
            })
            .collect()
    }
}

/// After an instance was corrected: what its task comes to now, and with which outputs.
pub(super) async fn gather_again(transaction: &mut Sql<'_, Any>, run: &str, instance: &str) -> Result<(), StoreError> {
    let failed = query("correct a task by its instances");
    let task: Option<i64> =
        sqlx::query_scalar("SELECT instance_of FROM tasks WHERE run_id = $1 AND id = $2 AND instance_of IS NOT NULL")
            .bind(run)
            .bind(instance)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(&failed)?;
    let Some(task) = task else { return Ok(()) };
    let rows = sqlx::query("SELECT state, outputs FROM tasks WHERE run_id = $1 AND instance_of = $2 ORDER BY position")
        .bind(run)
        .bind(task)
        .fetch_all(&mut **transaction)
        .await
        .map_err(&failed)?;
    let row = sqlx::query("SELECT outputs FROM tasks WHERE run_id = $1 AND position = $2")
        .bind(run)
        .bind(task)
        .fetch_one(&mut **transaction)
        .await
        .map_err(&failed)?;
    let before: BTreeMap<String, Output> = json(&row, "task", "outputs")?;
    let mut lists: BTreeMap<String, Vec<Value>> = before.into_keys().map(|port| (port, Vec::new())).collect();
    let (mut succeeded, mut broken, mut cancelled) = (0, 0, 0);
    for row in &rows {
        match named(row, "task", "state", TaskState::from_name)? {
            TaskState::Succeeded => {
                succeeded += 1;
                let left: BTreeMap<String, Output> = json(row, "task", "outputs")?;
                for (port, output) in left {
                    lists.entry(port).or_default().push(output.to_json());
                }
            }
            TaskState::Failed => broken += 1,
            TaskState::Cancelled => cancelled += 1,
            _ => {}
        }
    }
    let outputs: BTreeMap<String, Output> = lists
        .into_iter()
        .map(|(port, list)| (port, Output::Value(Value::Array(list))))
        .collect();
    let state = TaskState::of_instances(succeeded, broken, cancelled);
    let error = (state == TaskState::Failed).then(|| Failure {
        message: format!("{broken} of {} instances failed", rows.len()),
        help: None,
    });
    sqlx::query(
        "UPDATE tasks SET state = $3, skip_cause = $4, reason = $5, error = $6, outputs = $7, finished_at = $8 \
         WHERE run_id = $1 AND position = $2",
    )
    .bind(run)
    .bind(task)
    .bind(state.name())
    .bind((state == TaskState::Skipped).then(|| SkipCause::Condition.name()))
    .bind((state == TaskState::Skipped).then_some("all its instances were skipped"))
    .bind(error.as_ref().map(to_json).transpose()?)
    .bind(to_json(&outputs)?)
    .bind(Timestamp::now().to_string())
    .execute(&mut **transaction)
    .await
    .map_err(&failed)?;
    Ok(())
}
