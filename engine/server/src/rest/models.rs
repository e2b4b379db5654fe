//! `GET /api/v1/models`, one model, one version, one alias.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ratchet_artifacts::{PromotionLog, models};
use serde_json::{Value, json};

use super::version::immutable;
use crate::problem::Problem;
use crate::server::State;

/// The newest version of each model and who holds its aliases.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "models",
    responses((status = 200, description = "`models`: name, newest version, metrics, aliases of each", body = Object))
)]
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
#[utoipa::path(
    get, path = "/api/v1/models/{name}", tag = "models",
    params(("name" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "`aliases` and `versions` (the manifests)", body = Object),
        (status = 400, description = "The name is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such model", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
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

/// One version of a model. It never changes.
#[utoipa::path(
    get, path = "/api/v1/models/{name}/versions/{version}", tag = "models",
    params(
        ("name" = String, Path, description = "Name of the model"),
        ("version" = u64, Path, description = "Number of the version"),
        ("If-None-Match" = Option<String>, Header, description = "ETag of an answer that is there already"),
    ),
    responses(
        (status = 200, description = "The manifest: bundle, metrics, rows, parameters, lineage; with its ETag", body = Object),
        (status = 304, description = "The answer with this ETag is still right"),
        (status = 400, description = "The name or the number is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such version", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn version(
    extract::State(state): extract::State<Arc<State>>,
    path: Result<Path<(String, u64)>, extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((name, version)) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
    match models::get(state.engine.bucket(), &name, version).await? {
        Some(manifest) => immutable(&headers, &manifest),
        None => Err(Problem::not_found(format!(
            "there is no model {name}@{version}; GET /api/v1/models/{name} lists the versions"
        ))),
    }
}

/// Who holds an alias. The ETag is the digest of the holder's bundle: sent back as `If-Match`, it makes a promotion
/// conditional on the alias not having changed hands.
#[utoipa::path(
    get, path = "/api/v1/models/{name}/aliases/{alias}", tag = "models",
    params(
        ("name" = String, Path, description = "Name of the model"),
        ("alias" = String, Path, description = "The alias, such as `champion`"),
    ),
    responses(
        (status = 200, description = "The holder: version, digest, weight, shadow", body = Object),
        (status = 404, description = "Nobody holds it", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn alias(
    extract::State(state): extract::State<Arc<State>>,
    Path((name, alias)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let head = PromotionLog::new(state.engine.bucket().clone()).head().await?;
    let holder = head.as_ref().and_then(|entry| entry.holder(&name, &alias));
    let holder = holder.ok_or_else(|| {
        Problem::not_found(format!(
            "nobody holds the alias `{alias}` of `{name}`; GET /api/v1/models shows who holds what"
        ))
    })?;
    let tag = [(header::ETAG, format!("\"{}\"", holder.digest))];
    Ok((tag, Json(json!(holder))).into_response())
}
