//! A transaction that says when it is about to commit and when it has, so that tests can end the process at both.

use std::ops::{Deref, DerefMut};

use ratchet_artifacts::failpoints;
use sqlx::{Any, AnyConnection, Database};

/// A transaction that may write. Dropped without a commit it is rolled back.
pub(super) struct Transaction<'c, DB: Database> {
    inner: sqlx::Transaction<'c, DB>,
    action: &'static str,
}

impl<'c, DB: Database> Transaction<'c, DB> {
    pub(super) fn new(inner: sqlx::Transaction<'c, DB>, action: &'static str) -> Self {
        Self { inner, action }
    }

    /// Makes durable what it did.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        failpoints::before(self.action);
        self.inner.commit().await?;
        failpoints::after(self.action);
        Ok(())
    }

    /// Takes back what it did.
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for Transaction<'_, Any> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Transaction<'_, Any> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
