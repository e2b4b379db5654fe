//! Opens and migrates.

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Transaction};

use super::address::{Address, Kind};

/// How long a connection may take to come free.
const PATIENCE: Duration = Duration::from_secs(5);
/// Steps of the schema; number n brings it to version n. Never edited once released. Both databases understand them.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_record.sql"),
    include_str!("migrations/0002_records_and_routes.sql"),
];

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer or refuses.
    #[error("the log's database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The database was written by a newer program.
    #[error(
        "the log's database has schema {found}, this program knows {known}; use the newer ratchet-api that wrote it"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
}

/// The log's database. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    pub(super) kind: Kind,
}

impl Store {
    /// Opens the database, migrating it; a file is created.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(address: &Address) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let kind = address.kind;
        let pool = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(kind.greeting()).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(AnyConnectOptions::from_str(&address.url)?)
            .await?;
        let store = Store { pool, kind };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // A lock comes first, so that replicas that start at once migrate one after the other.
        let mut transaction = self.begin().await?;
        if self.kind == Kind::Postgres {
            sqlx::raw_sql("SELECT pg_advisory_xact_lock(7237117975334840684)")
                .execute(&mut *transaction)
                .await?;
            // Looked for first: `IF NOT EXISTS` asks for the right to create it also where it exists.
            let schemas: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'ratchet_api'")
                .fetch_one(&mut *transaction)
                .await?;
            if schemas == 0 {
                sqlx::raw_sql("CREATE SCHEMA ratchet_api")
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS record_migrations (version BIGINT NOT NULL PRIMARY KEY)")
            .execute(&mut *transaction)
            .await?;
        let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM record_migrations")
            .fetch_one(&mut *transaction)
            .await?;
        let known = MIGRATIONS.len() as i64;
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        for (version, text) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
            sqlx::raw_sql(text).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO record_migrations (version) VALUES ($1)")
                .bind(version)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// A transaction that may write.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.pool.begin_with(self.kind.begin()).await
    }

    /// The first of `count` new numbers of a table. Other writers wait until the transaction ends.
    pub(super) async fn numbers(
        transaction: &mut Transaction<'static, Any>,
        of_table: &str,
        count: i64,
    ) -> Result<i64, sqlx::Error> {
        let last: i64 = sqlx::query_scalar("UPDATE numbers SET last = last + $1 WHERE of_table = $2 RETURNING last")
            .bind(count)
            .bind(of_table)
            .fetch_one(&mut **transaction)
            .await?;
        Ok(last - count + 1)
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
