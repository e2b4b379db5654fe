//! `POST /api/v1/runs/{id}/cancel`, `retry`, `clear`, and `tasks/{task}/mark`: what people do with runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_runtime::{EngineError, Repeat, RunRecord, TaskState};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::once::{Asked, idempotency_key, once, recorded};
use super::{runs, trigger};
use crate::access::{Caller, audited};
use crate::problem::{BodyProblems, Fault, Problem};
use crate::server::State;

/// What a retry runs again. Everything may be left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct RetryRequest {
    /// Tasks to begin with, also where they succeeded; those that did not succeed if left out.
    from: Vec<String>,
    /// Only the tasks of `from`, not what comes after them.
    only_task: bool,
    /// Other values of parameters by name; what reads them is run again.
    #[schema(value_type = Object)]
    params: Value,
}

/// The tasks to run again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct ClearRequest {
    /// Ids of tasks; what comes after them follows.
    tasks: Vec<String>,
    /// Nothing follows.
    only_task: Option<bool>,
}

/// What a task came to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct MarkRequest {
    /// `succeeded`, `failed` or `skipped`.
    #[schema(example = "succeeded")]
    state: String,
}

/// Asks for the end of a run, whoever drives it. Asking again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "Id of the run, or its beginning or end")),
    responses(
        (status = 202, description = "The wish is recorded: the run ends within seconds; `Location` names it", body = Object),
        (status = 400, description = "The beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has ended", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = runs::find(&state, &id).await?;
    let (engine, actor, subject) = (state.engine.clone(), caller.name().to_owned(), run.id.clone());
    let run = audited(&state, &caller, "run.cancel", subject, async move {
        Ok(engine.ask_to_cancel(&run.id, &actor).await?)
    })
    .await?;
    // If nobody drives it, taking it over is what ends it.
    state.wake.notify_one();
    let place = [(header::LOCATION, format!("/api/v1/runs/{}", run.id))];
    Ok((StatusCode::ACCEPTED, place, Json(runs::summary(&run))).into_response())
}

/// Repeats an ended run as a new one that keeps what succeeded. With an `Idempotency-Key`, the same request repeated
/// within a day answers the same run.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/retry", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice"),
    ),
    request_body(content = RetryRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "The new run is recorded and starts when there is room; `Location` names it, `retry_of` the one that it repeats", body = Object),
        (status = 400, description = "The body is not JSON, the key is not usable, or the beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has not ended, or nothing is left to run again", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "A task or parameter is wrong, or the key was used for another request", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn retry(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let run = runs::find(&state, &id).await?;
    let mut body = Body::read(&headers, bytes)?;
    let from = body.texts("from");
    let only = body.truth("only_task");
    let params = trigger::texts(&mut body);
    if only && from.is_empty() {
        body.fault("only_task", "needs `from`: name the tasks that are run alone");
    }
    body.finish()?;
    let again = Again {
        action: "run.retry",
        field: "/from",
        run,
        repeat: Repeat {
            from,
            only,
            reserved: false,
        },
        params,
    };
    repeat(&state, &caller, idempotency_key(&headers)?, again).await
}

/// Runs tasks of an ended run again, with what comes after them, in a new run. With an `Idempotency-Key`, the same
/// request repeated within a day answers the same run.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/clear", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice"),
    ),
    request_body(content = ClearRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "The new run is recorded and starts when there is room; `Location` names it, `retry_of` the one that it repeats", body = Object),
        (status = 400, description = "The body is not JSON, the key is not usable, or the beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has not ended", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "A task is wrong or none is named, or the key was used for another request", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn clear(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let run = runs::find(&state, &id).await?;
    let mut body = Body::read(&headers, bytes)?;
    let missing = !body.has("tasks");
    let from = body.texts("tasks");
    let only = body.truth("only_task");
    if missing {
        body.fault("tasks", "is missing");
    } else if from.is_empty() {
        body.fault("tasks", "names no task");
    }
    body.finish()?;
    let again = Again {
        action: "run.clear",
        field: "/tasks",
        run,
        repeat: Repeat {
            from,
            only,
            reserved: false,
        },
        params: BTreeMap::new(),
    };
    repeat(&state, &caller, idempotency_key(&headers)?, again).await
}

/// Corrects by hand what a task of an ended run came to.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/tasks/{task}/mark", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("task" = String, Path, description = "Id of the task"),
    ),
    request_body(content = MarkRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "`run`, `task`, `state`, and how the run stands now as `status`", body = Object),
        (status = 400, description = "The body is not JSON, or the beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run or task", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has not ended", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "The state is none that a task can be marked", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn mark(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path((id, task)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<Value>, Problem> {
    let run = runs::find(&state, &id).await?;
    let mut body = Body::read(&headers, bytes)?;
    let named = body.required_text("state");
    let marked = [TaskState::Succeeded, TaskState::Failed, TaskState::Skipped]
        .into_iter()
        .find(|state| state.name() == named);
    if marked.is_none() && !named.trim().is_empty() {
        body.fault("state", "is none of `succeeded`, `failed` and `skipped`");
    }
    body.finish()?;
    let marked = marked.ok_or_else(|| Problem::internal("a state was read as none"))?;
    let (engine, actor) = (state.engine.clone(), caller.name().to_owned());
    let subject = format!("{} {task} as {marked}", run.id);
    let answer = json!({ "run": run.id, "task": task, "state": marked });
    let status = audited(&state, &caller, "task.mark", subject, async move {
        Ok(engine.mark(&run.id, &task, marked, &actor).await?)
    })
    .await?;
    let mut answer = answer;
    answer["status"] = json!(status);
    Ok(Json(answer))
}

