//! `GET /api/v1/lookups`.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use ratchet_runtime::published_lookups;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::State;

/// The newest version of each lookup, and the models in production that read it.
#[utoipa::path(
    get, path = "/api/v1/lookups", tag = "lookups",
    responses((
        status = 200,
        description = "`lookups`: name, newest version, number of versions, rows, key, source, and `readers` (model, version, alias) of each",
        body = Object,
    ))
)]
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    let lookups = published_lookups(state.engine.bucket()).await?;
    Ok(Json(json!({ "lookups": lookups })))
}
