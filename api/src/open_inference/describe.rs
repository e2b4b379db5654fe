//! What the service and its models are, in the protocol's words. Needs no token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use ratchet_model::FieldKind;
use serde_json::{Value, json};

use super::encode::datatype;
use super::infer::chosen;
use super::refusal::Refusal;
use crate::health::Health;
use crate::models::share::Chosen;
use crate::predict::answer::Answering;
use crate::predict::columns;
use crate::refusals::ModelRefusals;
use crate::service::Application;

/// `GET /v2`.
#[utoipa::path(
    get,
    path = "/v2",
    tag = "open inference",
    operation_id = "v2_server",
    responses(
        (status = 200, description = "Name, version and extensions", body = Object),
    ),
)]
pub async fn server() -> Json<Value> {
    Json(
        json!({"name": "ratchet", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data", "model_repository"]}),
    )
}

/// `GET /v2/health/live`.
#[utoipa::path(
    get,
    path = "/v2/health/live",
    tag = "open inference",
    operation_id = "v2_live",
    responses(
        (status = 200, description = "It is alive", body = Object),
    ),
)]
pub async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

/// `GET /v2/health/ready`: every promoted model answers.
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tag = "open inference",
    operation_id = "v2_ready",
    responses(
        (status = 200, description = "Every promoted model answers", body = Object),
        (status = 503, description = "Some promoted model does not answer", body = Object),
    ),
)]
pub async fn ready(State(application): State<Arc<Application>>) -> (StatusCode, Json<Value>) {
    let status = Health::of(&application.models.current()).http_status();
    (status, Json(json!({"ready": status == StatusCode::OK})))
}

/// `GET /v2/models/{model}`.
#[utoipa::path(
    get,
    path = "/v2/models/{model}",
    tag = "open inference",
    operation_id = "v2_model",
    params(("model" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "Inputs and outputs", body = Object),
        ModelRefusals,
    ),
)]
pub async fn model(
    State(application): State<Arc<Application>>,
    Path(model): Path<String>,
) -> Result<Json<Value>, Refusal> {
    metadata(chosen(&application, &model, None, &HeaderMap::new())?).map(Json)
}

/// `GET /v2/models/{model}/versions/{version}`.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}",
    tag = "open inference",
    operation_id = "v2_model_version",
    params(("model" = String, Path, description = "Name of the model"), ("version" = String, Path, description = "Number of the version that serves")),
    responses(
        (status = 200, description = "Inputs and outputs", body = Object),
        ModelRefusals,
    ),
)]
pub async fn model_version(
    State(application): State<Arc<Application>>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    metadata(chosen(&application, &model, Some(&version), &HeaderMap::new())?).map(Json)
}

/// `GET /v2/models/{model}/ready`.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready",
    tag = "open inference",
    operation_id = "v2_model_ready",
    params(("model" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "The model answers", body = Object),
        ModelRefusals,
    ),
)]
pub async fn model_ready(
    State(application): State<Arc<Application>>,
    Path(model): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let served = chosen(&application, &model, None, &HeaderMap::new())?.served;
    Ok(Json(json!({"name": served.name, "ready": true})))
}

/// `GET /v2/models/{model}/versions/{version}/ready`.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}/ready",
    tag = "open inference",
    operation_id = "v2_model_version_ready",
    params(("model" = String, Path, description = "Name of the model"), ("version" = String, Path, description = "Number of the version that serves")),
    responses(
        (status = 200, description = "The version answers", body = Object),
        ModelRefusals,
    ),
)]
pub async fn model_version_ready(
    State(application): State<Arc<Application>>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let served = chosen(&application, &model, Some(&version), &HeaderMap::new())?.served;
    Ok(Json(json!({"name": served.name, "ready": true})))
}

fn metadata(chosen: Chosen) -> Result<Value, Refusal> {
    let served = chosen.served.clone();
    let inputs = served.bundle.schema().fields.iter().map(|field| {
        let datatype = match field.kind {
            FieldKind::Number => "FP64",
            FieldKind::Text | FieldKind::Timestamp => "BYTES",
        };
        json!({"name": field.name, "datatype": datatype, "shape": [-1]})
    });
    let outputs = columns::columns(&Answering::new(chosen, false)?)?;
    let outputs = outputs
        .iter()
        .map(|column| json!({"name": column.name, "datatype": datatype(column.kind), "shape": [-1]}));
    Ok(json!({
        "name": served.name,
        "versions": [served.version.version.to_string()],
        "platform": "ratchet",
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
    }))
}
