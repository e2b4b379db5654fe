//! Opens the database.

use std::time::Duration;

use ratchet_database::{Address, Database, Kind, Layout, OpenError};
use sqlx::{Any, AnyPool, Transaction};

const LAYOUT: Layout = Layout {
    schema: "ratchet_api",
    lock: 7_237_117_975_334_840_684,
    table: "record_migrations",
    steps: &[
        (1, include_str!("migrations/0001_record.sql")),
        (2, include_str!("migrations/0002_records_and_routes.sql")),
        (3, include_str!("migrations/0003_entries_by_number.sql")),
    ],
    // FULL: feedback and rows of collections that somebody was told are kept survive a power cut.
    pragmas: "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864",
    connections: 4,
    patience: Duration::from_secs(5),
};

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer or refuses.
    #[error("the log's database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// It cannot be opened, or a newer program wrote it.
    #[error("the log's database {0}")]
    Open(#[from] OpenError),
}

/// The log's database. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    pub(super) kind: Kind,
    database: Database,
}

impl Store {
    /// Opens the database, migrating it; a file is created.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(address: &Address) -> Result<Store, StoreError> {
        let database = Database::open(address, &LAYOUT).await?;
        Ok(Store {
            pool: database.pool.clone(),
            kind: database.kind,
            database,
        })
    }

    /// A transaction that may write.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        self.database.begin().await
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
