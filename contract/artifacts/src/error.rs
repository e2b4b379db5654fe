//! What can go wrong between Ratchet and its bucket, and what to do about it.

use std::error::Error as StandardError;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

/// A bucket that cannot be opened, read or written.
///
/// Each message names the bucket and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The address begins with a scheme that Ratchet does not speak.
    #[error(
        "bucket '{url}' has the scheme '{scheme}', which is not known; \
         give a directory, file:///directory or s3://bucket/prefix"
    )]
    UnknownScheme {
        /// Address as given.
        url: String,
        /// What stood before `://`.
        scheme: String,
    },
    /// The address cannot be read.
    #[error("bucket address '{url}' is wrong: {detail}")]
    InvalidUrl {
        /// Address as given, without credentials.
        url: String,
        /// What is wrong, and the remedy.
        detail: String,
    },
    /// The local directory cannot be made or opened.
    #[error(
        "bucket '{url}' cannot be opened as a directory: {source}; \
         name a directory that this user may write, or set RATCHET_STORE to another bucket"
    )]
    Directory {
        /// Address.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file system has no hard links, without which two writers could take the same number.
    #[error(
        "bucket '{url}' is on a file system without hard links ({source}), so that two writers could \
         overwrite each other; put the bucket on a local disk or NFS, or use s3://bucket/prefix"
    )]
    NoHardLinks {
        /// Address.
        url: String,
        /// What the system said.
        source: io::Error,
    },
    /// The S3 bucket does not exist.
    #[error("bucket '{url}' does not exist; create it in the store first, or correct the name")]
    BucketMissing {
        /// Address.
        url: String,
    },
    /// The store refused for want of rights.
    #[error(
        "access to '{path}' in bucket '{url}' was denied: {detail}; check the directory's owner and mode, \
         or for S3 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and the bucket's policy"
    )]
    Denied {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// What the store said.
        detail: String,
    },
    /// No connection.
    #[error(
        "bucket '{url}' cannot be reached: {detail}; check the network, AWS_ENDPOINT_URL and that the server \
         runs, and that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set where the machine has no role"
    )]
    Unreachable {
        /// Address.
        url: String,
        /// What the store's client said.
        detail: String,
    },
    /// The store answered with an error that passes, and it did not pass while we tried again.
    #[error("bucket '{url}' did not answer for '{path}' after several attempts: {detail}; try again later")]
    Unavailable {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// What the store said last.
        detail: String,
    },
    /// The store refused for a reason that trying again does not mend.
    #[error("bucket '{url}' refused '{path}': {detail}")]
    Refused {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// What the store said.
        detail: String,
    },
    /// The store says that the object exists, yet it cannot be read.
    #[error(
        "bucket '{url}' says that '{path}' exists, yet it cannot be found; \
         the store must support conditional writes (If-None-Match) and reading what was just written"
    )]
    Unstable {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
    },
    /// Other writers were faster each time.
    #[error("bucket '{url}' has too many writers at '{path}'; try again later")]
    Crowded {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
    },
    /// A blob that something refers to is not there.
    #[error(
        "bucket '{url}' lacks the blob '{path}'; restore it from a copy of the bucket, \
         or run the task again that made it"
    )]
    BlobMissing {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
    },
    /// A blob's content is not what its name says.
    #[error(
        "blob '{path}' in bucket '{url}' is damaged: {detail}; restore it from a copy of the bucket, \
         or delete this object and run the task again that made it"
    )]
    BlobDamaged {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// Expected and found length or digest.
        detail: String,
    },
    /// A local file into which something of the bucket goes.
    #[error("'{path}' cannot be written: {source}; check that the directory is there and may be written, and its disk")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A manifest or an entry cannot be read.
    #[error("'{path}' in bucket '{url}' is damaged: {detail}; restore it from a copy of the bucket")]
    ManifestDamaged {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// A newer Ratchet wrote it.
    #[error("'{path}' in bucket '{url}' has format {format}, this Ratchet reads format 1; install a newer Ratchet")]
    FormatTooNew {
        /// Address.
        url: String,
        /// Path in the bucket.
        path: String,
        /// The format found.
        format: u64,
    },
    /// A name that cannot be a directory.
    #[error(
        "'{name}' is no {what} name; write at most 128 lower-case letters, digits and hyphens, \
         beginning with a letter, such as 'response-time'"
    )]
    InvalidName {
        /// `dataset`, `model`, `alias`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A registration without a key could not be repeated safely.
    #[error("the key is empty; give one that is the same for each repetition, such as 'run/task'")]
    EmptyKey,
}

