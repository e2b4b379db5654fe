//! Connects and brings the tables up to date.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction};

use crate::address::{Address, Kind};

/// How often opening goes on against another process that is switching the file to WAL, which SQLite answers with 'locked' at once.
const OPENING_ATTEMPTS: u32 = 50;

/// How long a server may take to answer the first time.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The tables of one owner, and how they are used.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Name of the schema in Postgres. A file needs none: it has one owner.
    pub schema: &'static str,
    /// Number of the lock under which Postgres is migrated, and that nobody else takes.
    pub lock: i64,
    /// Table that says which steps were taken.
    pub table: &'static str,
    /// Steps by number, ascending; numbers may be left out. Never edited once released. Both databases understand them, or are told
    /// apart in nothing but `STRICT` and `INTEGER`, which Postgres gets as nothing and `BIGINT`.
    pub steps: &'static [(i64, &'static str)],
    /// What each connection to a file says besides the journal.
    pub pragmas: &'static str,
    /// Connections to a server at most; a file has four, because one writes at a time anyway.
    pub connections: u32,
    /// How long a connection may take to come free, and a lock of a file to be given.
    pub patience: Duration,
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not answer, or refuses.
    #[error("{database} cannot be opened: {message}; {remedy}")]
    Open {
        /// Its address, without the password.
        database: String,
        /// What it said.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A newer program wrote it.
    #[error("{database} has schema {found}, this program knows {known}; use the newer Ratchet that wrote it")]
    Newer {
        /// Its address, without the password.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
}

/// An open database. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its connections.
    pub pool: AnyPool,
    /// Which one it is.
    pub kind: Kind,
}

impl Database {
    /// Opens a database and migrates it; a file is created.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(address: &Address, layout: &Layout) -> Result<Database, OpenError> {
        let mut attempt = 1;
        loop {
            match Database::try_open(address, layout).await {
                Err(Failure::Database(error)) if is_locked(&error) && attempt < OPENING_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(Failure::Database(error)) => return Err(opening(address, error.to_string())),
                Err(Failure::Said(error)) => return Err(error),
                Ok(database) => return Ok(database),
            }
        }
    }

    async fn try_open(address: &Address, layout: &Layout) -> Result<Database, Failure> {
        sqlx::any::install_default_drivers();
        let kind = address.kind();
        let options = address.options()?;
        if kind == Kind::Postgres {
            // A pool would try again until its patience ends, and then not say what was wrong.
            let connection = tokio::time::timeout(FIRST_ANSWER, AnyConnection::connect_with(&options)).await;
            let connection = connection.map_err(|_| {
                let message = format!("no answer within {} s", FIRST_ANSWER.as_secs());
                Failure::Said(opening(address, message))
            })?;
            connection?.close().await?;
        }
        let greeting = match kind {
            // The timeout comes first, so that it holds for the change of the journal too.
            Kind::Sqlite => format!(
                "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; {}",
                layout.patience.as_millis(),
                layout.pragmas
            ),
            Kind::Postgres => format!("SET search_path TO {}", layout.schema),
        };
        let pool = AnyPoolOptions::new()
            .max_connections(if kind == Kind::Sqlite { 4 } else { layout.connections })
            .acquire_timeout(layout.patience)
            .after_connect(move |connection, _| {
                let greeting = sqlx::AssertSqlSafe(greeting.clone());
                Box::pin(async move {
                    sqlx::raw_sql(greeting).execute(connection).await?;
                    Ok(())
                })
            })
            // A full disk ends a transaction by itself; the connection goes on counting it and would begin no other.
            .before_acquire(|connection, _| {
                let free = !connection.is_in_transaction();
                Box::pin(async move { Ok(free) })
            })
            .connect_with(options)
            .await?;
        let database = Database { pool, kind };
        database.migrate(address, layout).await?;
        Ok(database)
    }

    async fn migrate(&self, address: &Address, layout: &Layout) -> Result<(), Failure> {
        let Layout { schema, table, .. } = layout;
        // A lock comes first, so that two processes that start at once migrate one after the other: on SQLite that of the
        // transaction, on Postgres one with a number that nobody else takes.
        let mut transaction = self.begin().await?;
        if self.kind == Kind::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(layout.lock)
                .execute(&mut *transaction)
                .await?;
            // Looked for first: `IF NOT EXISTS` asks for the right to create it also where it exists.
            let schemas: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_namespace WHERE nspname = $1")
                .bind(*schema)
                .fetch_one(&mut *transaction)
                .await?;
            if schemas == 0 {
                self.say(&mut transaction, format!("CREATE SCHEMA {schema}")).await?;
            }
        }
        let made = format!("CREATE TABLE IF NOT EXISTS {table} (version BIGINT NOT NULL PRIMARY KEY)");
        self.say(&mut transaction, made).await?;
        let text = sqlx::AssertSqlSafe(format!("SELECT version FROM {table} ORDER BY version"));
        let done: Vec<i64> = sqlx::query_scalar(text).fetch_all(&mut *transaction).await?;
        let known = layout.steps.last().map_or(0, |(version, _)| *version);
        if let Some(found) = done.last().copied().filter(|found| *found > known) {
            return Err(Failure::Said(OpenError::Newer {
                database: address.to_string(),
                found,
                known,
            }));
        }
        for &(version, text) in layout.steps.iter().filter(|(version, _)| !done.contains(version)) {
            let text = match self.kind {
                Kind::Sqlite => text.to_owned(),
                Kind::Postgres => text.replace(" STRICT", "").replace(" INTEGER", " BIGINT"),
            };
            self.say(&mut transaction, text).await?;
            sqlx::query(sqlx::AssertSqlSafe(format!(
                "INSERT INTO {table} (version) VALUES ($1)"
            )))
            .bind(version)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn say(&self, transaction: &mut Transaction<'static, Any>, text: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    /// A transaction that may write: on a file with the write lock from the beginning, because one that reads first and then wants to
    /// write can be refused at once, whatever the timeout; on a server at the level at which a statement that waited for a row's lock
    /// sees the row as it is then, said here because the server's default may be one that refuses instead.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let statement = match self.kind {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        self.pool.begin_with(statement).await
    }
}

