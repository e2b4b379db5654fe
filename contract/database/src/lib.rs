//! Where rows are kept: a file of SQLite by default, a schema of its own in a Postgres by address.
//!
//! Each owner of tables describes them once, in statements that both databases understand, as a [`Layout`];
//! [`Database::open`] connects, brings the tables up to date under a lock, and refuses what a newer program wrote.
//! Both are reached by one kind of connection, so that an owner has one code for both.
//!
//! ```
//! # async fn story(home: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! use ratchet_database::{Address, Database, Layout};
//!
//! const NOTES: Layout = Layout {
//!     schema: "notes",
//!     lock: 4711,
//!     table: "notes_layout",
//!     steps: &[(1, "CREATE TABLE notes (text TEXT NOT NULL)")],
//!     pragmas: "PRAGMA synchronous = FULL",
//!     connections: 8,
//!     patience: std::time::Duration::from_secs(10),
//! };
//! let database = Database::open(&Address::file(&home.join("notes.sqlite")), &NOTES).await?;
//! let mut transaction = database.begin().await?;
//! sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind("kept").execute(&mut *transaction).await?;
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod open;
#[cfg(feature = "test-server")]
#[expect(clippy::unwrap_used, clippy::panic, reason = "for tests")]
pub mod test_server;

pub use address::{Address, AddressError, Kind};
pub use open::{Database, Layout, OpenError};
