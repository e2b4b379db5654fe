//! Where the log is kept.

use std::fmt;
use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;

/// Address of a database. Shown without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) url: String,
    shown: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// Begins a transaction that may write: the write lock from the beginning, or the level at which a statement that waited for a row
    /// sees it as it is.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Prepares each new connection. FULL: what a client was told is kept survives a power cut.
    pub(super) fn greeting(self) -> &'static str {
        match self {
            Kind::Sqlite => {
                "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA journal_size_limit = 67108864"
            }
            Kind::Postgres => "SET search_path TO ratchet_api",
        }
    }
}

impl Address {
    /// A file.
    pub fn file(path: &Path) -> Address {
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
        Address {
            url,
            shown: path.display().to_string(),
            kind: Kind::Sqlite,
        }
    }

    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; none for the address of anything else.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn postgres(text: &str) -> Result<Option<Address>, String> {
        let Some((scheme @ ("postgres" | "postgresql"), rest)) = text.split_once("://") else {
            return Ok(None);
        };
        AnyConnectOptions::from_str(text).map_err(|error| {
            format!(
                "RATCHET_DATABASE_URL is no address of Postgres: {error}; write postgres://USER:PASSWORD@HOST/DATABASE"
            )
        })?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // A password may hold a bare @; the host begins after the last.
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        Ok(Some(Address {
            url: text.to_owned(),
            shown: format!("{scheme}://{rest}"),
            kind: Kind::Postgres,
        }))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let address = Address::postgres("postgres://ada:sec@ret@db:5433/ml?password=secret").unwrap();
        assert_eq!(address.unwrap().to_string(), "postgres://db:5433/ml");
        let wrong = Address::postgres("postgres://ada:secret@db:port/ml").unwrap_err();
        assert!(!wrong.contains("secret"), "{wrong}");
        assert_eq!(Address::postgres("sqlite:///x/engine.sqlite"), Ok(None));
    }
}
