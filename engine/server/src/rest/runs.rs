//! `GET /api/v1/runs`, one run, its tasks and attempts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path, Query};
use ratchet_runtime::{RunFilter, RunRecord, RunStatus, RunTrigger, TaskProgress};
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Asked, limit};
use crate::problem::Problem;
use crate::server::State;

/// How many runs are answered when nobody says.
const USUAL: u32 = 50;
/// How many runs are answered at most.
const MOST: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    dag: Option<String>,
    status: Option<String>,
    trigger: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Runs, newest first. `next` is the cursor of the following page; null at the end.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "runs",
    params(
        ("dag" = Option<String>, Query, description = "Only runs of this DAG"),
        ("status" = Option<String>, Query, description = "Only `running`, `succeeded`, `failed` or `cancelled` ones"),
        ("trigger" = Option<String>, Query, description = "Only `manual`, `schedule`, `backfill` or `event` ones"),
        ("limit" = Option<u32>, Query, description = "How many: 1 to 1,000, 50 if left out"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "`runs` and `next`", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    extract::State(state): extract::State<Arc<State>>,
    query: Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = limit(query.limit, USUAL, MOST)?;
    let status = query.status.as_deref().map(|name| {
        RunStatus::from_name(name).ok_or_else(|| {
            Problem::bad_request(format!(
                "status is `{name}`; write running, succeeded, failed or cancelled"
            ))
        })
    });
    let status = status.transpose()?;
    let trigger = query.trigger.as_deref().map(|name| {
        RunTrigger::from_name(name).ok_or_else(|| {
            Problem::bad_request(format!(
                "trigger is `{name}`; write manual, schedule, backfill or event"
            ))
        })
    });
    let trigger = trigger.transpose()?;
    let is_cursor =
        |text: &str| text.len() == 36 && text.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    if let Some(cursor) = query.cursor.as_deref().filter(|text| !is_cursor(text)) {
        return Err(Problem::bad_request(format!(
            "cursor is `{cursor}`; give `next` of the page before"
        )));
    }
    let filter = RunFilter {
        dag: query.dag.as_deref(),
        status,
        trigger,
    };
    // One more than asked for tells whether another page follows.
    let store = state.engine.store();
    let mut runs = store.runs_page(filter, query.cursor.as_deref(), limit + 1).await?;
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let next = runs.last().filter(|_| more).map(|run| run.id.clone());
    let runs: Vec<Value> = runs.iter().map(summary).collect();
    Ok(Json(json!({ "runs": runs, "next": next })))
}

/// One run with its tasks, how far its attempts under way got, what people were asked, and the text of its DAG.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "Id of the run, or its beginning or end")),
    responses(
        (status = 200, description = "The run", body = Object),
        (status = 400, description = "The beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = find(&state, &id).await?;
    let tasks = state.engine.store().tasks(&run.id).await?;
    let mut document = summary(&run);
    document["dag_text"] = json!(run.dag_text);
    document["tasks"] = json!(tasks);
    let progress = state.engine.store().progress(&run.id).await?;
    document["progress"] = progress.iter().map(how_far).collect();
    document["approvals"] = json!(state.engine.store().approvals(&run.id).await?);
    Ok(Json(document))
}

/// The tasks of a run in the order of its DAG, with their outputs.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/tasks", tag = "runs",
    params(("id" = String, Path, description = "Id of the run, or its beginning or end")),
    responses(
        (status = 200, description = "`tasks`", body = Object),
        (status = 400, description = "The beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tasks(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = find(&state, &id).await?;
    let tasks = state.engine.store().tasks(&run.id).await?;
    Ok(Json(json!({ "run": run.id, "tasks": tasks })))
}

/// The attempts of a run, by task, then by number.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/attempts", tag = "runs",
    params(("id" = String, Path, description = "Id of the run, or its beginning or end")),
    responses(
        (status = 200, description = "`attempts`", body = Object),
        (status = 400, description = "The beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn attempts(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = find(&state, &id).await?;
    let attempts = state.engine.store().attempts(&run.id).await?;
    Ok(Json(json!({ "run": run.id, "attempts": attempts })))
}

/// The run of that id, or the one whose id begins or ends so.
pub(super) async fn find(state: &State, id: &str) -> Result<RunRecord, Problem> {
    let run = state.engine.store().run(id).await?;
    run.ok_or_else(|| Problem::not_found(format!("there is no run `{id}`; GET /api/v1/runs lists them")))
}

/// How far an attempt under way got.
pub(super) fn how_far(progress: &TaskProgress) -> Value {
    json!({
        "task": progress.task, "attempt": progress.attempt, "fraction": progress.fraction, "message": progress.message,
    })
}

/// A run without the text of its DAG.
pub(super) fn summary(run: &RunRecord) -> Value {
    json!({
        "id": run.id, "dag": run.dag, "status": run.status, "trigger": run.trigger, "actor": run.actor,
        "params": run.params, "logical_date": run.logical_date, "interval_start": run.interval_start,
        "created_at": run.created_at, "finished_at": run.finished_at, "file_name": run.file_name,
        "retry_of": run.retry_of, "due_at": run.due_at, "late_at": run.late_at,
    })
}
