//! How a command fails: what a person reads, and the exit status.

use std::process::ExitCode;

use ratchet_artifacts::collections::CollectionError;
use ratchet_artifacts::{BucketError, PromotionError};
use ratchet_runtime::{EngineError, PromoteError, StoreError};

use crate::display::output;

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The run failed.
    Failed = 1,
    /// What was asked for is wrong.
    Input = 2,
    /// A service or a store could not be reached.
    Service = 3,
}

/// A command that came to nothing.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: Option<String>,
    help: Option<String>,
}

impl Failure {
    /// What was asked for is wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Status::Input, message)
    }

    /// A service or a store could not be reached.
    pub fn service(message: impl Into<String>) -> Self {
        Self::new(Status::Service, message)
    }

    /// Something was run and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    /// Everything was said already; only the status is left.
    pub fn reported(status: Status) -> Self {
        Self {
            status,
            message: None,
            help: None,
        }
    }

    /// Errors of the libraries end with their remedy behind a semicolon: it becomes the help line.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let message = message.into();
        let (message, help) = match message.rsplit_once("; ") {
            Some((message, help)) if !help.contains('\n') => (message.to_owned(), Some(help.to_owned())),
            _ => (message, None),
        };
        Self {
            status,
            message: Some(message),
            help,
        }
    }

    /// Sets the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        if let (Some(message), Some(tail)) = (&mut self.message, self.help.take()) {
            message.push_str("; ");
            message.push_str(&tail);
        }
        self.help = Some(help.into());
        self
    }

    /// Prints it and gives the exit status.
    pub fn report(self) -> ExitCode {
        if let Some(message) = self.message {
            let help = self.help.unwrap_or_else(|| {
                match self.status {
                    Status::Failed => "`ratchet runs list` and `ratchet runs logs` show what happened",
                    Status::Input => "`ratchet help` shows what can be asked for",
                    Status::Service => "check the address, the network and the rights, then try again",
                }
                .to_owned()
            });
            output::error(&format!("error: {message}\nhelp: {help}"));
        }
        ExitCode::from(self.status as u8)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Bucket(error) => error.into(),
            EngineError::UnknownRun { .. }
            | EngineError::UnknownTask { .. }
            | EngineError::Ended { .. }
            | EngineError::Unfinished { .. }
            | EngineError::NothingToDo { .. }
            | EngineError::Needed { .. }
            | EngineError::Params { .. }
            | EngineError::Backfill { .. }
            | EngineError::NotAwaited { .. }
            | EngineError::Form { .. }
            | EngineError::Dag { .. } => Self::input(error.to_string()),
            other => Self::service(other.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ambiguous { .. } | StoreError::Address { .. } => Self::input(error.to_string()),
            other => Self::service(other.to_string()),
        }
    }
}

impl From<BucketError> for Failure {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::UnknownScheme { .. } | BucketError::InvalidUrl { .. } | BucketError::InvalidName { .. } => {
                Self::input(error.to_string())
            }
            other => Self::service(other.to_string()),
        }
    }
}

impl From<CollectionError> for Failure {
    fn from(error: CollectionError) -> Self {
        match error {
            CollectionError::Bucket(error) => error.into(),
            other => Self::input(other.to_string()),
        }
    }
}

impl From<ratchet_identity::Error> for Failure {
    fn from(error: ratchet_identity::Error) -> Self {
        use ratchet_identity::Error;
        match error {
            Error::Username(_)
            | Error::PasswordRule(_)
            | Error::Exists(_)
            | Error::Unknown(_)
            | Error::KeyName(_)
            | Error::KeyExists(_)
            | Error::KeyUnknown(_)
            | Error::KeyLifetime(_)
            | Error::SecretTooShort(_) => Self::input(error.to_string()),
            other => Self::service(other.to_string()),
        }
    }
}

impl From<ratchet_server::ServerError> for Failure {
    fn from(error: ratchet_server::ServerError) -> Self {
        Self::service(error.to_string())
    }
}

impl From<PromotionError> for Failure {
    fn from(error: PromotionError) -> Self {
        match error {
            PromotionError::Bucket(error) => error.into(),
            other => Self::input(other.to_string()),
        }
    }
}

impl From<PromoteError> for Failure {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Log(error) => error.into(),
            refused => Self::input(refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_behind_the_last_semicolon_becomes_help() {
        let failure = Failure::service("the store is gone; it was at x; name another one");
        assert_eq!(failure.message.as_deref(), Some("the store is gone; it was at x"));
        assert_eq!(failure.help.as_deref(), Some("name another one"));
    }

    #[test]
    fn an_explicit_help_loses_nothing_of_the_message() {
        let failure = Failure::input("a; b").help("c");
        assert_eq!(failure.message.as_deref(), Some("a; b"));
        assert_eq!(failure.help.as_deref(), Some("c"));
    }
}
