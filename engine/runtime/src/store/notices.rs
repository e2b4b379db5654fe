//! What somebody has to be told: kept from the transaction in which it happened until it was told.

use ratchet_core::state::TaskState;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row};

use super::open::{Store, query};
use super::read::number;
use super::transaction::Transaction as Sql;
use super::write::to_json;
use crate::error::StoreError;

/// Something that notifications are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The run came to its end.
    RunEnded,
    /// The run takes longer than its deadline.
    RunLate,
    /// The run came to its end, and an MLflow server is named.
    Track,
    /// A task came to its end, and names somebody who wants to know.
    TaskEnded {
        /// Task id.
        task: String,
        /// Succeeded or failed.
        state: TaskState,
    },
}

impl Store {
    /// What nobody was told yet, oldest first.
    pub(crate) async fn notices(&self, run: &str) -> Result<Vec<(i64, Notice)>, StoreError> {
        let rows = sqlx::query("SELECT number, body FROM notices WHERE run_id = $1 ORDER BY number")
            .bind(run)
            .fetch_all(&self.pool)
            .await
            .map_err(query("find what is to be told"))?;
        let read = rows.iter().map(|row| {
            let body: String = row.try_get("body").map_err(query("find what is to be told"))?;
            let notice = serde_json::from_str(&body).map_err(|error| StoreError::Damaged {
                what: "a notice".to_owned(),
                message: error.to_string(),
            })?;
            Ok((number(row, "a notice", "number")?, notice))
        });
        read.collect()
    }

    /// Forgets what was told.
    pub(crate) async fn told(&self, run: &str, number: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM notices WHERE run_id = $1 AND number = $2")
            .bind(run)
            .bind(number)
            .execute(&self.pool)
            .await
            .map_err(query("forget what was told"))?;
        Ok(())
    }
}

/// Keeps notices of the run whose row the transaction holds.
pub(super) async fn add_notices(
    transaction: &mut Sql<'_, Any>,
    run: &str,
    notices: &[Notice],
) -> Result<(), StoreError> {
    for notice in notices {
        sqlx::query(
            "INSERT INTO notices (run_id, number, body) \
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2 FROM notices WHERE run_id = $1",
        )
        .bind(run)
        .bind(to_json(notice)?)
        .execute(&mut **transaction)
        .await
        .map_err(query("keep what is to be told"))?;
    }
    Ok(())
}
