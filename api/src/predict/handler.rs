//! `POST` on a model's declared route, on `/predict/{model}`, or on `/predict` for the default model.
//!
//! Which paths exist depends on what is loaded, so all of them arrive at one fallback that looks the path up. The model that it finds
//! is taken once and answers everything: an answer never mixes two versions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::answer::Answering;
use super::body::{self, Sent};
use super::format::Format;
use super::{published_answer, query, stream};
use crate::access::caller;
use crate::models::registry::Target;
use crate::models::share::Chosen;
use crate::problem::Problem;
use crate::record::{Asked, Recorded};
use crate::router::REQUEST_TIMEOUT;
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
    let is_post = request.method() == Method::POST;
    let outcome = match target {
        _ if is_default && !is_post => Err(Problem::method_not_allowed("POST")),
        Target::Served(_) | Target::NotLoaded if !is_post => Err(Problem::method_not_allowed("POST")),
        Target::Served(champion) => {
            let chosen = snapshot.choose(champion, request.headers());
            drop(snapshot);
            predict(&application, chosen, request).await
        }
        Target::NotLoaded | Target::PerhapsNotLoaded if is_post => Err(Problem::model_not_loaded()),
        Target::Unknown if is_default => Err(Problem::no_default_model()),
        Target::Unknown if is_post && names_a_model(request.uri().path()) => Err(Problem::unknown_model()),
        Target::Unknown | Target::NotLoaded | Target::PerhapsNotLoaded => Err(Problem::not_found()),
    };
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn names_a_model(path: &str) -> bool {
    path.strip_prefix("/predict/")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

async fn predict(application: &Arc<Application>, mut chosen: Chosen, request: Request) -> Result<Response, Problem> {
    let asked = Asked::now(request.uri().path());
    let (parts, body) = request.into_parts();
    let caller = match caller::of_prediction(application, &parts.headers, &parts.extensions).await {
        Ok(caller) => caller,
        Err(problem) => {
            application.recorder.refused(asked, Some(chosen.served), &problem, None);
            return Err(problem);
        }
    };
    let asked = asked.by(&caller);
    let mut sent = None;
    // Here and not around all routes alone, so that the log knows of it.
    let answered = answer(application, &mut chosen, &asked, &parts, body, &mut sent);
    let outcome = tokio::time::timeout(REQUEST_TIMEOUT, answered).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Problem::timed_out(REQUEST_TIMEOUT.as_secs())));
    if let Err(problem) = &outcome {
        application.recorder.refused(asked, Some(chosen.served), problem, sent);
    }
    outcome
}

/// Answers a request whose caller is known. Leaves what was read of a refused one in `kept`.
async fn answer(
    application: &Arc<Application>,
    chosen: &mut Chosen,
    asked: &Asked,
    parts: &Parts,
    body: Body,
    kept: &mut Option<Sent>,
) -> Result<Response, Problem> {
    let format = Format::of(&parts.headers).ok_or_else(Problem::unsupported_media_type)?;
    let explain = query::wants_explanation(parts.uri.query())?;
    if format != Format::Json {
        let answering = Answering::new(chosen.clone(), explain)?;
        return stream::answer(application.clone(), answering, asked.clone(), format, body).await;
    }
    let content = body::read(&parts.headers, body).await?;
    let sent = body::parse(&content)?;
    drop(content);
    chosen.decide(sent.first());
    let served = &chosen.served;
    let answering = Answering::new(chosen.clone(), explain)?;
    let mut headers = answering.headers();
    let (sent, answered) = match &sent {
        Sent::Rows(rows) if rows.len() > INLINE_ROWS => {
            let work = tokio::task::spawn_blocking(move || {
                let answered = answering.document(&sent);
                (sent, answered)
            });
            work.await.map_err(|error| {
                tracing::error!(%error, "answering a list of rows failed");
                Problem::internal()
            })?
        }
        _ => {
            let answered = answering.document(&sent);
            (sent, answered)
        }
    };
    let answered = match answered {
        Ok(answered) => answered,
        Err(problem) => {
            *kept = Some(sent);
            return Err(problem);
        }
    };
    let rows = answered.answers.len() as u64;
    application
        .telemetry
        .predictions(&served.name, &served.alias, rows, answered.out_of_distribution);
    application.telemetry.unmatched(&served.name, &answered.predictions);
    let texts: Vec<Bytes> = answered.answers.iter().map(text).collect();
    // Whoever asks why gets the whole answer.
    let shown = match served.bundle.answer_only() && !explain {
        true => {
            headers.extend(published_answer::headers(&answered));
            published_answer::texts(&answered.answers, &served.bundle.content().target.answer)
        }
        false => texts.clone(),
    };
    let (inputs, content) = match sent {
        Sent::Row(row) => (vec![row], shown.first().cloned().ok_or_else(Problem::internal)?),
        Sent::Rows(rows) => (rows, list(&shown)),
    };
    application.recorder.answered(
        asked.clone(),
        Recorded {
            served: served.clone(),
            shadows: chosen.shadows.clone(),
            inputs,
            rows: answered.rows.into_iter().collect(),
            predictions: answered.predictions,
            answers: texts,
        },
    );
    Ok((headers, [(header::CONTENT_TYPE, "application/json")], content).into_response())
}

fn text(answer: &Map<String, Value>) -> Bytes {
    // A map whose keys are texts can always be written.
    serde_json::to_vec(answer).unwrap_or_default().into()
}

/// `{"predictions": [...]}` of answers that are written already.
fn list(texts: &[Bytes]) -> Bytes {
    let length: usize = texts.iter().map(|text| text.len() + 1).sum();
    let mut content = Vec::with_capacity(length + 20);
    content.extend_from_slice(b"{\"predictions\":[");
    for (number, text) in texts.iter().enumerate() {
        if number > 0 {
            content.push(b',');
        }
        content.extend_from_slice(text);
    }
    content.extend_from_slice(b"]}");
    content.into()
}
