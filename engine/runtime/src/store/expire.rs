//! Runs that ended long ago go, with all that is kept of them here.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use jiff::Timestamp;
use ratchet_artifacts::collect::digests;
use ratchet_core::state::RunStatus;
use sqlx::{Column, Row};

use super::open::{Store, query};
use super::read::{instant, named};
use crate::error::StoreError;

/// What is removed of a run, in this order: what refers to another table comes first.
const PARTS: &[&str] = &[
    "DELETE FROM approvals WHERE run_id = $1",
    "DELETE FROM pool_slots WHERE run_id = $1",
    "DELETE FROM pool_waiting WHERE run_id = $1",
    "DELETE FROM notices WHERE run_id = $1",
    "DELETE FROM kept_instances WHERE run_id = $1",
    "DELETE FROM said WHERE run_id = $1",
    "DELETE FROM events WHERE run_id = $1",
    "DELETE FROM attempts WHERE run_id = $1",
    "DELETE FROM tasks WHERE run_id = $1",
    // The tick of a backfill goes with its run: it is not to be run again.
    "DELETE FROM backfill_dates WHERE run_id = $1",
    "DELETE FROM trigger_events WHERE run_id = $1",
    "DELETE FROM triggered_runs WHERE run_id = $1",
];

/// Rows that name blobs: outputs of tasks.
const REFERRING: &[&str] = &["SELECT * FROM tasks", "SELECT * FROM kept_instances"];

/// A run that has ended, as far as its age matters.
#[derive(Clone, Debug)]
pub(crate) struct EndedRun {
    pub id: String,
    pub dag: String,
    pub status: RunStatus,
    pub finished_at: Timestamp,
}

impl Store {
    /// All runs that have ended, oldest first.
    pub(crate) async fn ended_runs(&self) -> Result<Vec<EndedRun>, StoreError> {
        let failed = query("find runs that have ended");
        let rows = sqlx::query(
            "SELECT id, dag, status, created_at, COALESCE(finished_at, created_at) AS finished_at FROM runs \
             WHERE status <> 'running' ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(&failed)?;
        rows.iter()
            .map(|row| {
                Ok(EndedRun {
                    id: row.try_get("id").map_err(&failed)?,
                    dag: row.try_get("dag").map_err(&failed)?,
                    status: named(row, "run", "status", RunStatus::from_name)?,
                    finished_at: instant(row, "run", "finished_at")?,
                })
            })
            .collect()
    }

    /// When the oldest run that has not ended was made.
    pub(crate) async fn oldest_unfinished(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query("SELECT created_at FROM runs WHERE status = 'running' ORDER BY id LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(query("find the oldest run that has not ended"))?;
        row.map(|row| instant(&row, "run", "created_at")).transpose()
    }

    /// The ids of all runs.
    pub(crate) async fn run_ids(&self) -> Result<BTreeSet<String>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM runs")
            .fetch_all(&self.pool)
            .await
            .map_err(query("list the ids of runs"))?;
        Ok(ids.into_iter().collect())
    }

    /// Every digest that stands in a row of a run, but for these runs.
    pub(crate) async fn referenced_digests(&self, without: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
        let failed = query("find the blobs that runs refer to");
        let mut found = BTreeSet::new();
        for &statement in REFERRING {
            let mut rows = sqlx::query(statement).fetch(&self.pool);
            while let Some(row) = rows.try_next().await.map_err(&failed)? {
                let run: String = row.try_get("run_id").map_err(&failed)?;
                if without.contains(&run) {
                    continue;
                }
                // Any column may hold outputs one day; numbers hold no digest.
                for column in row.columns() {
                    if let Ok(Some(text)) = row.try_get::<Option<String>, _>(column.ordinal()) {
                        found.extend(digests(text.as_bytes()).map(str::to_owned));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Removes a run that has ended. False if there is none, or it has not.
    pub(crate) async fn remove_run(&self, run: &str) -> Result<bool, StoreError> {
        let failed = query("remove a run");
        let mut transaction = self.begin("remove a run").await?;
        let locked = sqlx::query("UPDATE runs SET version = version + 1 WHERE id = $1 AND status <> 'running'")
            .bind(run)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        if locked.rows_affected() != 1 {
            return Ok(false);
        }
        for statement in PARTS.iter().copied().chain(["DELETE FROM runs WHERE id = $1"]) {
            sqlx::query(statement)
                .bind(run)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use ratchet_database::Address;

    /// A table that a later step of the schema brings must not be forgotten here.
    #[tokio::test]
    async fn every_table_of_a_run_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Address::file(&directory.path().join("engine.sqlite")))
            .await
            .unwrap();
        let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&store.pool)
            .await
            .unwrap();
        let mut parts = 0;
        for table in tables {
            let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                .bind(&table)
                .fetch_all(&store.pool)
                .await
                .unwrap();
            if columns.iter().any(|name| name == "run_id") {
                parts += 1;
                let statement = format!("DELETE FROM {table} WHERE run_id = $1");
                assert!(PARTS.contains(&statement.as_str()), "rows of {table} outlive their run");
            }
            if columns.iter().any(|name| name == "outputs") {
                let statement = format!("SELECT * FROM {table}");
                assert!(
                    REFERRING.contains(&statement.as_str()),
                    "blobs that {table} names would be collected"
                );
            }
        }
        assert_eq!(parts, PARTS.len());
    }
}