impl BucketError {
    /// True if the same call may succeed later with nothing changed.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Unavailable { .. } | Self::Unstable { .. } | Self::Crowded { .. }
        )
    }

    /// Gives a store's error its place and its remedy.
    pub(crate) fn from_store(url: &str, path: &str, error: &object_store::Error) -> Self {
        let url = url.to_owned();
        let path = path.to_owned();
        let detail = shorten(&error.to_string());
        match Trouble::of(error) {
            Trouble::BucketMissing => Self::BucketMissing { url },
            Trouble::Denied => Self::Denied { url, path, detail },
            Trouble::Unreachable => Self::Unreachable { url, detail },
            Trouble::Transient => Self::Unavailable { url, path, detail },
            Trouble::Missing | Trouble::Exists | Trouble::Permanent => Self::Refused { url, path, detail },
        }
    }
}

/// What a store's error means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The object is not there.
    Missing,
    /// The S3 bucket is not there.
    BucketMissing,
    /// A conditional create met an object (or, for 409, another create under way).
    Exists,
    /// No right to do this.
    Denied,
    /// No connection; the client has tried several times already.
    Unreachable,
    /// Worth another try. The request may have been carried out.
    Transient,
    /// Not worth another try.
    Permanent,
}

impl Trouble {
    /// Reads an error of the store.
    pub(crate) fn of(error: &object_store::Error) -> Self {
        use object_store::Error;
        match error {
            // S3 answers 404 for a missing bucket as for a missing object; only the body tells them apart.
            Error::NotFound { .. } if error.to_string().contains("NoSuchBucket") => Self::BucketMissing,
            Error::NotFound { .. } => Self::Missing,
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => Self::Exists,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied,
            Error::Generic { source, .. } => Self::of_cause(source.as_ref()),
            Error::JoinError { .. } => Self::Transient,
            _ => Self::Permanent,
        }
    }

    fn of_cause(error: &(dyn StandardError + 'static)) -> Self {
        let text = error.to_string();
        if text.contains("NoSuchBucket") {
            return Self::BucketMissing;
        }
        if let Some(status) = status_in(&text) {
            return match status {
                401 | 403 => Self::Denied,
                408 | 429 | 500..=599 => Self::Transient,
                _ => Self::Permanent,
            };
        }
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<HttpError>() {
                return match error.kind() {
                    HttpErrorKind::Connect => Self::Unreachable,
                    _ => Self::Transient,
                };
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Self::of_input_output(error);
            }
            cause = error.source();
        }
        Self::Transient
    }

    fn of_input_output(error: &io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied,
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Self::Unreachable
            }
            ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported => Self::Permanent,
            _ => Self::Transient,
        }
    }
}

/// Finds the HTTP status in the text of the client's error, whose type is private to `object_store`.
fn status_in(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// Cuts what a store said to what a person reads.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let mut short: String = line.chars().take(LONGEST).collect();
    short.push_str(" ...");
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StandardError + Send + Sync>>) -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: source.into(),
        }
    }

    #[test]
    fn statuses_in_the_text_decide() {
        let said = |status: &str| generic(format!("Server returned non-2xx status code: {status}: <Error/>"));
        assert_eq!(Trouble::of(&said("503 Service Unavailable")), Trouble::Transient);
        assert_eq!(Trouble::of(&said("403 Forbidden")), Trouble::Denied);
        assert_eq!(Trouble::of(&said("400 Bad Request")), Trouble::Permanent);
        assert_eq!(
            Trouble::of(&generic("404: <Code>NoSuchBucket</Code>")),
            Trouble::BucketMissing
        );
    }

    #[test]
    fn a_full_disk_is_not_worth_another_try() {
        assert_eq!(
            Trouble::of(&generic(io::Error::from(io::ErrorKind::StorageFull))),
            Trouble::Permanent
        );
        assert_eq!(
            Trouble::of(&generic(io::Error::from(io::ErrorKind::PermissionDenied))),
            Trouble::Denied
        );
        assert_eq!(
            Trouble::of(&generic(io::Error::from(io::ErrorKind::Interrupted))),
            Trouble::Transient
        );
    }

    #[test]
    fn a_denied_read_names_place_and_remedy() {
        let error = generic(io::Error::from(io::ErrorKind::PermissionDenied));
        let message = BucketError::from_store("file:///b", "models/a/1.json", &error).to_string();
        assert!(
            message.contains("file:///b") && message.contains("models/a/1.json"),
            "{message}"
        );
        assert!(message.contains("owner and mode"), "{message}");
    }

    #[test]
    fn long_answers_are_cut() {
        let short = shorten(&"word \n".repeat(1000));
        assert!(short.ends_with("...") && short.len() < 450 && !short.contains('\n'));
    }
}
