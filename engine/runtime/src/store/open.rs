//! Opens and migrates the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::StoreError;

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(30);

/// Steps of the schema; number n brings it to version n. Never edited once released. The statements are those that
/// SQLite and Postgres both understand.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_runs.sql"),
    include_str!("migrations/0002_operations.sql"),
];

/// The metadata database. Cheap to clone. Reading needs no run to be driven, and several processes may share it.
#[derive(Clone)]
pub struct Store {
    pub(super) pool: SqlitePool,
}

impl Store {
    /// Opens the database file, creating and migrating it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed survives a power cut, not only the end of this process.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true);
        let failed = |error: sqlx::Error| StoreError::Open {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(failed)?;
        let store = Self { pool };
        store.migrate(path.to_owned()).await?;
        Ok(store)
    }

    async fn migrate(&self, path: PathBuf) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| StoreError::Open {
            path: path.clone(),
            message: error.to_string(),
        };
        // The write lock comes first, so that two processes that start at once migrate one after the other.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS engine_migrations (version BIGINT NOT NULL PRIMARY KEY)")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM engine_migrations")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        let known = MIGRATIONS.len() as i64;
        if found > known {
            return Err(StoreError::Newer { path, found, known });
        }
        for (version, text) in (1..).zip(MIGRATIONS) {
            if version <= found {
                continue;
            }
            sqlx::raw_sql(text).execute(&mut *transaction).await.map_err(failed)?;
            sqlx::query("INSERT INTO engine_migrations (version) VALUES ($1)")
                .bind(version)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// A transaction that holds the write lock from its beginning: one that reads first and then wants to write can
    /// be refused by SQLite at once, whatever the busy timeout.
    pub(super) async fn begin(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(query(action))
    }
}

/// Names what was tried.
pub(super) fn query(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { action, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opening_twice_at_once_migrates_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sqlite");
        let (one, other) = tokio::join!(Store::open(&path), Store::open(&path));
        for store in [one.unwrap(), other.unwrap()] {
            assert!(store.list_runs(None, 10).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sqlite");
        let store = Store::open(&path).await.unwrap();
        sqlx::query("INSERT INTO engine_migrations (version) VALUES (99)")
            .execute(&store.pool)
            .await
            .unwrap();
        let message = Store::open(&path).await.err().unwrap().to_string();
        assert!(message.contains("schema 99, this program knows 2"), "{message}");
    }

    #[tokio::test]
    async fn a_directory_that_is_missing_is_named() {
        let message = Store::open(Path::new("/nonexistent/engine.sqlite"))
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.contains("/nonexistent/engine.sqlite cannot be opened"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn commits_are_durable() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("engine.sqlite")).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&store.pool)
            .await
            .unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
    }
}
