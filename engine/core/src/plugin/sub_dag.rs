//! `core.dag`: another DAG as one task. The engine runs it itself; the plugin says what it takes and gives.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::TaskContext;
use super::error::TaskError;
use super::port::{Outputs, Port, PortKind};
use super::task::{ConfigProblem, Isolation, Plugin};

/// Runs another DAG as one task.
pub struct SubDag;

/// Configuration of `core.dag`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubDagConfig {
    /// Name of the DAG, as its file says. The file stands in the same directory as the one that names it.
    pub dag: String,
    /// Values of its parameters; what is left out has its default.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
}

#[async_trait]
impl Plugin for SubDag {
    type Config = SubDagConfig;
    const NAME: &'static str = "core.dag";
    const SUMMARY: &'static str = "Runs another DAG of the same directory and waits for its end.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "run",
                kind: PortKind::Value,
                description: "Id of the run that it made.",
            },
            Port {
                name: "outputs",
                kind: PortKind::Any,
                description: "What the tasks of that run made: `outputs.<task>.<port>`.",
            },
        ]
    }

    fn validate(config: &SubDagConfig) -> Vec<ConfigProblem> {
        let scalar = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        let wrong = config.params.iter().filter(|(_, value)| !scalar(value));
        wrong
            .map(|(name, _)| ConfigProblem {
                pointer: format!("/params/{name}"),
                message: "a parameter is text, a number, `true` or `false`".to_owned(),
                help: Some(
                    "hand it one value; what tasks made is read as `outputs` of the task that follows".to_owned(),
                ),
            })
            .collect()
    }

    async fn run(_config: SubDagConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        Err(TaskError::permanent(format!(
            "task `{}` runs another DAG, which only the engine can",
            context.task
        )))
    }
}
