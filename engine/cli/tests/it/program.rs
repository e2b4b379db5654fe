//! Calls the program in a directory of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a call left.
#[derive(Debug)]
pub struct Called {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Called {
    /// stdout as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status was this one and stderr has an error line and a help line.
    pub fn refused(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.stderr.contains("error: ") && self.stderr.contains("help: "),
            "{self:?}"
        );
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("fault of ratchet"),
            "{self:?}"
        );
        self
    }

    /// The status was 0.
    pub fn done(&self) -> &Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }
}

/// The program with a clean environment.
pub fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratchet"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RATCHET_")) {
        command.env_remove(name);
    }
    command.env("USER", "ada");
    command
}

/// Calls it and waits.
pub fn ratchet(directory: &Path, arguments: &[&str]) -> Called {
    called(&mut command(directory, arguments))
}

/// Runs a prepared command.
pub fn called(command: &mut Command) -> Called {
    let output = command.output().unwrap();
    Called {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A new directory with one file in it.
pub fn directory_with(name: &str, text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), text).unwrap();
    directory
}
