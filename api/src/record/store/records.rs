//! Rows of record collections, and their changes on the way to the bucket.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::open::{Store, StoreError};
use super::segments::Feed;

/// A row to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its key as one text.
    pub key: String,
    /// The row as JSON.
    pub content: String,
    /// What the feed says of it.
    pub line: String,
}

/// A row that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRecord {
    /// Its key as one text.
    pub key: String,
    /// The row as JSON.
    pub content: String,
    /// When it came, milliseconds since 1970.
    pub at: i64,
    /// Who sent it.
    pub caller: String,
}

/// A row to take away, if it is still this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// Its key as one text.
    pub key: String,
    /// The row as JSON, as it was when it was chosen.
    pub content: String,
    /// What the feed says of it.
    pub line: String,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Their keys were new.
    pub added: u64,
    /// They took the place of others.
    pub replaced: u64,
    /// They stood there like this.
    pub unchanged: u64,
}

impl Store {
    /// Keeps rows, all or none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_records(
        &self,
        collection: &str,
        records: &[NewRecord],
        at: i64,
        caller: &str,
    ) -> Result<Kept, StoreError> {
        let mut transaction = self.begin().await?;
        // Takes the lock that puts all writers in a row, before anything is looked at.
        let mut sequence = Store::numbers(&mut transaction, "records", records.len() as i64).await?;
        let mut kept = Kept::default();
        for record in records {
            let before: Option<String> =
                sqlx::query_scalar("SELECT content FROM records WHERE collection = $1 AND record_key = $2")
                    .bind(collection)
                    .bind(&record.key)
                    .fetch_optional(&mut *transaction)
                    .await?;
            match before {
                Some(before) if before == record.content => {
                    kept.unchanged += 1;
                    continue;
                }
                Some(_) => kept.replaced += 1,
                None => kept.added += 1,
            }
            sqlx::query(
                "INSERT INTO records (collection, record_key, content, at, caller) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (collection, record_key) DO UPDATE SET content = excluded.content, at = excluded.at,
                     caller = excluded.caller",
            )
            .bind(collection)
            .bind(&record.key)
            .bind(&record.content)
            .bind(at)
            .bind(caller)
            .execute(&mut *transaction)
            .await?;
            change(&mut transaction, sequence, collection, at, &record.line).await?;
            sequence += 1;
        }
        feed(&mut transaction, collection).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    /// Takes rows away that are still what they were; how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_records(&self, collection: &str, records: &[DeadRecord], at: i64) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let mut sequence = Store::numbers(&mut transaction, "records", records.len() as i64).await?;
        let mut gone = 0;
        for record in records {
            let deleted = sqlx::query("DELETE FROM records WHERE collection = $1 AND record_key = $2 AND content = $3")
                .bind(collection)
                .bind(&record.key)
                .bind(&record.content)
                .execute(&mut *transaction)
                .await?;
            if deleted.rows_affected() == 1 {
                change(&mut transaction, sequence, collection, at, &record.line).await?;
                sequence += 1;
                gone += 1;
            }
        }
        feed(&mut transaction, collection).await?;
        transaction.commit().await?;
        Ok(gone)
    }

    /// Rows whose keys come after `after`, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn records(&self, collection: &str, after: &str, limit: i64) -> Result<Vec<KeptRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT record_key, content, at, caller FROM records WHERE collection = $1 AND record_key > $2
             ORDER BY record_key LIMIT $3",
        )
        .bind(collection)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &AnyRow| {
            Ok(KeptRecord {
                key: row.try_get(0)?,
                content: row.try_get(1)?,
                at: row.try_get(2)?,
                caller: row.try_get(3)?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many rows each collection has; none where there are none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_counts(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = sqlx::query("SELECT collection, COUNT(*) FROM records GROUP BY collection")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Collections with changes that are not in the bucket yet.
    pub(in crate::record) async fn changed_collections(&self) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar("SELECT DISTINCT collection FROM record_changes ORDER BY collection");
        Ok(names.fetch_all(&self.pool).await?)
    }

    /// Changes of a collection after `from` and up to `until`, in order.
    pub(in crate::record) async fn changes_between(
        &self,
        collection: &str,
        from: i64,
        until: i64,
        limit: i64,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT sequence, line FROM record_changes WHERE collection = $1 AND sequence > $2 AND sequence <= $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(collection)
        .bind(from)
        .bind(until)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Forgets changes of a collection that are in the bucket.
    pub(in crate::record) async fn forget_changes(&self, collection: &str, until: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM record_changes WHERE collection = $1 AND sequence <= $2")
            .bind(collection)
            .bind(until)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

async fn change(
    transaction: &mut Transaction<'static, Any>,
    sequence: i64,
    collection: &str,
    at: i64,
    line: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO record_changes (sequence, collection, at, line) VALUES ($1, $2, $3, $4)")
        .bind(sequence)
        .bind(collection)
        .bind(at)
        .bind(line)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Makes the collection known to those who send.
async fn feed(transaction: &mut Transaction<'static, Any>, collection: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO feeds (feed, sent, leased_until) VALUES ($1, 0, 0) ON CONFLICT (feed) DO NOTHING")
        .bind(Feed::Records(collection.to_owned()).key())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
