//! `POST /api/v1/dags/{name}/runs`: somebody asks for a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{self, Extension, Path};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_runtime::cron::interval_of;
use ratchet_runtime::{NewRun, RunRecord, RunTrigger};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::dags;
use super::once::{Asked, idempotency_key, once, recorded};
use crate::access::{Caller, audited};
use crate::problem::{BodyProblems, Fault, Problem};
use crate::server::State;

/// What the run shall be. Everything may be left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct RunRequest {
    /// Values of parameters by name.
    #[schema(value_type = Object)]
    params: Value,
    /// The instant that the run stands for; the newest tick if left out.
    #[schema(example = "2017-05-01T02:00:00Z")]
    logical_date: Option<String>,
}

/// A request that was read.
struct Wanted {
    dag: Arc<Dag>,
    params: BTreeMap<String, Value>,
    /// Only if it was given: it is part of what an Idempotency-Key stands for.
    given_date: Option<Timestamp>,
    logical_date: Timestamp,
    interval_start: Timestamp,
}

/// Starts a run. With an `Idempotency-Key`, the same request repeated within a day answers the same run.
#[utoipa::path(
    post, path = "/api/v1/dags/{name}/runs", tag = "dags",
    params(
        ("name" = String, Path, description = "Name of the DAG"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice"),
    ),
    request_body(content = RunRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "The run is recorded and starts when there is room; `Location` names it", body = Object),
        (status = 400, description = "The body is not JSON, or the key is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The request with this key is being handled", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "Parameters are wrong (all are named), or the key was used for another request", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trigger(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let dag = dags::find(&state, &name)?;
    let wanted = read(dag.clone(), &headers, bytes)?;
    let key = idempotency_key(&headers)?;
    let (params, given_date) = (wanted.params.clone(), wanted.given_date);
    let asked = Asked {
        caller: caller.clone(),
        request: json!([dag.name, params, given_date]),
        dag: dag.name.clone(),
        fits: move |run: &RunRecord| {
            run.retry_of.is_none() && run.params == params && given_date.is_none_or(|date| date == run.logical_date)
        },
    };
    let make = {
        let state = state.clone();
        async move { make(&state, &caller, wanted).await }
    };
    let id = once(&state, key, asked, make).await?;
    recorded(&state, &id).await
}

fn read(dag: Arc<Dag>, headers: &HeaderMap, bytes: Arrived) -> Result<Wanted, Problem> {
    let mut body = Body::read(headers, bytes)?;
    let given = texts(&mut body);
    let given_date = body.parsed("logical_date", instant);
    let params = match dag.bind(&given) {
        Ok(params) => params,
        Err(problems) => {
            for problem in problems {
                body.fault("params", problem);
            }
            BTreeMap::new()
        }
    };
    body.finish()?;
    let (interval_start, logical_date) =
        interval_of(dag.schedule.as_ref(), given_date, Timestamp::now()).map_err(|error| {
            Problem::invalid_fields(vec![Fault {
                pointer: "/logical_date".to_owned(),
                message: error.to_string(),
            }])
        })?;
    Ok(Wanted {
        dag,
        params,
        given_date,
        logical_date,
        interval_start,
    })
}

/// Parameters as the texts of a command line, which is how they are checked.
pub(super) fn texts(body: &mut Body) -> BTreeMap<String, String> {
    texts_of(body, "params")
}

/// The same of another field.
pub(super) fn texts_of(body: &mut Body, field: &str) -> BTreeMap<String, String> {
    let object: Map<String, Value> = body.object(field);
    let mut texts = BTreeMap::new();
    for (name, value) in object {
        match value {
            Value::String(text) => drop(texts.insert(name, text)),
            Value::Number(number) => drop(texts.insert(name, number.to_string())),
            Value::Bool(yes) => drop(texts.insert(name, yes.to_string())),
            _ => body.fault(&format!("{field}/{name}"), "is no text, number, true or false"),
        }
    }
    texts
}

/// An instant, or a date that is read as its midnight in UTC.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let civil: Result<jiff::civil::DateTime, _> = text.parse();
    civil
        .and_then(|civil| jiff::tz::TimeZone::UTC.to_timestamp(civil))
        .map_err(|_| "is no instant (2017-05-01T02:00:00Z) and no date (2017-05-01)".to_owned())
}

async fn make(state: &Arc<State>, caller: &Caller, wanted: Wanted) -> Result<String, Problem> {
    let new = NewRun {
        dag: Dag::clone(&wanted.dag),
        params: wanted.params,
        logical_date: wanted.logical_date,
        interval_start: wanted.interval_start,
        trigger: RunTrigger::Manual,
        actor: caller.name().to_owned(),
    };
    let subject = format!("{} at {}", new.dag.name, new.logical_date);
    let engine = state.engine.clone();
    audited(state, caller, "run.trigger", subject, async move {
        Ok(engine.create_run(new).await?)
    })
    .await
}
