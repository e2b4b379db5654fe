//! `POST` on a model's declared route or `/predict/{model}`.
//!
//! Which paths exist depends on what is loaded, so all of them arrive at one fallback that looks the path up. The model that it finds
//! is taken once and answers everything: an answer never mixes two versions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use super::answer::{Answered, answer};
use super::body::{self, Sent};
use crate::access::bearer;
use crate::models::registry::{ALIAS, Served, Target};
use crate::problem::Problem;
use crate::service::Application;

/// Above this many rows the work leaves the threads that answer others.
const INLINE_ROWS: usize = 1000;

/// Answers any path that the service itself does not have.
pub async fn at_path(State(application): State<Arc<Application>>, request: Request) -> Response {
    let target = application.models.current().at_path(request.uri().path());
    let outcome = match (target, request.method() == Method::POST) {
        (Target::Served(_) | Target::NotLoaded, false) => Err(Problem::method_not_allowed("POST")),
        (Target::Served(served), true) => predict(&application, served, request).await,
        (Target::NotLoaded | Target::PerhapsNotLoaded, true) => Err(Problem::model_not_loaded()),
        (Target::Unknown, true) if names_a_model(request.uri().path()) => Err(Problem::unknown_model()),
        (Target::Unknown | Target::PerhapsNotLoaded, _) => Err(Problem::not_found()),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn names_a_model(path: &str) -> bool {
    path.strip_prefix("/predict/")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

async fn predict(application: &Application, served: Arc<Served>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    bearer::caller(&parts.headers, &application.identity).await?;
    let content = body::read(&parts.headers, body).await?;
    let sent = body::parse(&content)?;
    drop(content);
    let answered = match &sent {
        Sent::Rows(rows) if rows.len() > INLINE_ROWS => {
            let served = served.clone();
            let work = tokio::task::spawn_blocking(move || answer(&served, &sent));
            work.await.map_err(|error| {
                tracing::error!(%error, "answering a list of rows failed");
                Problem::internal()
            })??
        }
        _ => answer(&served, &sent)?,
    };
    let Answered {
        json,
        rows,
        out_of_distribution,
    } = answered;
    application
        .telemetry
        .predictions(&served.name, ALIAS, rows, out_of_distribution);
    Ok(Json(json).into_response())
}
