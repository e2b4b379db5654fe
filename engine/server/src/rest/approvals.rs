//! `POST /api/v1/runs/{id}/tasks/{task}/approve`: somebody answers the question of a task.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path};
use axum::http::HeaderMap;
use ratchet_runtime::EngineError;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::{runs, trigger};
use crate::access::{Caller, audited};
use crate::problem::{BodyProblems, Fault, Problem};
use crate::server::State;

/// A yes or a no.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct AnswerRequest {
    /// Yes.
    #[schema(example = true)]
    approved: bool,
    /// Why; may be left out.
    reason: Option<String>,
    /// Values of the form's fields by name. What has a default may be left out, and all of it with a no.
    #[schema(value_type = Object)]
    fields: Value,
}

/// Answers the question of a task that waits for a person.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/tasks/{task}/approve", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("task" = String, Path, description = "Id of the task"),
    ),
    request_body(content = AnswerRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "`run`, `task` and the `answer` that is kept; the run goes on within a second", body = Object),
        (status = 400, description = "The body is not JSON, or the beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run or task", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The task does not wait for an answer, or not any more", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "The form is not filled well; all faults are named", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn approve(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path((id, task)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<Value>, Problem> {
    let run = runs::find(&state, &id).await?;
    let mut body = Body::read(&headers, bytes)?;
    if !body.has("approved") {
        body.fault("approved", "is missing: true for yes, false for no");
    }
    let approved = body.truth("approved");
    let reason = body.text("reason");
    let given = trigger::texts_of(&mut body, "fields");
    body.finish()?;
    let (engine, actor) = (state.engine.clone(), caller.name().to_owned());
    let word = if approved { "yes" } else { "no" };
    let subject = format!("{} {task}: {word}", run.id);
    let (run_id, task_id) = (run.id.clone(), task.clone());
    let answer = audited(&state, &caller, "task.approve", subject, async move {
        let answered = engine
            .approve(&run.id, &task, approved, &given, reason.as_deref(), &actor)
            .await;
        answered.map_err(in_the_form)
    })
    .await?;
    Ok(Json(json!({ "run": run_id, "task": task_id, "answer": answer })))
}

fn in_the_form(error: EngineError) -> Problem {
    match error {
        EngineError::Form { problems, .. } => Problem::invalid_fields(
            problems
                .into_iter()
                .map(|(field, message)| Fault {
                    pointer: format!("/fields/{}", field.replace('~', "~0").replace('/', "~1")),
                    message,
                })
                .collect(),
        ),
        other => other.into(),
    }
}
