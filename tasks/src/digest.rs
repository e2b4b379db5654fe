//! Digests of files outside of the bucket.

use std::path::{Path, PathBuf};

use ratchet_artifacts::sha256_of_file;
use ratchet_core::plugin::TaskError;

use crate::blocking::blocking;

/// The SHA-256 of a file, in hexadecimal digits, read piece by piece.
///
/// # Errors
/// A file that is not there or cannot be read.
pub async fn digest_of_file(name: &str, path: PathBuf) -> Result<String, TaskError> {
    let name = name.to_owned();
    blocking("reading a file", move || {
        sha256_of_file(&path).map_err(|error| unreadable(&name, &path, &error))
    })
    .await
}

/// Why a file cannot be read, for people.
pub fn unreadable(from: &str, path: &Path, error: &std::io::Error) -> TaskError {
    let tried = path.display();
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("the file `{from}` is not there (tried {tried})"),
        std::io::ErrorKind::IsADirectory => format!("`{from}` is a directory, not a file (tried {tried})"),
        _ => format!("the file `{from}` cannot be read (tried {tried}): {error}"),
    };
    TaskError::permanent(message).with_help(
        "change `from`, or the parameter behind it (`-p NAME=PATH`); relative paths start at the working directory",
    )
}
