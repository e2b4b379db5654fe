//! `POST /api/v1/hooks/{dag}`: somebody outside who knows a DAG's token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, ConnectInfo, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use ratchet_identity::{Act, Actor};
use ratchet_runtime::{HookError, Triggered};
use serde_json::{Value, json};

use super::body::Arrived;
use super::once::idempotency_key;
use crate::problem::{Fault, Problem};
use crate::server::State;

/// Calls the webhook of a DAG: its `on_webhook` trigger. No user is needed, but the trigger's token. The body is JSON or
/// empty; the trigger says which parameters it gives. With an `Idempotency-Key`, the same call is made once.
#[utoipa::path(
    post, path = "/api/v1/hooks/{dag}", tag = "hooks",
    params(
        ("dag" = String, Path, description = "Name of the DAG"),
        ("Authorization" = String, Header, description = "`Bearer TOKEN`: the token of the trigger"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice"),
    ),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 202, description = "The call is kept; `outcome` says what came of it: `started` with the `run`, or `cools_down` (`until`) and `busy`, after which one run follows all calls", body = Object),
        (status = 400, description = "The body is not JSON, or the key is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such webhook, or the token is not its own", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The DAG is paused, or the trigger paused itself", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too long", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "What the body gives does not fit the parameters", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "A store is away, or the token is in none of its places", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn call(
    extract::State(state): extract::State<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    headers: HeaderMap,
    arrived: Arrived,
) -> Result<Response, Problem> {
    let bytes = arrived.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let token = token(&headers).unwrap_or_default().to_owned();
    let key = idempotency_key(&headers)?;
    let dag = state.directory.dags().remove(&name);
    let body: Value = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes)
            .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?,
    };
    // Detached from the connection: what was kept is written into the log though the caller left.
    let work = tokio::spawn({
        let state = state.clone();
        async move {
            let called = state
                .engine
                .call_hook(dag.as_deref(), &token, &body, key.as_deref(), Timestamp::now())
                .await;
            let outcome = match &called {
                // Strangers do not fill the log.
                Err(HookError::Refused) => return called,
                Ok(_) => "done".to_owned(),
                Err(error) => format!("refused: {error}"),
            };
            let identity = state.identity.acting(Actor::new("webhook", peer.ip().to_string()));
            if let Err(error) = identity.audit(&Act::with_outcome("hook.call", &name, outcome)).await {
                tracing::error!(dag = name, %error, "the call of a webhook is missing in the audit log");
            }
            called
        }
    });
    let called = work
        .await
        .map_err(|error| Problem::internal(format!("the request broke off: {error}")))?;
    let triggered = called.map_err(explained)?;
    state.wake.notify_one();
    let answer = (StatusCode::ACCEPTED, Json(json!(triggered)));
    Ok(match &triggered {
        Triggered::Started { run } => {
            let place = [(header::LOCATION, format!("/api/v1/runs/{run}"))];
            (place, answer).into_response()
        }
        _ => answer.into_response(),
    })
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn explained(error: HookError) -> Problem {
    match error {
        // Not 401: no user and no key of this service would help.
        HookError::Refused => Problem::not_found(error.to_string()),
        HookError::Paused(_) => Problem::conflict(error.to_string()),
        HookError::Body(problems) => Problem::invalid_fields(
            problems
                .into_iter()
                .map(|message| Fault {
                    pointer: String::new(),
                    message,
                })
                .collect(),
        ),
        HookError::Token(_) => Problem::unavailable(error.to_string()),
        HookError::Engine(error) => error.into(),
    }
}
