//! `GET /api/v1/dags`.

use std::sync::Arc;

use axum::Json;
use axum::extract;
use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_runtime::cron::Timetable;
use serde_json::{Value, json};

use crate::server::State;

/// The next tick, if the DAG has a schedule that ticks again.
pub(super) fn next_tick(dag: &Dag) -> Option<Timestamp> {
    Timetable::new(dag.schedule.as_ref()?)
        .ok()?
        .next_after(Timestamp::now())
}

/// All DAG files. `valid` is false where the newest text has problems; then the last good version stays scheduled.
pub(super) async fn list(extract::State(state): extract::State<Arc<State>>) -> Json<Value> {
    let dags: Vec<Value> = state
        .directory
        .files()
        .iter()
        .map(|file| {
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
                "tasks": dag.map(|dag| dag.tasks.iter().map(|task| &task.id).collect::<Vec<_>>()),
            })
        })
        .collect();
    Json(json!({ "dags": dags }))
}
