//! Users, API keys and the audit log: for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_identity::{AuditCheck, Identity, Role};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::query::{Asked, limit};
use crate::access::Caller;
use crate::problem::{BodyProblems, FieldProblems, Problem};
use crate::server::State;

/// How long a key lasts when nobody says, in days.
const USUAL_DAYS: u64 = 90;
/// Entries of the audit log that are answered when nobody says.
const USUAL: u32 = 100;
/// Entries of the audit log that are answered at most.
const MOST: u32 = 1_000;

/// All users by name.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "people",
    responses((status = 200, description = "`users`: name, role, since when", body = Object))
)]
pub(super) async fn users(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "users": state.identity.list().await? })))
}

/// A user to add.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct UserRequest {
    /// 1 to 64 letters, digits or `. - _ @ +`.
    username: String,
    /// The password.
    #[schema(format = "password")]
    password: String,
    /// `user` if left out.
    #[schema(example = "operator")]
    role: Option<String>,
}

/// Adds a user.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "people",
    request_body(content = UserRequest, content_type = "application/json"),
    responses(
        (status = 201, description = "The user", body = Object),
        (status = 400, description = "The body is not JSON", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        FieldProblems,
    )
)]
pub(super) async fn add_user(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let mut body = Body::read(&headers, bytes)?;
    let username = body.required_text("username");
    let password = body.required_text("password");
    let role = role(&mut body);
    body.finish()?;
    let identity = acting(&state, &caller);
    let user = to_its_end(async move { Ok(identity.add_user(&username, &password, role).await?) }).await?;
    let place = [(header::LOCATION, format!("/api/v1/users/{}", user.username))];
    Ok((StatusCode::CREATED, place, Json(json!(user))).into_response())
}

/// Removes a user; the user's tokens end with it.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "people",
    params(("name" = String, Path, description = "Name of the user")),
    responses(
        (status = 204, description = "The user is gone"),
        (status = 404, description = "No such user", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "Nobody removes the user with whose token one asks", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove_user(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    if name == caller.name() {
        return Err(Problem::conflict(
            "this is the user with whose token you ask; let another administrator do it",
        ));
    }
    let identity = acting(&state, &caller);
    to_its_end(async move { Ok(identity.remove(&name).await?) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All API keys without their secrets, newest first, also those that ended.
#[utoipa::path(
    get, path = "/api/v1/keys", tag = "people",
    responses((status = 200, description = "`keys`: name, role, since when, until when", body = Object))
)]
pub(super) async fn keys(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "keys": state.identity.list_keys().await? })))
}

/// A key to make.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct KeyRequest {
    /// 1 to 64 letters, digits or `. - _ @ +`.
    name: String,
    /// `user` if left out.
    #[schema(example = "operator")]
    role: Option<String>,
    /// How long it lasts: 1 to 3,650 days, 90 if left out.
    days: Option<u32>,
}

/// Makes an API key. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/api/v1/keys", tag = "people",
    request_body(content = KeyRequest, content_type = "application/json"),
    responses(
        (status = 201, description = "`key` and its `secret`", body = Object),
        (status = 400, description = "The body is not JSON", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "A key of this name is in use", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        FieldProblems,
    )
)]
pub(super) async fn add_key(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let mut body = Body::read(&headers, bytes)?;
    let name = body.required_text("name");
    let role = role(&mut body);
    let days = body.number("days").unwrap_or(USUAL_DAYS);
    body.finish()?;
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    let identity = acting(&state, &caller);
    let made = to_its_end(async move { Ok(identity.add_key(&name, role, days).await?) }).await?;
    let answer = Json(json!({ "key": made.key, "secret": made.secret }));
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Revokes an API key.
#[utoipa::path(
    delete, path = "/api/v1/keys/{name}", tag = "people",
    params(("name" = String, Path, description = "Name of the key")),
    responses(
        (status = 204, description = "The key is refused from now on"),
        (status = 404, description = "No key of this name is in use", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke_key(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let identity = acting(&state, &caller);
    to_its_end(async move { Ok(identity.revoke_key(&name).await?) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    limit: Option<u32>,
    cursor: Option<i64>,
}

/// The audit log, newest first. `next` is the cursor of the following page; null at the end.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "people",
    params(
        ("limit" = Option<u32>, Query, description = "How many: 1 to 1,000, 100 if left out"),
        ("cursor" = Option<i64>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "`entries` and `next`", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn audit(
    extract::State(state): extract::State<Arc<State>>,
    query: Asked<AuditQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = limit(query.limit, USUAL, MOST)?;
    let entries = state.identity.audit_log(query.cursor, limit).await?;
    // The first entry has the number 1.
    let next = entries.last().map(|entry| entry.number).filter(|number| *number > 1);
    Ok(Json(json!({ "entries": entries, "next": next })))
}

/// Computes every hash of the audit log again.
#[utoipa::path(
    get, path = "/api/v1/audit/check", tag = "people",
    responses((status = 200, description = "`intact` entries, the hash of the last as `head`, and what is `broken`, if anything is", body = Object))
)]
pub(super) async fn check_audit(
    extract::State(state): extract::State<Arc<State>>,
) -> Result<Json<AuditCheck>, Problem> {
    Ok(Json(state.identity.verify_audit().await?))
}

fn role(body: &mut Body) -> Role {
    let role = body.parsed("role", |text| text.parse::<Role>().map_err(|error| error.to_string()));
    role.unwrap_or(Role::User)
}

fn acting(state: &State, caller: &Caller) -> Identity {
    state.identity.acting(caller.actor())
}

/// A client that leaves does not end it halfway.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|error| Err(Problem::internal(format!("the request broke off: {error}"))))
}
