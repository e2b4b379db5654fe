//! `GET /api/v1/dags`, one DAG, its next ticks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path, Query};
use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_runtime::Pause;
use ratchet_runtime::cron::Timetable;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Asked;
use crate::directory::DagFile;
use crate::problem::Problem;
use crate::server::State;

/// Ticks that are answered when nobody says.
const DEFAULT_TICKS: usize = 5;
/// What triggers saw that is told with a DAG.
const EVENTS: u32 = 20;
/// Ticks that are answered at most.
const TICKS: usize = 1_000;

/// The next tick, if the DAG has a schedule that ticks again.
pub(super) fn next_tick(dag: &Dag) -> Option<Timestamp> {
    Timetable::new(dag.schedule.as_ref()?)
        .ok()?
        .next_after(Timestamp::now())
}

/// All DAG files. `valid` is false where the newest text has problems; then the last good version stays scheduled.
#[utoipa::path(
    get, path = "/api/v1/dags", tag = "dags",
    responses((status = 200, description = "`dags`: file, validity, problems, name, schedule, next tick, pause and tasks of each", body = Object))
)]
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Result<Json<Value>, Problem> {
    let pauses = state.engine.store().pauses().await?;
    let files = state.directory.files();
    let dags: Vec<Value> = files.iter().map(|file| summary(file, &pauses)).collect();
    Ok(Json(json!({ "dags": dags })))
}

/// One DAG with its parameters, its graph and its text.
#[utoipa::path(
    get, path = "/api/v1/dags/{name}", tag = "dags",
    params(("name" = String, Path, description = "Name of the DAG")),
    responses(
        (status = 200, description = "The DAG; `graph` says what depends on what, `triggers` how each stands, `trigger_events` what they saw lately", body = Object),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let dag = find(&state, &name)?;
    let files = state.directory.files();
    let file = files
        .iter()
        .find(|file| file.dag.as_ref().is_some_and(|known| Arc::ptr_eq(known, &dag)));
    let pauses = state.engine.store().pauses().await?;
    let mut document = file.map(|file| summary(file, &pauses)).unwrap_or_default();
    let params: serde_json::Map<String, Value> = dag
        .params
        .iter()
        .map(|(name, param)| {
            let about = json!({
                "type": param.kind, "description": param.description, "default": param.default,
                "minimum": param.minimum, "maximum": param.maximum, "choices": param.choices,
            });
            (name.clone(), about)
        })
        .collect();
    document["params"] = Value::Object(params);
    document["triggers"] = json!(state.engine.triggers_of(&dag).await?);
    document["trigger_events"] = json!(state.engine.store().trigger_events(&dag.name, EVENTS).await?);
    document["cooldown_seconds"] = json!(dag.cooldown.as_secs_f64());
    document["deadline_seconds"] = json!(dag.deadline.map(|deadline| deadline.as_secs_f64()));
    document["max_active_runs"] = json!(dag.max_active_runs);
    document["graph"] = dag.graph_json();
    document["text"] = json!(dag.text);
    Ok(Json(document))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NextQuery {
    count: Option<usize>,
    after: Option<Timestamp>,
}

/// The next ticks of a DAG's schedule.
#[utoipa::path(
    get, path = "/api/v1/dags/{name}/next", tag = "dags",
    params(
        ("name" = String, Path, description = "Name of the DAG"),
        ("count" = Option<u32>, Query, description = "How many: 1 to 1,000, 5 if left out"),
        ("after" = Option<String>, Query, description = "Ticks after this instant; now if left out"),
    ),
    responses(
        (status = 200, description = "`ticks`: instants; none if the schedule never ticks again", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The DAG has no schedule", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn next(
    extract::State(state): extract::State<Arc<State>>,
    Path(name): Path<String>,
    query: Asked<NextQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let count = query.count.unwrap_or(DEFAULT_TICKS);
    if !(1..=TICKS).contains(&count) {
        return Err(Problem::bad_request(format!("count is {count}; give 1 to {TICKS}")));
    }
    let dag = find(&state, &name)?;
    let Some(schedule) = &dag.schedule else {
        return Err(Problem::conflict(format!(
            "`{name}` has no schedule; it runs when somebody asks for a run"
        )));
    };
    let timetable = Timetable::new(schedule).map_err(|error| Problem::internal(error.to_string()))?;
    let first = timetable.next_after(query.after.unwrap_or_else(Timestamp::now));
    let ticks: Vec<Timestamp> = std::iter::successors(first, |tick| timetable.next_after(*tick))
        .take(count)
        .collect();
    Ok(Json(
        json!({ "dag": name, "timezone": schedule.timezone, "ticks": ticks }),
    ))
}

/// The DAG of that name that runs would use.
pub(super) fn find(state: &State, name: &str) -> Result<Arc<Dag>, Problem> {
    state.directory.dags().remove(name).ok_or_else(|| {
        Problem::not_found(format!(
            "there is no DAG `{name}` without problems; GET /api/v1/dags lists the files"
        ))
    })
}

fn summary(file: &DagFile, pauses: &BTreeMap<String, Pause>) -> Value {
    let dag = file.dag.as_deref();
    json!({
        "file": file.path,
        "valid": file.problems.is_null(),
        "problems": file.problems,
        "name": dag.map(|dag| &dag.name),
        "description": dag.map(|dag| &dag.description),
        "cron": dag.and_then(|dag| dag.schedule.as_ref()).map(|schedule| &schedule.cron),
        "timezone": dag.and_then(|dag| dag.schedule.as_ref()).map(|schedule| &schedule.timezone),
        "next": dag.and_then(next_tick),
        "paused": dag.and_then(|dag| pauses.get(&dag.name)),
        "tasks": dag.map(|dag| dag.tasks.iter().map(|task| &task.id).collect::<Vec<_>>()),
    })
}
