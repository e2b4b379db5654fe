//! `POST /v2/models/{model}[/versions/{version}]/infer`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::encode::{JSON_LENGTH, encode};
use super::refusal::Refusal;
use super::request::InferRequest;
use crate::access::caller::Caller;
use crate::models::registry::Served;
use crate::models::share::Chosen;
use crate::predict::answer::{Answered, Answering};
use crate::predict::{body, columns, query};
use crate::problem::Problem;
use crate::record::{Asked, Recorded};
use crate::refusals::{ModelRefusals, TensorRefusals};
use crate::service::Application;

/// Above this many rows the work leaves the threads that answer others.
const INLINE_ROWS: usize = 1000;

/// Who answers for a model: the version that is named, if it serves under any alias, else whoever the headers lead to.
pub fn chosen(
    application: &Application,
    model: &str,
    version: Option<&str>,
    headers: &HeaderMap,
) -> Result<Chosen, Refusal> {
    let snapshot = application.models.current();
    let found = snapshot.models.get(model);
    let chosen = match found.map(|found| found.chosen(model, headers)) {
        Some(Some(chosen)) => chosen,
        Some(None) => return Err(Problem::model_not_loaded().into()),
        None if snapshot.starting => return Err(Problem::model_not_loaded().into()),
        None => {
            return Err(Refusal::not_found(
                "no model of this name was promoted; GET /models lists those that were",
            ));
        }
    };
    let Some(version) = version else { return Ok(chosen) };
    let beside = found.into_iter().flat_map(|found| &found.beside);
    let beside = beside.filter(|beside| beside.share.is_some());
    let serving = found
        .and_then(|found| found.served.iter().next())
        .into_iter()
        .chain(beside.filter_map(|beside| beside.served.as_ref()));
    match serving
        .into_iter()
        .find(|served| served.version.version.to_string() == version)
    {
        Some(served) => Ok(chosen.named(served.clone())),
        None => Err(Refusal::not_found(format!(
            "this version does not serve; version {} does, and requests need not name it",
            chosen.served.version.version
        ))),
    }
}

/// Answers by the version that serves.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    tag = "open inference",
    operation_id = "v2_infer",
    params(("model" = String, Path, description = "Name of the model")),
    request_body(content = Object, description = "A tensor of shape [n] or [n, 1] for each field"),
    responses(
        (status = 200, description = "Output tensors", body = Object),
        TensorRefusals,
        ModelRefusals,
    ),
)]
pub async fn infer(
    State(application): State<Arc<Application>>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    answer(&application, &model, None, request).await
}

/// Answers if the version that serves is the one that is named.
#[utoipa::path(
    post,
    path = "/v2/models/{model}/versions/{version}/infer",
    tag = "open inference",
    operation_id = "v2_infer_version",
    params(("model" = String, Path, description = "Name of the model"), ("version" = String, Path, description = "Number of the version that serves")),
    request_body(content = Object, description = "A tensor of shape [n] or [n, 1] for each field"),
    responses(
        (status = 200, description = "Output tensors", body = Object),
        TensorRefusals,
        ModelRefusals,
    ),
)]
pub async fn infer_version(
    State(application): State<Arc<Application>>,
    Path((model, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    answer(&application, &model, Some(&version), request).await
}

async fn answer(
    application: &Application,
    model: &str,
    version: Option<&str>,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = Asked::now(request.uri().path());
    let asked = match request.extensions().get::<Caller>() {
        Some(caller) => asked.by(caller),
        None => asked,
    };
    let mut chosen = chosen(application, model, version, request.headers())?;
    let outcome = answer_by(application, &mut chosen, &asked, request).await;
    if let Err(refusal) = &outcome {
        application
            .recorder
            .refused_with(asked, Some(chosen.served), refusal.status(), &refusal.error, None);
    }
    outcome
}

async fn answer_by(
    application: &Application,
    chosen: &mut Chosen,
    asked: &Asked,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, content) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::bad(
            "compressed requests are not read; send it without Content-Encoding",
        ));
    }
    let json_length = json_length(&parts.headers)?;
    let explain = query::wants_explanation(parts.uri.query())?;
    let content = body::read(&parts.headers, content).await?;
    let mut request = InferRequest::read(&content, json_length, chosen.served.bundle.schema())?;
    if chosen.decide(request.records.first()) {
        request = InferRequest::read(&content, json_length, chosen.served.bundle.schema())?;
    }
    let served = &chosen.served;
    drop(content);
    let answering = Answering::new(chosen.clone(), explain || request.explain)?;
    let columns = columns::columns(&answering)?;
    let answered = if request.records.len() > INLINE_ROWS {
        let work = tokio::task::spawn_blocking(move || (answer_rows(&answering, &request), request));
        let (answered, back) = work.await.map_err(|error| {
            tracing::error!(%error, "answering tensors failed");
            Problem::internal()
        })?;
        request = back;
        answered?
    } else {
        answer_rows(&answering, &request)?
    };
    let rows = answered.answers.len() as u64;
    let telemetry = &application.telemetry;
    telemetry.predictions(&served.name, &served.alias, rows, answered.out_of_distribution);
    telemetry.unmatched(&served.name, &answered.predictions);
    let response = encode(head(served, &request), &request, &columns, &answered.answers)?;
    let text = |answer| Bytes::from(serde_json::to_vec(answer).unwrap_or_default());
    application.recorder.answered(
        asked.clone(),
        Recorded {
            served: served.clone(),
            shadows: chosen.shadows.clone(),
            inputs: request.records,
            rows: answered.rows.into_iter().collect(),
            answers: answered.answers.iter().map(text).collect(),
            predictions: answered.predictions,
        },
    );
    Ok(response)
}

fn answer_rows(answering: &Answering, request: &InferRequest) -> Result<Answered, Refusal> {
    let records: Vec<&Map<String, Value>> = request.records.iter().collect();
    let rows = answering.served.bundle.parse_all(&records).map_err(|problems| {
        let found = problems.len();
        let listed = problems
            .iter()
            .take(10)
            .map(|problem| format!("{}: {}", problem.pointer, problem.message));
        Refusal::bad(format!(
            "{found} values are not valid: {}",
            listed.collect::<Vec<_>>().join("; ")
        ))
    })?;
    let answered = answering.rows(&rows)?;
    Ok(Answered {
        rows: Some(rows),
        ..answered
    })
}

fn head(served: &Served, request: &InferRequest) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("model_name".to_owned(), json!(served.name));
    head.insert("model_version".to_owned(), json!(served.version.version.to_string()));
    if let Some(id) = &request.id {
        head.insert("id".to_owned(), json!(id));
    }
    head
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(length) = headers.get(JSON_LENGTH) else {
        return Ok(None);
    };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length
        .map(Some)
        .ok_or_else(|| Refusal::bad("Inference-Header-Content-Length is no whole number"))
}
