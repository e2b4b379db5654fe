//! How a task fails: what a person reads, and whether a retry can help.

use serde::{Deserialize, Serialize};

use super::port::Outputs;

/// A task's failure. `Display` is one message that names the thing, the place and the remedy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskError {
    /// What is wrong and where, as a fragment that fits "failed to ...: {message}".
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub help: Option<String>,
    /// True if the same attempt may succeed later (a lost connection); false if it cannot (a missing column).
    pub retryable: bool,
    /// What the task leaves behind all the same, such as the report of a gate that refused.
    #[serde(default)]
    pub outputs: Outputs,
}

impl TaskError {
    /// A failure that a retry cannot help.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            retryable: false,
            outputs: Outputs::default(),
        }
    }

    /// A failure that a later attempt may not meet.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::permanent(message)
        }
    }

    /// Adds the remedy.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what the task leaves behind.
    pub fn with_outputs(mut self, outputs: Outputs) -> Self {
        self.outputs = outputs;
        self
    }
}

impl std::fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(formatter, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TaskError {}
