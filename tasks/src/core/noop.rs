//! `core.noop`.

use async_trait::async_trait;
use ratchet_core::plugin::{Isolation, Output, Outputs, Plugin, Port, PortKind, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Does nothing.
pub struct Noop;

/// Configuration of `core.noop`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoopConfig {
    /// Any value; it comes out of the port `value` as it is.
    #[serde(default)]
    pub value: Value,
}

#[async_trait]
impl Plugin for Noop {
    type Config = NoopConfig;
    const NAME: &'static str = "core.noop";
    const SUMMARY: &'static str = "Does nothing; joins branches and names values.";
    const ISOLATION: Isolation = Isolation::Inline;
    const PURE: bool = true;
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "value",
            kind: PortKind::Value,
            description: "The value of the configuration.",
        }]
    }

    async fn run(config: NoopConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        Ok(Outputs::default().with("value", Output::Value(config.value)))
    }
}
