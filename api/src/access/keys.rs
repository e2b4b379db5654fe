//! `GET /.well-known/jwks.json`: with what others check our tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::service::Application;

/// The public keys of tokens, as a JSON Web Key Set; none where a shared secret signs.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "access", operation_id = "public_keys",
    responses((status = 200, description = "`keys`", body = Object))
)]
pub async fn public_keys(State(application): State<Arc<Application>>) -> Json<Value> {
    Json(json!(application.identity.public_keys()))
}
