//! Where the metadata is: a file or a Postgres server.

use std::fmt;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;

use crate::error::StoreError;

/// Address of a metadata database. Shown without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What sqlx connects to.
    pub(super) url: String,
    /// What people read.
    shown: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// Begins a transaction. What follows in ours is the same for both: each locks the run's row before it looks at
    /// anything else of the run, by the statement that also raises the run's version.
    pub(super) fn begin(self) -> &'static str {
        match self {
            // The write lock from the beginning: a transaction that reads first and then wants to write can be refused
            // by SQLite at once, whatever the busy timeout.
            Self::Sqlite => "BEGIN IMMEDIATE",
            // A statement that waited for a row's lock sees the row as it is then; said here, because a server's
            // default may be a level that refuses instead.
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Prepares each new connection.
    pub(super) fn greeting(self) -> &'static str {
        match self {
            // FULL: what was committed survives a power cut, not only the end of this process. The timeout comes
            // first, so that it holds for the change of the journal too.
            Self::Sqlite => {
                "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON"
            }
            Self::Postgres => "SET search_path TO ratchet_engine",
        }
    }

    /// How many connections an engine keeps at most.
    pub(super) fn connections(self) -> u32 {
        match self {
            // One writes at a time anyway.
            Self::Sqlite => 4,
            Self::Postgres => 8,
        }
    }

    /// What to do if it cannot be opened.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "check that the directory exists and can be written, or name another one with RATCHET_HOME or \
                 RATCHET_DATABASE_URL"
            }
            Self::Postgres => {
                "check that the server runs, that RATCHET_DATABASE_URL names its address, user, password and \
                 database, and that the user may create a schema in it"
            }
        }
    }
}

impl Address {
    /// An SQLite file.
    pub(crate) fn file(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut url = "sqlite://".to_owned();
        // Everything that means something in an address is written as its number.
        for byte in absolute.as_os_str().as_encoded_bytes() {
            if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
                url.push(char::from(*byte));
            } else {
                let _ = write!(url, "%{byte:02X}");
            }
        }
        url.push_str("?mode=rwc");
        Self {
            url,
            shown: path.display().to_string(),
            kind: Kind::Sqlite,
        }
    }

    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let invalid = |shown: String, message: String| StoreError::Address { shown, message };
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(invalid(text.to_owned(), "no path follows".to_owned()));
            }
            return Ok(Self::file(&PathBuf::from(path)));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            // What is no address may be anything, a password too.
            return Err(invalid(
                scheme.map_or_else(|| "it".to_owned(), |scheme| format!("{scheme}://...")),
                "it begins with neither sqlite:// nor postgres://".to_owned(),
            ));
        }
        AnyConnectOptions::from_str(text).map_err(|error| invalid("postgres://...".to_owned(), error.to_string()))?;
        Ok(Self {
            url: text.to_owned(),
            shown: without_password(text),
            kind: Kind::Postgres,
        })
    }

    pub(super) fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        AnyConnectOptions::from_str(&self.url).map_err(|error| StoreError::Address {
            shown: self.shown.clone(),
            message: error.to_string(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// Scheme, host, port and database: neither the user's part nor the parameters, which may hold a password too.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A password may hold a bare @ and a bare slash; the host begins after the last @.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    format!("{scheme}://{rest}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            (
                "postgres://ada:secret@db.example:5433/ml",
                "postgres://db.example:5433/ml",
            ),
            ("postgresql://ada:sec%40ret@db/ml?sslmode=require", "postgresql://db/ml"),
            ("postgres://db/ml?user=ada&password=secret", "postgres://db/ml"),
            ("postgres://db", "postgres://db"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), shown);
        }
        for url in [
            "mysql://ada:secret@db/ml",
            "secret",
            "postgres://ada:secret@db:port/ml",
            "sqlite://",
        ] {
            let message = Address::parse(url).unwrap_err().to_string();
            assert!(!message.contains("secret"), "{message}");
            assert!(message.contains("RATCHET_DATABASE_URL"), "{message}");
        }
    }

    #[test]
    fn a_file_may_have_any_name() {
        let address = Address::parse("sqlite:///data/50% of ?x=#1.sqlite").unwrap();
        assert_eq!(address.to_string(), "/data/50% of ?x=#1.sqlite");
        assert_eq!(address.url, "sqlite:///data/50%25%20of%20%3Fx%3D%231.sqlite?mode=rwc");
    }
}
