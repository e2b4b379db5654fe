//! Paths and what every answer has in common.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, extract::Request};
use serde_json::{Value, json};
use tower_http::timeout::TimeoutLayer;

use super::{
    approvals, artifacts, backfills, config, dags, datasets, events, hooks, logs, lookups, models, openapi, operations,
    page, pauses, people, pools, promotions, runs, token, trigger,
};
use crate::access::guard;
use crate::problem::Problem;
use crate::server::State;

/// A request that takes longer is answered 504.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// All routes. Who may use them stands in `access::RULES`; a route that has no rule there is answered 500.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/health", get(health))
        .route("/api/v1/token", post(token::token))
        .route("/api/v1/openapi.json", get(openapi::openapi))
        .route("/api/v1/dags", get(dags::list))
        .route("/api/v1/dags/{name}", get(dags::show))
        .route("/api/v1/dags/{name}/next", get(dags::next))
        .route("/api/v1/dags/{name}/runs", post(trigger::trigger))
        .route("/api/v1/dags/{name}/pause", post(pauses::pause))
        .route("/api/v1/dags/{name}/unpause", post(pauses::unpause))
        .route("/api/v1/dags/{name}/config", get(config::show).post(config::set))
        .route("/api/v1/dags/{name}/backfills", post(backfills::start))
        .route("/api/v1/hooks/{dag}", post(hooks::call))
        .route("/api/v1/backfills", get(backfills::list))
        .route("/api/v1/backfills/{id}", get(backfills::show))
        .route("/api/v1/backfills/{id}/stop", post(backfills::stop))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{id}", get(runs::show))
        .route("/api/v1/runs/{id}/tasks", get(runs::tasks))
        .route("/api/v1/runs/{id}/attempts", get(runs::attempts))
        .route("/api/v1/runs/{id}/logs", get(logs::lines))
        .route("/api/v1/runs/{id}/logs/text", get(logs::text))
        .route("/api/v1/runs/{id}/artifacts", get(artifacts::list))
        .route(
            "/api/v1/runs/{id}/artifacts/{task}/{attempt}/{name}",
            get(artifacts::show),
        )
        .route("/api/v1/runs/{id}/events", get(events::events))
        .route("/api/v1/runs/{id}/cancel", post(operations::cancel))
        .route("/api/v1/runs/{id}/retry", post(operations::retry))
        .route("/api/v1/runs/{id}/clear", post(operations::clear))
        .route("/api/v1/runs/{id}/tasks/{task}/mark", post(operations::mark))
        .route("/api/v1/runs/{id}/tasks/{task}/approve", post(approvals::approve))
        .route("/api/v1/pools", get(pools::list))
        .route("/api/v1/datasets", get(datasets::list))
        .route("/api/v1/datasets/{name}", get(datasets::show))
        .route("/api/v1/datasets/{name}/versions/{version}", get(datasets::version))
        .route("/api/v1/lookups", get(lookups::list))
        .route("/api/v1/models", get(models::list))
        .route("/api/v1/models/{name}", get(models::show))
        .route("/api/v1/models/{name}/versions/{version}", get(models::version))
        .route("/api/v1/models/{name}/aliases/{alias}", get(models::alias))
        .route("/api/v1/models/{name}/promote", post(promotions::promote))
        .route("/api/v1/models/{name}/rollback", post(promotions::rollback))
        .route("/api/v1/models/{name}/route", post(promotions::route))
        .route("/api/v1/promotions", get(promotions::list))
        .route("/api/v1/users", get(people::users).post(people::add_user))
        .route("/api/v1/users/{name}", delete(people::remove_user))
        .route("/api/v1/keys", get(people::keys).post(people::add_key))
        .route("/api/v1/keys/{name}", delete(people::revoke_key))
        .route("/api/v1/audit", get(people::audit))
        .route("/api/v1/audit/check", get(people::check_audit))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::not_found("there is nothing at this path; the API begins at /api/v1") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT))
        .layer(middleware::from_fn(harden))
        .with_state(state)
}

/// The process answers; whether it can do its work is said by what it answers elsewhere.
#[utoipa::path(
    get, path = "/health", tag = "service",
    responses((status = 200, description = "`status` and `version`", body = Object))
)]
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// The page runs no script and stands in no frame; answers change from second to second unless they say otherwise.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    response
}
