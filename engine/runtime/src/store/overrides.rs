//! What somebody set beside DAG files.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open::{Store, query};
use super::read::{instant, text};
use crate::error::StoreError;

/// What was set beside a DAG's file. What the document means is the service's business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DagOverrides {
    /// An object.
    pub document: Value,
    /// Since when.
    pub at: Timestamp,
    /// Who set it.
    pub by: String,
}

impl Store {
    /// Sets what stands beside a DAG's file; null takes it away.
    pub async fn set_overrides(&self, dag: &str, document: &Value, actor: &str) -> Result<(), StoreError> {
        const ACTION: &str = "set what stands beside a DAG's file";
        let failed = query(ACTION);
        let mut transaction = self.begin(ACTION).await?;
        let done = if document.is_null() {
            sqlx::query("DELETE FROM overrides WHERE dag = $1")
                .bind(dag)
                .execute(&mut *transaction)
                .await
        } else {
            sqlx::query(
                "INSERT INTO overrides (dag, document, set_at, set_by) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (dag) DO UPDATE SET document = excluded.document, set_at = excluded.set_at,
                     set_by = excluded.set_by",
            )
            .bind(dag)
            .bind(document.to_string())
            .bind(Timestamp::now().to_string())
            .bind(actor)
            .execute(&mut *transaction)
            .await
        };
        done.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// What stands beside the files of all DAGs, by name.
    pub async fn overrides(&self) -> Result<BTreeMap<String, DagOverrides>, StoreError> {
        let rows = sqlx::query("SELECT * FROM overrides ORDER BY dag")
            .fetch_all(&self.pool)
            .await
            .map_err(query("read what stands beside DAG files"))?;
        rows.iter()
            .map(|row| {
                let what = "override";
                let overrides = DagOverrides {
                    // What was written as JSON can be read as such.
                    document: serde_json::from_str(&text(row, what, "document")?).unwrap_or_default(),
                    at: instant(row, what, "set_at")?,
                    by: text(row, what, "set_by")?,
                };
                Ok((text(row, what, "dag")?, overrides))
            })
            .collect()
    }
}
