//! `identity.sqlite`: its layout over time, and the table of users.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;
use crate::user::User;

/// Every layout there was, oldest first. Only ever append.
const MIGRATIONS: [&str; 7] = [
    "CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('user', 'operator', 'admin')),
    password_hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0
) STRICT",
    "CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'operator', 'admin')),
    sha256 TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT",
    // A revoked key stays for the record and gives its name free.
    "CREATE UNIQUE INDEX api_keys_in_use ON api_keys (name) WHERE revoked_at IS NULL",
    "CREATE TABLE audit (
    number INTEGER NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    origin TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT",
    // Seconds since 1970, because texts of instants do not compare.
    "CREATE TABLE refresh_tokens (
    sha256 TEXT NOT NULL PRIMARY KEY,
    family TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    audience TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    revoked INTEGER NOT NULL DEFAULT 0
) STRICT",
    "CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family)",
    // The one service that a key is for; both if there is none.
    "ALTER TABLE api_keys ADD COLUMN audience TEXT",
];

const COLUMNS: &str = "id, username, role, created_at, disabled, password_hash";

/// How long opening goes on against another process that is switching the file to WAL, which SQLite answers with 'locked' at once.
const OPENING_ATTEMPTS: u32 = 50;

/// A user with the hash that only this crate sees.
pub(crate) struct StoredUser {
    pub(crate) user: User,
    pub(crate) password_hash: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) pool: SqlitePool,
}

impl Store {
    pub(crate) async fn open(path: &Path) -> Result<Store, Error> {
        let mut attempt = 1;
        loop {
            match Store::try_open(path).await {
                Err(Error::Database(error)) if is_locked(&error) && attempt < OPENING_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(Error::Database(error)) => {
                    return Err(Error::Open {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    });
                }
                done => return done,
            }
        }
    }

    async fn try_open(path: &Path) -> Result<Store, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await?;
        let store = Store { pool };
        store.migrate(path).await?;
        Ok(store)
    }

    async fn migrate(&self, path: &Path) -> Result<(), Error> {
        let mut transaction = self.write().await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS identity_layout (version INTEGER NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL) STRICT")
            .execute(&mut *transaction)
            .await?;
        let found: i64 = sqlx::query("SELECT coalesce(max(version), 0) FROM identity_layout")
            .fetch_one(&mut *transaction)
            .await?
            .try_get(0)?;
        let known = MIGRATIONS.len() as i64;
        if found > known {
            return Err(Error::Newer {
                path: PathBuf::from(path),
                found,
                known,
            });
        }
        for (version, migration) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
            sqlx::query(migration).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO identity_layout (version, applied_at) VALUES ($1, $2)")
                .bind(version)
                .bind(Timestamp::now().to_string())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// A transaction that takes the write lock before it reads: one that upgrades later fails at once against another writer.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(crate) async fn insert(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
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
        .bind(user.disabled)
        .execute(&mut **transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            Err(Error::Exists(user.username.clone()))
        } else {
            Ok(())
        }
    }

    pub(crate) async fn has_admin(&self, transaction: &mut Transaction<'static, Sqlite>) -> Result<bool, Error> {
        let row = sqlx::query("SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled = 0)")
            .fetch_one(&mut **transaction)
            .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    pub(crate) async fn remove(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
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
        transaction: &mut Transaction<'static, Sqlite>,
        username: &str,
        disabled: bool,
    ) -> Result<(), Error> {
        let changed = sqlx::query("UPDATE users SET disabled = $1 WHERE username = $2")
            .bind(disabled)
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

fn read(row: &SqliteRow) -> Result<StoredUser, Error> {
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
        disabled: row.try_get("disabled")?,
        username: username.clone(),
    };
    Ok(StoredUser {
        user,
        password_hash: row.try_get("password_hash")?,
    })
}

fn is_locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY is 5, SQLITE_LOCKED is 6; extended codes keep them in the low byte.
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