enum Failure {
    Database(sqlx::Error),
    Said(OpenError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Database(error)
    }
}

fn opening(address: &Address, message: String) -> OpenError {
    OpenError::Open {
        database: address.to_string(),
        message,
        remedy: match address.kind() {
            Kind::Sqlite => {
                "check that the directory exists and can be written, or name another one with RATCHET_HOME or \
                 RATCHET_DATABASE_URL"
            }
            Kind::Postgres => {
                "check that the server runs, that RATCHET_DATABASE_URL names its address, user, password and \
                 database, and that the user may create a schema in it"
            }
        },
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY is 5, SQLITE_LOCKED is 6; extended codes keep them in the low byte.
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    const NOTES: Layout = Layout {
        schema: "notes",
        lock: 1,
        table: "notes_layout",
        steps: &[
            (1, "CREATE TABLE notes (text TEXT NOT NULL) STRICT"),
            (5, "CREATE TABLE counts (n INTEGER NOT NULL) STRICT"),
        ],
        pragmas: "PRAGMA synchronous = FULL",
        connections: 4,
        patience: Duration::from_secs(10),
    };

    async fn open(path: &Path) -> Result<Database, OpenError> {
        Database::open(&Address::file(path), &NOTES).await
    }

    #[tokio::test]
    async fn opening_many_times_at_once_migrates_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.sqlite");
        let opened = tokio::join!(open(&path), open(&path), open(&path), open(&path));
        for database in [opened.0, opened.1, opened.2, opened.3] {
            let steps: Vec<i64> = sqlx::query_scalar("SELECT version FROM notes_layout ORDER BY version")
                .fetch_all(&database.unwrap().pool)
                .await
                .unwrap();
            assert_eq!(steps, [1, 5]);
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.sqlite");
        let database = open(&path).await.unwrap();
        sqlx::query("INSERT INTO notes_layout (version) VALUES (99)")
            .execute(&database.pool)
            .await
            .unwrap();
        let message = open(&path).await.err().unwrap().to_string();
        assert!(message.contains("schema 99, this program knows 5"), "{message}");
    }

    #[tokio::test]
    async fn a_directory_that_is_missing_is_named() {
        let missing = Path::new("/nonexistent/notes.sqlite");
        let message = open(missing).await.err().unwrap().to_string();
        assert!(
            message.contains("/nonexistent/notes.sqlite cannot be opened") && message.contains("RATCHET_HOME"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn commits_are_as_durable_as_the_owner_says() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory.path().join("notes.sqlite")).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
    }
}
