//! The plugin `promote.model`: asks for a promotion; the engine appends it when it completes the attempt.

use async_trait::async_trait;
use ratchet_artifacts::{PromotionLog, models};
use ratchet_core::plugin::{
    Isolation, Model, Output, Outputs, Plugin, Port, PortKind, PromotionRequest, TaskContext, TaskError,
};
use ratchet_model::schema::parse_timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::table::{from_bucket, open_bucket};

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

    async fn run(config: PromoteConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let PromoteConfig {
            model,
            comparison,
            alias,
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
        refuse_taken_route(&model, context).await?;
        let reason = text("/reason").unwrap_or("compared").to_owned();
        let request = PromotionRequest {
            model: model.name.clone(),
            version,
            digest: model.bundle.sha256.clone(),
            alias: alias.clone(),
            expected_champion: text("/champion/digest").map(str::to_owned),
            reason,
            comparison,
        };
        let promoted = json!({"model": model.name, "version": version, "alias": alias});
        Ok(Outputs {
            promotions: vec![request],
            ..Outputs::default().with("promoted", Output::Value(promoted))
        })
    }
}

fn route(parameters: &Value) -> Option<&str> {
    parameters.get("route").and_then(Value::as_str)
}

/// Two models cannot answer at one path, and none at a path of the API itself.
async fn refuse_taken_route(model: &Model, context: &TaskContext) -> Result<(), TaskError> {
    let Some(path) = route(&model.parameters) else {
        return Ok(());
    };
    if let Some(problem) = ratchet_model::route_problem(&model.name, path) {
        return Err(TaskError::permanent(format!(
            "`{}` cannot be promoted: {problem}",
            model.name
        )));
    }
    let bucket = open_bucket(&context.bucket_url).await?;
    let head = PromotionLog::new(bucket.clone())
        .head()
        .await
        .map_err(|error| TaskError::transient(error.to_string()))?;
    for (other, aliases) in head
        .iter()
        .flat_map(|head| &head.table)
        .filter(|(other, _)| **other != model.name)
    {
        for holder in aliases.values() {
            let manifest = models::get(&bucket, other, holder.version).await.map_err(from_bucket)?;
            if manifest.is_some_and(|manifest| route(&manifest.parameters) == Some(path)) {
                return Err(TaskError::permanent(format!(
                    "the route {path} of `{}` is taken by `{other}`",
                    model.name
                ))
                .with_help("give one of them another `route`"));
            }
        }
    }
    Ok(())
}
