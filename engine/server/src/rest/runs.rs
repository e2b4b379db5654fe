//! `GET /api/v1/runs`, one run, its logs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path, Query};
use ratchet_runtime::RunRecord;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::State;

/// How many runs are answered when nobody says.
const DEFAULT_LIMIT: u32 = 50;
/// How many runs are answered at most.
const LIMIT: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    dag: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    task: Option<String>,
}

type Asked<Fields> = Result<Query<Fields>, extract::rejection::QueryRejection>;

/// The newest runs.
pub(super) async fn list(
    extract::State(state): extract::State<Arc<State>>,
    query: Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}; give 1 to {LIMIT}")));
    }
    let runs = state.engine.store().list_runs(query.dag.as_deref(), limit).await?;
    Ok(Json(json!({ "runs": runs.iter().map(summary).collect::<Vec<_>>() })))
}

/// One run with its tasks and the text of its DAG.
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = find(&state, &id).await?;
    let tasks = state.engine.store().tasks(&run.id).await?;
    let mut document = summary(&run);
    document["dag_text"] = json!(run.dag_text);
    document["tasks"] = json!(tasks);
    Ok(Json(document))
}

/// The log lines of a run's ended attempts, or of one task's.
pub(super) async fn logs(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
    query: Asked<LogsQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let run = find(&state, &id).await?;
    let lines = state.engine.logs(&run.id, query.task.as_deref()).await?;
    Ok(Json(json!({ "run": run.id, "lines": lines })))
}

async fn find(state: &State, id: &str) -> Result<RunRecord, Problem> {
    let run = state.engine.store().run(id).await?;
    run.ok_or_else(|| Problem::not_found(format!("there is no run `{id}`; GET /api/v1/runs lists them")))
}

fn summary(run: &RunRecord) -> Value {
    json!({
        "id": run.id, "dag": run.dag, "status": run.status, "trigger": run.trigger, "actor": run.actor,
        "params": run.params, "logical_date": run.logical_date, "interval_start": run.interval_start,
        "created_at": run.created_at, "finished_at": run.finished_at, "file_name": run.file_name,
    })
}
