//! What can go wrong, in words that fit after "failed to ...".

use std::path::PathBuf;
use std::time::Duration;

/// A problem with a user, a password, a token or the place they are kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database of users cannot be opened, or a newer Ratchet wrote it.
    #[error("the users' database {0}")]
    Open(#[from] ratchet_database::OpenError),
    /// The address of the database is none.
    #[error(transparent)]
    Address(#[from] ratchet_database::AddressError),
    /// The home directory cannot be made.
    #[error("cannot make the home directory {path}: {reason}; name another with RATCHET_HOME")]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A statement on the database failed.
    #[error("the users' database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The database holds something that this crate never writes.
    #[error("the users' database holds an unreadable {what} for user {username:?}; remove the user and add it again")]
    Damaged {
        /// The unreadable column.
        what: &'static str,
        /// Whose row it is.
        username: String,
    },
    /// The username does not follow the rules.
    #[error(
        "username {0:?} is not usable: write 1 to 64 letters, digits or . - _ @ +, and begin with a letter or digit"
    )]
    Username(String),
    /// The password does not follow the rules.
    #[error("the password is not usable: {0}")]
    PasswordRule(&'static str),
    /// The username is taken.
    #[error("user {0:?} exists already; choose another name, or remove the user first")]
    Exists(String),
    /// No user has this name.
    #[error("there is no user {0:?}")]
    Unknown(String),
    /// Wrong name or wrong password; which of them is not said.
    #[error("the username or the password is wrong")]
    WrongCredentials,
    /// Too many wrong passwords for this name.
    #[error("too many wrong passwords for this username; try again in {} s", retry_after.as_secs())]
    Throttled {
        /// Time until the next attempt is looked at, in whole seconds, at least one.
        retry_after: Duration,
    },
    /// The name of a key does not follow the rules.
    #[error(
        "key name {0:?} is not usable: write 1 to 64 letters, digits or . - _ @ +, and begin with a letter or digit"
    )]
    KeyName(String),
    /// A key of this name is in use.
    #[error("key {0:?} exists already; choose another name, or revoke the key first")]
    KeyExists(String),
    /// No key of this name is in use.
    #[error("there is no key {0:?} that is in use")]
    KeyUnknown(String),
    /// The lifetime of a key is out of bounds.
    #[error("a key cannot last {0} days; give 1 to {longest}", longest = crate::api_key::LONGEST_DAYS)]
    KeyLifetime(u32),
    /// The audit log holds something that this crate never writes.
    #[error("entry {0} of the audit log cannot be read; restore the users' database from a copy")]
    AuditDamaged(i64),
    /// The token is not one of ours, has expired, or its user is gone.
    #[error("the token is not valid: {0}")]
    Token(&'static str),
    /// `RATCHET_JWT_SECRET` is too short to sign with.
    #[error("RATCHET_JWT_SECRET has {0} bytes; give at least 32 (for example the output of `openssl rand -hex 32`)")]
    SecretTooShort(usize),
    /// `RATCHET_JWT_ALGORITHM` is none that tokens are signed with.
    #[error("RATCHET_JWT_ALGORITHM is {0:?}; set it to HS256 or EdDSA")]
    Algorithm(String),
    /// The file with the signing secret cannot be read or written.
    #[error(
        "cannot use the signing secret {path}: {reason}; repair its permissions, remove it to get a new one (all tokens end), or set RATCHET_JWT_SECRET"
    )]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something in this crate or below it is broken.
    #[error("{0}; this is a bug")]
    Internal(String),
}
