//! `POST /api/v1/dags/{name}/pause` and `unpause`: whether a DAG starts anything by itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path};
use serde_json::{Value, json};

use super::dags;
use crate::access::{Caller, audited};
use crate::problem::Problem;
use crate::server::State;

/// Pauses a DAG: no tick and no trigger starts a run of it. Runs under way go on, and whoever asks for a run gets one.
/// Pausing again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/dags/{name}/pause", tag = "dags",
    params(("name" = String, Path, description = "Name of the DAG")),
    responses(
        (status = 200, description = "`dag` and `paused`: since when and by whom", body = Object),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let dag = dags::find(&state, &name)?;
    let (engine, actor) = (state.engine.clone(), caller.name().to_owned());
    audited(&state, &caller, "dag.pause", name.clone(), async move {
        Ok(engine.store().pause(&dag.name, &actor).await?)
    })
    .await?;
    answer(&state, &name).await
}

/// Ends the pause of a DAG. Ticks that came meanwhile go by the schedule's `catchup`. Also for a DAG whose file is gone.
#[utoipa::path(
    post, path = "/api/v1/dags/{name}/unpause", tag = "dags",
    params(("name" = String, Path, description = "Name of the DAG")),
    responses(
        (status = 200, description = "`dag` and `paused`, which is null", body = Object),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unpause(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    if !state.engine.store().pauses().await?.contains_key(&name) {
        dags::find(&state, &name)?;
    }
    let (engine, dag) = (state.engine.clone(), name.clone());
    audited(&state, &caller, "dag.unpause", name.clone(), async move {
        Ok(engine.store().unpause(&dag).await?)
    })
    .await?;
    answer(&state, &name).await
}

async fn answer(state: &State, name: &str) -> Result<Json<Value>, Problem> {
    let paused = state.engine.store().pauses().await?.remove(name);
    Ok(Json(json!({ "dag": name, "paused": paused })))
}
