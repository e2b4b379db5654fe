//! `/retrain/config`: what an operator sets beside the file of the DAG that retrains. The engine keeps it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde_json::Value;
use utoipa::ToSchema;

use super::retrain::audited;
use crate::access::caller;
use crate::fields::read_json;
use crate::problem::Problem;
use crate::refusals::BodyRefusals;
use crate::service::Application;

/// What shall hold beside the file. What is left out stays as it is set; null takes it away.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read by the engine")]
pub struct RetrainConfig {
    /// The schedule's cron line.
    #[schema(example = "0 3 * * 1")]
    cron: Option<String>,
    /// The schedule's time zone.
    #[schema(example = "Europe/London")]
    timezone: Option<String>,
    /// Least time from the begin of a triggered run to the begin of the next.
    #[schema(example = "6h")]
    cooldown: Option<String>,
    /// False for no triggers, or a list of triggers as in the file.
    #[schema(value_type = Option<Value>)]
    triggers: Option<Value>,
    /// Defaults of parameters by name; null takes one away.
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// Whether the DAG starts nothing by itself.
    paused: Option<bool>,
}

/// What the file of the DAG says (`file`), what is set beside it (`overrides`), and what holds (`effective`).
#[utoipa::path(
    get, path = "/retrain/config", tag = "retraining", operation_id = "retrain_config",
    responses((status = 200, description = "As the engine tells it", body = Object))
)]
pub async fn show(State(application): State<Arc<Application>>) -> Result<Json<Value>, Problem> {
    let (dag, _) = application.engine.dag().await?;
    Ok(Json(application.engine.config(&dag).await?))
}

/// Sets what shall hold beside the file. The engine checks it as it checks the file.
#[utoipa::path(
    post, path = "/retrain/config", tag = "retraining", operation_id = "retrain_configure",
    request_body(content = RetrainConfig, content_type = "application/json"),
    responses(
        (status = 200, description = "As `GET` tells it", body = Object),
        BodyRefusals,
    )
)]
pub async fn set(State(application): State<Arc<Application>>, request: Request) -> Result<Json<Value>, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller::required(&parts.extensions)?;
    let wanted = read_json(&parts.headers, body).await?;
    let (dag, _) = application.engine.dag().await?;
    let asked = application.engine.configure(&dag, &wanted);
    let config = audited(&application, &caller, "retrain.config", &dag, asked, |_| {
        "done".to_owned()
    })
    .await?;
    Ok(Json(config))
}
