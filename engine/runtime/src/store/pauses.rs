//! Which DAGs start nothing by themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::open::{Store, query};
use super::read::{instant, text};
use crate::error::StoreError;

/// A DAG that starts nothing by itself: no tick, no trigger. Whoever asks for a run gets one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// Who paused it.
    pub by: String,
}

impl Store {
    /// Pauses a DAG. False if it was paused already: the first pause stays.
    pub async fn pause(&self, dag: &str, actor: &str) -> Result<bool, StoreError> {
        let failed = query("pause a DAG");
        let mut transaction = self.begin("pause a DAG").await?;
        let paused = sqlx::query(
            "INSERT INTO pauses (dag, paused_at, paused_by) VALUES ($1, $2, $3) ON CONFLICT (dag) DO NOTHING",
        )
        .bind(dag)
        .bind(Timestamp::now().to_string())
        .bind(actor)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(paused.rows_affected() == 1)
    }

    /// Ends the pause of a DAG and those that its triggers took by themselves. False if there was none.
    pub async fn unpause(&self, dag: &str) -> Result<bool, StoreError> {
        let failed = query("end the pause of a DAG");
        let mut transaction = self.begin("end the pause of a DAG").await?;
        let ended = sqlx::query("DELETE FROM pauses WHERE dag = $1")
            .bind(dag)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        let triggers = sqlx::query(
            "UPDATE triggers SET paused_at = NULL, paused_reason = NULL, fruitless = 0 \
             WHERE dag = $1 AND (paused_at IS NOT NULL OR fruitless > 0)",
        )
        .bind(dag)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(ended.rows_affected() == 1 || triggers.rows_affected() > 0)
    }

    /// All paused DAGs by name.
    pub async fn pauses(&self) -> Result<BTreeMap<String, Pause>, StoreError> {
        let rows = sqlx::query("SELECT * FROM pauses ORDER BY dag")
            .fetch_all(&self.pool)
            .await
            .map_err(query("read which DAGs are paused"))?;
        rows.iter()
            .map(|row| {
                let what = "pause";
                let pause = Pause {
                    at: instant(row, what, "paused_at")?,
                    by: text(row, what, "paused_by")?,
                };
                Ok((text(row, what, "dag")?, pause))
            })
            .collect()
    }
}
