//! The protocol's paths.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use super::refusal::Refusal;
use super::{describe, infer, repository};
use crate::problem::Problem;
use crate::service::Application;

/// All paths under `/v2`, those that lead nowhere included.
pub fn routes() -> Router<Arc<Application>> {
    Router::new()
        .route("/v2", get(describe::server).fallback(get_only))
        .route("/v2/", get(describe::server).fallback(get_only))
        .route("/v2/health/live", get(describe::live).fallback(get_only))
        .route("/v2/health/ready", get(describe::ready).fallback(get_only))
        .route("/v2/models/{model}", get(describe::model).fallback(get_only))
        .route(
            "/v2/models/{model}/ready",
            get(describe::model_ready).fallback(get_only),
        )
        .route("/v2/models/{model}/infer", post(infer::infer).fallback(post_only))
        .route(
            "/v2/models/{model}/versions/{version}",
            get(describe::model_version).fallback(get_only),
        )
        .route(
            "/v2/models/{model}/versions/{version}/ready",
            get(describe::model_version_ready).fallback(get_only),
        )
        .route(
            "/v2/models/{model}/versions/{version}/infer",
            post(infer::infer_version).fallback(post_only),
        )
        .route("/v2/repository/index", post(repository::index).fallback(post_only))
        .route(
            "/v2/repository/models/{model}/load",
            post(repository::load).fallback(post_only),
        )
        .route(
            "/v2/repository/models/{model}/unload",
            post(repository::unload).fallback(post_only),
        )
        .route("/v2/{*rest}", any(nowhere))
}

async fn get_only() -> Refusal {
    Problem::method_not_allowed("GET, HEAD").into()
}

async fn post_only() -> Refusal {
    Problem::method_not_allowed("POST").into()
}

async fn nowhere() -> Refusal {
    Refusal::not_found(
        "the protocol has no such path here; there are /v2/health/ready, /v2/models/{model} and /v2/models/{model}/infer",
    )
}

/// A problem of the service around the handlers, in the shape that callers of `path` expect.
pub fn shaped(path: &str, problem: Problem) -> Response {
    match path == "/v2" || path.starts_with("/v2/") {
        true => Refusal::from(problem).into_response(),
        false => problem.into_response(),
    }
}
