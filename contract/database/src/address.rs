//! Where a database is: a file or a Postgres server.

use std::fmt;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;

/// Address of a database. Shown without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What sqlx connects to.
    url: String,
    /// What people read.
    shown: String,
    kind: Kind,
}

/// The two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "RATCHET_DATABASE_URL is no address of a database: {shown}: {message}; write sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
)]
pub struct AddressError {
    shown: String,
    message: String,
}

impl Address {
    /// An SQLite file.
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

    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    ///
    /// # Errors
    /// [`AddressError`], which repeats no part that may be a password.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let invalid = |shown: String, message: String| AddressError { shown, message };
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(invalid(text.to_owned(), "no path follows".to_owned()));
            }
            return Ok(Address::file(&PathBuf::from(path)));
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
        Ok(Address {
            url: text.to_owned(),
            shown: without_password(text),
            kind: Kind::Postgres,
        })
    }

    /// Which database.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What sqlx connects to, the password included.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        AnyConnectOptions::from_str(&self.url)
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
