//! `GET /api/v1/promotions`.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use ratchet_artifacts::PromotionLog;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::State;

/// The whole log, in order.
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    let entries = PromotionLog::new(state.engine.bucket().clone()).entries().await?;
    Ok(Json(json!({ "promotions": entries })))
}
