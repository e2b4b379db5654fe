//! The database of users: its layout, and the table of users.

use std::time::Duration;

use ratchet_database::{Address, Database, Kind, Layout};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Row, Transaction};
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::user::User;

const LAYOUT: Layout = Layout {
    schema: "ratchet_identity",
    lock: 7_237_117_975_334_840_685,
    table: "identity_migrations",
    steps: &[(1, include_str!("layout.sql"))],
    pragmas: "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
    connections: 4,
    patience: Duration::from_secs(10),
};
/// Writers in Postgres take turns by this lock, as they do at a file.
const WRITING: i64 = 7_237_117_975_334_840_686;

const COLUMNS: &str = "id, username, role, created_at, disabled, password_hash";

/// A user with the hash that only this crate sees.
pub(crate) struct StoredUser {
    pub(crate) user: User,
    pub(crate) password_hash: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) pool: AnyPool,
    database: Database,
}

impl Store {
    pub(crate) async fn open(address: &Address) -> Result<Store, Error> {
        let database = Database::open(address, &LAYOUT).await?;
        Ok(Store {
            pool: database.pool.clone(),
            database,
        })
    }

    /// A transaction that no other writer is beside.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Any>, Error> {
        let mut transaction = self.database.begin().await?;
        if self.database.kind == Kind::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(WRITING)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction)
    }

    pub(crate) async fn insert(
        &self,
        transaction: &mut Transaction<'static, Any>,
        stored: &StoredUser,
    ) -> Result<(), Error> {
        let user = &stored.user;
        let inserted = sqlx::query(
            "INSERT INTO users (id, username, role, password_hash, created_at, disabled) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (username) DO NOTHING",
        )
        .bind(user.id.to_string())
        .bind(&user.username)
        .bind(user.role.as_str())
        .bind(&stored.password_hash)
        .bind(user.created_at.to_string())
        .bind(i64::from(user.disabled))
        .execute(&mut **transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            Err(Error::Exists(user.username.clone()))
        } else {
            Ok(())
        }
    }

    pub(crate) async fn has_admin(&self, transaction: &mut Transaction<'static, Any>) -> Result<bool, Error> {
        let row = sqlx::query("SELECT COUNT(*) FROM users WHERE role = 'admin' AND disabled = 0")
            .fetch_one(&mut **transaction)
            .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    pub(crate) async fn remove(
        &self,
        transaction: &mut Transaction<'static, Any>,
        username: &str,
    ) -> Result<(), Error> {
        let removed = sqlx::query("DELETE FROM users WHERE username = $1")
            .bind(username)
            .execute(&mut **transaction)
            .await?;
        if removed.rows_affected() == 0 {
            Err(Error::Unknown(username.to_owned()))
        } else {
            Ok(())
        }
    }

    pub(crate) async fn set_disabled(
        &self,
        transaction: &mut Transaction<'static, Any>,
        username: &str,
        disabled: bool,
    ) -> Result<(), Error> {
        let changed = sqlx::query("UPDATE users SET disabled = $1 WHERE username = $2")
            .bind(i64::from(disabled))
            .bind(username)
            .execute(&mut **transaction)
            .await?;
        if changed.rows_affected() == 0 {
            Err(Error::Unknown(username.to_owned()))
        } else {
            Ok(())
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<User>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM users ORDER BY username"
        )))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(read(row)?.user)).collect()
    }

    pub(crate) async fn by_username(&self, username: &str) -> Result<Option<StoredUser>, Error> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM users WHERE username = $1"
        )))
        .bind(username)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    pub(crate) async fn by_id(&self, id: Uuid) -> Result<Option<User>, Error> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM users WHERE id = $1"
        )))
        .bind(id.to_string())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(|row| Ok(read(row)?.user)).transpose()
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

fn read(row: &AnyRow) -> Result<StoredUser, Error> {
    let username: String = row.try_get("username")?;
    let damaged = |what: &'static str| Error::Damaged {
        what,
        username: username.clone(),
    };
    let user = User {
        id: row.try_get::<String, _>("id")?.parse().map_err(|_| damaged("id"))?,
        role: row
            .try_get::<String, _>("role")?
            .parse::<Role>()
            .map_err(|_| damaged("role"))?,
        created_at: row
            .try_get::<String, _>("created_at")?
            .parse()
            .map_err(|_| damaged("creation time"))?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        username: username.clone(),
    };
    Ok(StoredUser {
        user,
        password_hash: row.try_get("password_hash")?,
    })
}
