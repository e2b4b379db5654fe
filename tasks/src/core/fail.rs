//! `core.fail`.

use async_trait::async_trait;
use ratchet_core::plugin::{Isolation, Outputs, Plugin, Port, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fails on purpose.
pub struct Fail;

/// Configuration of `core.fail`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailConfig {
    /// What the failure says.
    #[serde(default = "default_message")]
    pub message: String,
    /// True if the failure shall look like one that a retry may help.
    #[serde(default)]
    pub retryable: bool,
}

fn default_message() -> String {
    "the task fails on purpose".to_owned()
}

#[async_trait]
impl Plugin for Fail {
    type Config = FailConfig;
    const NAME: &'static str = "core.fail";
    const SUMMARY: &'static str = "Fails with a message; for testing a DAG and for branches that must not be reached.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    async fn run(config: FailConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        Err(TaskError {
            retryable: config.retryable,
            ..TaskError::permanent(config.message)
        })
    }
}
