//! The plugin `promote.model`: asks for a promotion; the engine appends it when it completes the attempt.

use async_trait::async_trait;
use ratchet_core::plugin::{
    ConfigProblem, Isolation, Model, Output, Outputs, Plugin, Port, PortKind, PromotionRequest, TaskContext, TaskError,
};
use ratchet_model::schema::parse_timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Puts the version that was compared into production.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteConfig {
    /// The version.
    pub model: Model,
    /// What `compare.champion` found, `${{ tasks.<id>.comparison }}`: the promotion is refused if another version holds
    /// the alias by then.
    pub comparison: Value,
    /// The alias that shall point to it.
    #[serde(default = "default_alias")]
    pub alias: String,
    /// What the log shall say beside what the comparison found, such as who consented.
    #[serde(default)]
    pub reason: String,
    /// True lets a version pass that asks for more fields than the one before, narrows a type, or answers less.
    #[serde(default)]
    pub breaking: bool,
}

fn default_alias() -> String {
    "champion".to_owned()
}

/// See [`PromoteConfig`].
pub struct PromoteModel;

#[async_trait]
impl Plugin for PromoteModel {
    type Config = PromoteConfig;
    const NAME: &'static str = "promote.model";
    const SUMMARY: &'static str = "Puts the version that was compared into production.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "promoted",
            kind: PortKind::Value,
            description: "`name@version` and the alias.",
        }]
    }

    fn validate(config: &PromoteConfig) -> Vec<ConfigProblem> {
        let named = ratchet_model::is_model_name(&config.alias);
        let problem = (!named).then(|| ConfigProblem {
            pointer: "/alias".to_owned(),
            message: format!("`{}` is no name of an alias", config.alias),
            help: Some("write small letters, digits and `-`, beginning with a letter, such as `challenger`".to_owned()),
        });
        problem.into_iter().collect()
    }

    async fn run(config: PromoteConfig, _context: &TaskContext) -> Result<Outputs, TaskError> {
        let PromoteConfig {
            model,
            comparison,
            alias,
            reason: said,
            breaking,
        } = config;
        let name = format!("`{}`", model.name);
        let version = model.version.ok_or_else(|| {
            TaskError::permanent(format!("{name} has no version yet"))
                .with_help("give the port of a finished training task")
        })?;
        let text = |pointer: &str| comparison.pointer(pointer).and_then(Value::as_str);
        if text("/challenger/digest") != Some(model.bundle.sha256.as_str()) {
            return Err(
                TaskError::permanent(format!("the comparison is not of {name} version {version}"))
                    .with_help("what was compared is promoted: give `model` and `comparison` of the same challenger"),
            );
        }
        if let Some(compared) = text("/alias").filter(|compared| *compared != alias) {
            return Err(TaskError::permanent(format!(
                "{name} was compared with the holder of `{compared}`, and shall become `{alias}`"
            ))
            .with_help("give `alias` to `compare.champion` as well, so that it meets the version that it replaces"));
        }
        let until = |side: &str| text(&format!("/{side}/until")).and_then(parse_timestamp);
        if let (Some(challenger), Some(champion)) = (until("challenger"), until("champion"))
            && challenger < champion
        {
            let (ours, theirs) = (
                text("/challenger/until").unwrap_or_default(),
                text("/champion/until").unwrap_or_default(),
            );
            return Err(TaskError::permanent(format!(
                "version {version} of {name} learnt from rows up to {ours}, the champion from rows up to {theirs}"
            ))
            .with_help("an older month does not replace a newer one; a person can: `ratchet models promote`"));
        }
        let found = text("/reason").unwrap_or("compared");
        let reason = match said.trim() {
            "" => found.to_owned(),
            said => format!("{found}; {said}"),
        };
        let request = PromotionRequest {
            model: model.name.clone(),
            version,
            digest: model.bundle.sha256.clone(),
            alias: alias.clone(),
            expected_champion: text("/champion/digest").map(str::to_owned),
            reason,
            comparison,
            breaking,
        };
        let promoted = json!({"model": model.name, "version": version, "alias": alias});
        Ok(Outputs {
            promotions: vec![request],
            ..Outputs::default().with("promoted", Output::Value(promoted))
        })
    }
}
