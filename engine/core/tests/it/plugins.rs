//! Plugins that cover what configurations are made of.

use async_trait::async_trait;
use ratchet_core::plugin::{
    ConfigProblem, Isolation, Model, Outputs, Plugin, Port, PortKind, Registry, Table, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// All of them.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry
        .add::<Extract>()
        .add::<Gate>()
        .add::<Train>()
        .add::<Promote>()
        .add::<Noop>();
    registry
}

fn port(name: &'static str, kind: PortKind) -> Port {
    Port {
        name,
        kind,
        description: "what it says",
    }
}

macro_rules! plugin {
    ($plugin:ident, $name:literal, $config:ty, $ports:expr, $validate:expr) => {
        pub struct $plugin;

        #[async_trait]
        impl Plugin for $plugin {
            type Config = $config;
            const NAME: &'static str = $name;
            const SUMMARY: &'static str = "for tests";
            const ISOLATION: Isolation = Isolation::Inline;

            fn outputs() -> Vec<Port> {
                $ports
            }

            fn validate(config: &Self::Config) -> Vec<ConfigProblem> {
                let validate: fn(&$config) -> Vec<ConfigProblem> = $validate;
                validate(config)
            }

            async fn run(_: Self::Config, _: &TaskContext) -> Result<Outputs, TaskError> {
                Ok(Outputs::default())
            }
        }
    };
}

/// Nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoopConfig {}

plugin!(Noop, "core.noop", NoopConfig, vec![], |_| vec![]);

/// Reads.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub struct ExtractConfig {
    /// Where the records are. Any address.
    from: String,
    /// Sign between fields.
    delimiter: Option<String>,
    /// What stands for nothing.
    #[serde(default)]
    null_values: Vec<String>,
    /// Rows at most.
    limit: Option<u32>,
}

plugin!(
    Extract,
    "extract.file",
    ExtractConfig,
    vec![port("table", PortKind::Table), port("rows", PortKind::Value)],
    |config| {
        if config.from.is_empty() {
            return vec![ConfigProblem {
                pointer: "/from".to_owned(),
                message: "the address is empty".to_owned(),
                help: Some("name a file".to_owned()),
            }];
        }
        vec![]
    }
);

/// How loud.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Says so.
    Warn,
    /// Fails.
    Fail,
}

/// One thing to expect.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub enum Expectation {
    /// Number of rows.
    RowCount {
        /// At least.
        min: u64,
    },
    /// Share of nulls.
    NullShare {
        /// Of these.
        columns: Vec<String>,
        /// At most.
        #[schemars(range(min = 0.0, max = 1.0))]
        max: f64,
    },
}

/// Judges.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub struct GateConfig {
    /// What is judged.
    table: Table,
    /// What is expected.
    #[serde(default)]
    expect: Vec<Expectation>,
    /// How loud.
    severity: Option<Severity>,
}

plugin!(
    Gate,
    "quality.gate",
    GateConfig,
    vec![port("table", PortKind::Table), port("report", PortKind::Report)],
    |_| vec![]
);

/// A way to learn.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub enum Candidate {
    /// A line.
    Linear {
        /// Shrinks.
        ridge: Option<f64>,
    },
    /// Many trees.
    Boosting {
        /// How many.
        trees: u32,
    },
}

/// Learns.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub struct TrainConfig {
    /// What is learnt from.
    table: Table,
    /// Beside it.
    lookup: Option<Table>,
    /// Column.
    target: String,
    /// Ways.
    #[serde(default)]
    candidates: Vec<Candidate>,
    /// For chance.
    seed: Option<u64>,
    /// Part that is kept.
    share: Option<f64>,
    /// In a hurry.
    quick: Option<bool>,
    /// Anything.
    notes: Option<serde_json::Value>,
}

plugin!(
    Train,
    "train.model",
    TrainConfig,
    vec![port("model", PortKind::Model), port("better", PortKind::Value)],
    |config| {
        match config.seed {
            Some(13) => vec![ConfigProblem {
                pointer: "/seed".to_owned(),
                message: "13 brings no luck".to_owned(),
                help: None,
            }],
            _ => vec![],
        }
    }
);

/// Promotes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read by serde alone")]
pub struct PromoteConfig {
    /// What.
    model: Model,
    /// Where.
    #[serde(default)]
    alias: String,
}

plugin!(Promote, "promote.model", PromoteConfig, vec![], |_| vec![]);
