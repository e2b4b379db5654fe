//! Opens and migrates the database.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection};

use super::address::{Address, Kind};
use super::transaction::Transaction;
use crate::error::StoreError;

/// How long a server may take to answer the first time, and a connection to come free later.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for SQLite, where a writer waits for others.
const BUSY: Duration = Duration::from_secs(30);

/// Steps of the schema by number, ascending; numbers may be left out. Never edited once released. The statements are
/// those that SQLite and Postgres both understand.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("migrations/0001_runs.sql")),
    (2, include_str!("migrations/0002_operations.sql")),
    (3, include_str!("migrations/0003_notices.sql")),
    (4, include_str!("migrations/0004_cache.sql")),
    (5, include_str!("migrations/0005_runs_within_runs.sql")),
    (10, include_str!("migrations/0010_instances.sql")),
    (11, include_str!("migrations/0011_pools.sql")),
    (12, include_str!("migrations/0012_approvals.sql")),
    (20, include_str!("migrations/0020_pauses.sql")),
    (21, include_str!("migrations/0021_backfills.sql")),
    (22, include_str!("migrations/0022_triggers.sql")),
    (23, include_str!("migrations/0023_deadlines.sql")),
    (25, include_str!("migrations/0025_overrides.sql")),
];

/// The metadata database. Cheap to clone. Reading needs no run to be driven, and several processes may share it.
#[derive(Clone)]
pub struct Store {
    pub(super) pool: AnyPool,
    kind: Kind,
}

impl Store {
    /// Opens the database, migrating it; a file is created.
    pub(crate) async fn open(address: &Address) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let kind = address.kind;
        let failed = |error: sqlx::Error| opening(address, &error.to_string());
        let options = address.options()?;
        if kind == Kind::Postgres {
            // A pool would try again until its patience ends, and then not say what was wrong.
            let connection = tokio::time::timeout(PATIENCE, AnyConnection::connect_with(&options))
                .await
                .map_err(|_| opening(address, &format!("no answer within {} s", PATIENCE.as_secs())))?;
            connection.map_err(failed)?.close().await.map_err(failed)?;
        }
        let pool = AnyPoolOptions::new()
            .max_connections(kind.connections())
            .acquire_timeout(if kind == Kind::Sqlite { BUSY } else { PATIENCE })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(kind.greeting()).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(failed)?;
        let store = Self { pool, kind };
        store.migrate(address).await?;
        Ok(store)
    }

    async fn migrate(&self, address: &Address) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| opening(address, &error.to_string());
        // A lock comes first, so that two processes that start at once migrate one after the other: on SQLite that of
        // the transaction, on Postgres one with a number that nobody else takes.
        let begun = self.pool.begin_with(self.kind.begin()).await.map_err(failed)?;
        let mut transaction = Transaction::new(begun, "migrate the database");
        if self.kind == Kind::Postgres {
            sqlx::raw_sql("SELECT pg_advisory_xact_lock(7237117975334840683)")
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            // Looked for first: `IF NOT EXISTS` asks for the right to create it also where it exists.
            let schemas: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'ratchet_engine'")
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
            if schemas == 0 {
                sqlx::raw_sql("CREATE SCHEMA ratchet_engine")
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed)?;
            }
        }
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS engine_migrations (version BIGINT NOT NULL PRIMARY KEY)")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let done: Vec<i64> = sqlx::query_scalar("SELECT version FROM engine_migrations ORDER BY version")
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        if let Some(found) = done.last().copied().filter(|found| *found > known) {
            return Err(StoreError::Newer {
                database: address.to_string(),
                found,
                known,
            });
        }
        for &(version, text) in MIGRATIONS {
            if done.contains(&version) {
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

    /// A transaction that may write.
    pub(super) async fn begin(&self, action: &'static str) -> Result<Transaction<'static, Any>, StoreError> {
        let begun = self.pool.begin_with(self.kind.begin()).await.map_err(query(action))?;
        Ok(Transaction::new(begun, action))
    }
}

fn opening(address: &Address, message: &str) -> StoreError {
    StoreError::Open {
        database: address.to_string(),
        message: message.to_owned(),
        remedy: address.kind.remedy(),
    }
}

/// Names what was tried.
pub(super) fn query(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { action, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    async fn open(path: &Path) -> Result<Store, StoreError> {
        Store::open(&Address::file(path)).await
    }

    #[tokio::test]
    async fn opening_twice_at_once_migrates_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sqlite");
        let (one, other) = tokio::join!(open(&path), open(&path));
        for store in [one.unwrap(), other.unwrap()] {
            assert!(store.list_runs(None, 10).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sqlite");
        let store = open(&path).await.unwrap();
        sqlx::query("INSERT INTO engine_migrations (version) VALUES (99)")
            .execute(&store.pool)
            .await
            .unwrap();
        let message = open(&path).await.err().unwrap().to_string();
        let known = MIGRATIONS.last().unwrap().0;
        let expected = format!("schema 99, this program knows {known}");
        assert!(message.contains(&expected), "{message}");
    }

    #[tokio::test]
    async fn a_directory_that_is_missing_is_named() {
        let message = open(Path::new("/nonexistent/engine.sqlite"))
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
        let store = open(&directory.path().join("engine.sqlite")).await.unwrap();
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
