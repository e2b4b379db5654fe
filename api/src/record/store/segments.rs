//! How far the log has gone to the bucket.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::open::{Store, StoreError};
use super::read::{LOGGED, LoggedEntry, read};

/// What goes to the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) enum Feed {
    Entries,
    Truths,
    /// The changes of a record collection.
    Records(String),
}

impl Feed {
    /// Under which it stands in the table of feeds.
    pub(super) fn key(&self) -> String {
        match self {
            Feed::Entries => "entries".to_owned(),
            Feed::Truths => "truths".to_owned(),
            Feed::Records(collection) => format!("records:{collection}"),
        }
    }

    /// Its directory in the bucket.
    pub(in crate::record) fn collection(&self) -> &str {
        match self {
            Feed::Entries => "predictions",
            Feed::Truths => "feedback",
            Feed::Records(collection) => collection,
        }
    }
}

/// The right to send, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) struct Claim {
    /// The last number that is in the bucket.
    pub(in crate::record) sent: i64,
    /// The last number of the segment that was begun, and its path.
    pub(in crate::record) sending: Option<(i64, String)>,
}

/// What is not in the bucket yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::record) struct Unfed {
    /// Rows, counted as far as one segment goes.
    pub(in crate::record) rows: i64,
    /// When the oldest came, milliseconds since 1970.
    pub(in crate::record) oldest: i64,
}

/// Rows of a segment at most.
pub(in crate::record) const SEGMENT_ROWS: i64 = 10_000;

/// A truth on its way to the bucket.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::record) struct ToldTruth {
    pub(in crate::record) sequence: i64,
    pub(in crate::record) prediction: String,
    pub(in crate::record) truth: f64,
    pub(in crate::record) at: i64,
    pub(in crate::record) caller: String,
    pub(in crate::record) model: Option<String>,
    pub(in crate::record) version: Option<i64>,
}

impl Store {
    /// The right to send a feed until `until`, if nobody else has it.
    pub(in crate::record) async fn claim(
        &self,
        feed: &Feed,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<Option<Claim>, StoreError> {
        let row = sqlx::query(
            "UPDATE feeds SET owner = $1, leased_until = $2
             WHERE feed = $3 AND (owner = $1 OR owner IS NULL OR leased_until < $4)
             RETURNING sent, sending, sending_path",
        )
        .bind(owner)
        .bind(until)
        .bind(feed.key())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sending: (Option<i64>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Some(Claim {
            sent: row.try_get(0)?,
            sending: sending.0.zip(sending.1),
        }))
    }

    /// Leaves the feed to the next who asks.
    pub(in crate::record) async fn release(&self, feed: &Feed, owner: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE feeds SET owner = NULL, leased_until = 0 WHERE feed = $1 AND owner = $2")
            .bind(feed.key())
            .bind(owner)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What came after number `sent`.
    pub(in crate::record) async fn unfed(&self, feed: &Feed, sent: i64) -> Result<Unfed, StoreError> {
        // However much waits, no more than a segment of it is gone through.
        let (table, more) = match feed {
            Feed::Entries => ("entries", ""),
            Feed::Truths => ("truths", ""),
            Feed::Records(_) => ("record_changes", " AND collection = $2"),
        };
        let text = format!(
            "SELECT (SELECT COUNT(*) FROM (SELECT sequence FROM {table} WHERE sequence > $1{more} LIMIT {SEGMENT_ROWS}) AS waiting),
                    (SELECT at FROM {table} WHERE sequence > $1{more} ORDER BY sequence LIMIT 1)"
        );
        let query = sqlx::query(AssertSqlSafe(text)).bind(sent);
        let query = match feed {
            Feed::Records(collection) => query.bind(collection),
            Feed::Entries | Feed::Truths => query,
        };
        let row = query.fetch_one(&self.pool).await?;
        Ok(Unfed {
            rows: row.try_get(0)?,
            oldest: row.try_get::<Option<i64>, _>(1)?.unwrap_or_default(),
        })
    }

    /// Writes down which segment is about to be sent, or (none) that the last one arrived and all up to `last` is in the bucket.
    pub(in crate::record) async fn sending(
        &self,
        feed: &Feed,
        owner: &str,
        last: i64,
        path: Option<&str>,
    ) -> Result<bool, StoreError> {
        let text = match path {
            Some(_) => "UPDATE feeds SET sending = $1, sending_path = $2 WHERE feed = $3 AND owner = $4",
            None => "UPDATE feeds SET sent = $1, sending = NULL, sending_path = $2 WHERE feed = $3 AND owner = $4",
        };
        let changed = sqlx::query(text)
            .bind(last)
            .bind(path)
            .bind(feed.key())
            .bind(owner)
            .execute(&self.pool)
            .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Entries after `from` and up to `until`, in order.
    pub(in crate::record) async fn entries_between(
        &self,
        from: i64,
        until: i64,
        limit: i64,
    ) -> Result<Vec<LoggedEntry>, StoreError> {
        let text = format!(
            "SELECT {LOGGED}, CAST(NULL AS DOUBLE PRECISION) FROM entries e
             WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(from)
            .bind(until)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Truths after `from` and up to `until`, in order.
    pub(in crate::record) async fn truths_between(
        &self,
        from: i64,
        until: i64,
        limit: i64,
    ) -> Result<Vec<ToldTruth>, StoreError> {
        let rows = sqlx::query(
            "SELECT t.sequence, t.prediction, t.truth, t.at, t.caller, e.model, e.version FROM truths t
             LEFT JOIN entries e ON e.id = t.prediction
             WHERE t.sequence > $1 AND t.sequence <= $2 ORDER BY t.sequence LIMIT $3",
        )
        .bind(from)
        .bind(until)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &AnyRow| {
            Ok(ToldTruth {
                sequence: row.try_get(0)?,
                prediction: row.try_get(1)?,
                truth: row.try_get(2)?,
                at: row.try_get(3)?,
                caller: row.try_get(4)?,
                model: row.try_get(5)?,
                version: row.try_get(6)?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}
