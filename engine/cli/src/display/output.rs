//! Printing that survives a reader who left: `ratchet runs list | head -1` ends quietly.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line (or several) to stdout.
pub fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        left(&error);
    }
}

/// Prints a line to stderr. Nobody listening is no reason to stop.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints one JSON document to stdout.
///
/// # Errors
///
/// The value cannot be written as JSON.
pub fn document(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::service(format!("the answer cannot be written as JSON: {error}")))?;
    line(&text);
    Ok(())
}

fn left(error: &std::io::Error) {
    // A closed pipe is how `head` says "enough": not an error. A full disk is one.
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    self::error(&format!(
        "error: stdout cannot be written: {error}\nhelp: check where the output goes"
    ));
    std::process::exit(3);
}
