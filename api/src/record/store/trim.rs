//! Keeps the log small: the oldest goes first.

use ratchet_database::Kind;

use super::open::{Store, StoreError};

/// What is deleted at once when the log is too large: one part in so many.
const PART: i64 = 20;

impl Store {
    /// Deletes what came before `oldest`, and then the oldest until at most `bytes` are left. How many entries went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trim(&self, oldest: i64, bytes: u64) -> Result<u64, StoreError> {
        let gone = sqlx::query("DELETE FROM entries WHERE at < $1")
            .bind(oldest)
            .execute(&self.pool)
            .await?;
        let mut entries = gone.rows_affected();
        sqlx::query("DELETE FROM truths WHERE at < $1")
            .bind(oldest)
            .execute(&self.pool)
            .await?;
        while self.size().await? > bytes {
            let ends =
                sqlx::query_as::<_, (Option<i64>, Option<i64>)>("SELECT MIN(sequence), MAX(sequence) FROM entries");
            let (Some(first), Some(last)) = ends.fetch_one(&self.pool).await? else {
                break;
            };
            let gone = sqlx::query("DELETE FROM entries WHERE sequence <= $1")
                .bind(first + (last - first) / PART)
                .execute(&self.pool)
                .await?;
            entries += gone.rows_affected();
        }
        Ok(entries)
    }

    /// How many bytes the log takes. Postgres frees what was deleted when it sees fit, so there it is what the entries say of themselves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn size(&self) -> Result<u64, StoreError> {
        let text = match self.kind {
            Kind::Sqlite => {
                "SELECT (p.page_count - f.freelist_count) * s.page_size
                 FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s"
            }
            Kind::Postgres => "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM entries",
        };
        let bytes: i64 = sqlx::query_scalar(text).fetch_one(&self.pool).await?;
        Ok(bytes.unsigned_abs())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_database::Address;

    use super::super::{Filter, NewRow};
    use super::*;

    fn row(number: i64) -> NewRow {
        NewRow {
            id: format!("row-{number}"),
            at: number,
            inputs: Some("x".repeat(1000)),
            ..NewRow::default()
        }
    }

    #[tokio::test]
    async fn the_oldest_goes_by_age_and_by_size_and_the_file_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sqlite");
        let store = Store::open(&Address::file(&path)).await.unwrap();
        let limit = 2_000_000;
        for round in 0..10 {
            let rows: Vec<NewRow> = (round * 1000..(round + 1) * 1000).map(row).collect();
            store.append(&rows).await.unwrap();
            store.trim(100, limit).await.unwrap();
            assert!(store.size().await.unwrap() <= limit);
        }
        let newest = store.entries(&Filter::default(), 1).await.unwrap();
        assert_eq!(newest[0].id, "row-9999", "the newest stays");
        let left = store.entries(&Filter::default(), 10_000).await.unwrap().len();
        assert!((500..2000).contains(&left), "{left}");
        let file = std::fs::metadata(&path).unwrap().len();
        assert!(file < 4_000_000, "what was freed is used again: {file}");
        assert_eq!(store.trim(10_000, limit).await.unwrap(), left as u64);
    }
}
