//! Opens the database.

use std::time::Duration;

use ratchet_database::{Address, Database, Layout};
use sqlx::{Any, AnyPool};

use super::transaction::Transaction;
use crate::error::StoreError;

const LAYOUT: Layout = Layout {
    schema: "ratchet_engine",
    lock: 7_237_117_975_334_840_683,
    table: "engine_migrations",
    steps: &[
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
    ],
    // FULL: what was committed survives a power cut, not only the end of this process.
    pragmas: "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
    connections: 8,
    patience: Duration::from_secs(30),
};

/// The metadata database. Cheap to clone. Reading needs no run to be driven, and several processes may share it.
#[derive(Clone)]
pub struct Store {
    pub(super) pool: AnyPool,
    database: Database,
}

impl Store {
    /// Opens the database, migrating it; a file is created.
    pub(crate) async fn open(address: &Address) -> Result<Self, StoreError> {
        let database = Database::open(address, &LAYOUT).await?;
        Ok(Self {
            pool: database.pool.clone(),
            database,
        })
    }

    /// A transaction that may write. What follows in ours is the same on both databases: each locks the run's row before it looks at
    /// anything else of the run, by the statement that also raises the run's version.
    pub(super) async fn begin(&self, action: &'static str) -> Result<Transaction<'static, Any>, StoreError> {
        let begun = self.database.begin().await.map_err(query(action))?;
        Ok(Transaction::new(begun, action))
    }
}

/// Names what was tried.
pub(super) fn query(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { action, source }
}
