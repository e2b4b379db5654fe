//! `GET /api/v1/pools`.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::State;

/// The pools with who holds their slots and who waits for them.
#[utoipa::path(
    get, path = "/api/v1/pools", tag = "service",
    responses((status = 200, description = "`pools`, each with `name`, `slots`, `holders` and `waiting`", body = Object))
)]
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "pools": state.engine.pools().await? })))
}
