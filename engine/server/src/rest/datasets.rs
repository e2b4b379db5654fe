//! `GET /api/v1/datasets`, one dataset, one version.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;
use ratchet_artifacts::datasets;
use serde_json::{Value, json};

use super::version::immutable;
use crate::problem::Problem;
use crate::server::State;

/// The newest version of each dataset.
#[utoipa::path(
    get, path = "/api/v1/datasets", tag = "datasets",
    responses((status = 200, description = "`datasets`: name, newest version, rows, columns, lineage of each", body = Object))
)]
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    let bucket = state.engine.bucket();
    let mut list = Vec::new();
    for name in datasets::names(bucket).await? {
        let Some(newest) = datasets::latest(bucket, &name).await? else {
            continue;
        };
        list.push(json!({
            "name": name, "latest": newest.version, "rows": newest.rows, "columns": newest.columns.len(),
            "source": newest.lineage.source, "simulated": newest.lineage.simulated, "created_at": newest.created_at,
        }));
    }
    Ok(Json(json!({ "datasets": list })))
}

/// One dataset: its versions, newest first, and the newest one whole.
#[utoipa::path(
    get, path = "/api/v1/datasets/{name}", tag = "datasets",
    params(("name" = String, Path, description = "Name of the dataset")),
    responses(
        (status = 200, description = "`versions` (numbers) and `latest` (the manifest)", body = Object),
        (status = 400, description = "The name is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such dataset", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let bucket = state.engine.bucket();
    let mut versions = datasets::versions(bucket, &name).await?;
    versions.reverse();
    match datasets::latest(bucket, &name).await? {
        Some(latest) => Ok(Json(json!({ "name": name, "versions": versions, "latest": latest }))),
        None => Err(Problem::not_found(format!(
            "there is no dataset `{name}`; GET /api/v1/datasets lists them"
        ))),
    }
}

/// One version of a dataset. It never changes.
#[utoipa::path(
    get, path = "/api/v1/datasets/{name}/versions/{version}", tag = "datasets",
    params(
        ("name" = String, Path, description = "Name of the dataset"),
        ("version" = u64, Path, description = "Number of the version"),
        ("If-None-Match" = Option<String>, Header, description = "ETag of an answer that is there already"),
    ),
    responses(
        (status = 200, description = "The manifest: files, columns, rows, lineage; with its ETag", body = Object),
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
    match datasets::get(state.engine.bucket(), &name, version).await? {
        Some(manifest) => immutable(&headers, &manifest),
        None => Err(Problem::not_found(format!(
            "there is no dataset {name}@{version}; GET /api/v1/datasets/{name} lists the versions"
        ))),
    }
}
