//! `GET /api/v1/models` and one model.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path};
use ratchet_artifacts::{PromotionLog, models};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::State;

/// The newest version of each model and who holds its aliases.
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    let bucket = state.engine.bucket();
    let table = PromotionLog::new(bucket.clone())
        .head()
        .await?
        .map(|entry| entry.table)
        .unwrap_or_default();
    let mut list = Vec::new();
    for name in models::names(bucket).await? {
        let Some(newest) = models::latest(bucket, &name).await? else {
            continue;
        };
        list.push(json!({
            "name": name, "latest": newest.version, "digest": newest.bundle.sha256, "metrics": newest.metrics,
            "rows": newest.rows, "simulated": newest.lineage.simulated, "created_at": newest.created_at,
            "aliases": table.get(&newest.name),
        }));
    }
    Ok(Json(json!({ "models": list })))
}

/// All versions of one model, newest first.
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let bucket = state.engine.bucket();
    let mut versions = Vec::new();
    for version in models::versions(bucket, &name).await?.into_iter().rev() {
        versions.extend(models::get(bucket, &name, version).await?);
    }
    if versions.is_empty() {
        return Err(Problem::not_found(format!(
            "there is no model `{name}`; GET /api/v1/models lists them"
        )));
    }
    let head = PromotionLog::new(bucket.clone()).head().await?;
    let aliases = head
        .and_then(|entry| entry.table.get(&name).cloned())
        .unwrap_or_default();
    Ok(Json(json!({ "name": name, "aliases": aliases, "versions": versions })))
}
