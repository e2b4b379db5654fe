//! `POST` on a model's declared route, on `/predict/{model}`, or on `/predict` for the default model.
//!
//! Which paths exist depends on what is loaded, so all of them arrive at one fallback that looks the path up. The model that it finds
//! is taken once and answers everything: an answer never mixes two versions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use serde_json::{Value, json};

use super::answer::Answering;
use super::body::{self, Sent};
use super::format::Format;
use super::{query, stream};
use crate::access::caller;
use crate::models::registry::{ALIAS, Served, Target};
use crate::problem::Problem;
use crate::service::Application;

/// Where a request names no model.
pub const DEFAULT_PATH: &str = "/predict";
/// Above this many rows the work leaves the threads that answer others.
const INLINE_ROWS: usize = 1000;

/// Answers any path that the service itself does not have.
pub async fn at_path(State(application): State<Arc<Application>>, request: Request) -> Response {
    let path = request.uri().path();
    let is_default = path == DEFAULT_PATH;
    let snapshot = application.models.current();
    let target = match is_default {
        true => snapshot.default_model(application.default_model.as_deref()),
        false => snapshot.at_path(path),
    };
    drop(snapshot);
    let outcome = match (target, request.method() == Method::POST) {
        (_, false) if is_default => Err(Problem::method_not_allowed("POST")),
        (Target::Served(_) | Target::NotLoaded, false) => Err(Problem::method_not_allowed("POST")),
        (Target::Served(served), true) => predict(&application, served, request).await,
        (Target::NotLoaded | Target::PerhapsNotLoaded, true) => Err(Problem::model_not_loaded()),
        (Target::Unknown, true) if is_default => Err(Problem::no_default_model()),
        (Target::Unknown, true) if names_a_model(request.uri().path()) => Err(Problem::unknown_model()),
        (Target::Unknown | Target::PerhapsNotLoaded, _) => Err(Problem::not_found()),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn names_a_model(path: &str) -> bool {
    path.strip_prefix("/predict/")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

async fn predict(application: &Arc<Application>, served: Arc<Served>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    caller::of_prediction(application, &parts.headers, &parts.extensions).await?;
    let format = Format::of(&parts.headers).ok_or_else(Problem::unsupported_media_type)?;
    let answering = Answering::new(served, query::wants_explanation(parts.uri.query())?)?;
    if format != Format::Json {
        return stream::answer(application.clone(), answering, format, body).await;
    }
    let content = body::read(&parts.headers, body).await?;
    let sent = body::parse(&content)?;
    drop(content);
    let headers = answering.headers();
    let name = answering.served.name.clone();
    let single = matches!(sent, Sent::Row(_));
    let answered = match &sent {
        Sent::Rows(rows) if rows.len() > INLINE_ROWS => {
            let work = tokio::task::spawn_blocking(move || answering.document(&sent));
            work.await.map_err(|error| {
                tracing::error!(%error, "answering a list of rows failed");
                Problem::internal()
            })??
        }
        _ => answering.document(&sent)?,
    };
    let rows = answered.answers.len() as u64;
    application
        .telemetry
        .predictions(&name, ALIAS, rows, answered.out_of_distribution);
    let mut answers = answered.answers.into_iter().map(Value::Object);
    let json = match single {
        true => answers.next().ok_or_else(Problem::internal)?,
        false => json!({"predictions": answers.collect::<Vec<_>>()}),
    };
    Ok((headers, Json(json)).into_response())
}