/// A repetition that was read.
struct Again {
    action: &'static str,
    /// Where the body names tasks.
    field: &'static str,
    run: RunRecord,
    repeat: Repeat,
    params: BTreeMap<String, String>,
}

async fn repeat(state: &Arc<State>, caller: &Caller, key: Option<String>, again: Again) -> Result<Response, Problem> {
    let Again {
        action,
        field,
        run,
        repeat,
        params,
    } = again;
    let (dag, of) = (run.dag.clone(), run.id.clone());
    let request = json!([action, run.id, repeat.from, repeat.only, params]);
    let given = params.clone();
    let asked = Asked {
        caller: caller.clone(),
        request,
        dag,
        // The tasks that ran again are not compared: one caller's repetitions of one run without a key lie apart in time.
        fits: move |made: &RunRecord| {
            made.retry_of.as_ref() == Some(&of)
                && given.iter().all(|(name, text)| {
                    made.params.get(name).is_some_and(|value| match value.as_str() {
                        Some(value) => value == text,
                        None => serde_json::from_str(text).is_ok_and(|given: Value| given == *value),
                    })
                })
        },
    };
    let make = {
        let (state, caller) = (state.clone(), caller.clone());
        async move {
            let subject = match &repeat.from[..] {
                [] => run.id.clone(),
                tasks => format!("{} from {}", run.id, tasks.join(", ")),
            };
            let (engine, actor) = (state.engine.clone(), caller.name().to_owned());
            audited(&state, &caller, action, subject, async move {
                let made = engine.retry(&run.id, &repeat, &params, &actor).await;
                made.map_err(|error| in_the_body(error, field))
            })
            .await
        }
    };
    let id = once(state, key, asked, make).await?;
    recorded(state, &id).await
}

/// What the body names is wrong in the body, not missing at the path.
fn in_the_body(error: EngineError, tasks: &str) -> Problem {
    let pointer = match &error {
        EngineError::UnknownTask { .. } => tasks,
        EngineError::Params { .. } => "/params",
        _ => return error.into(),
    };
    Problem::invalid_fields(vec![Fault {
        pointer: pointer.to_owned(),
        message: error.to_string(),
    }])
}
