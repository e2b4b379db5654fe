//! `GET` and `POST /api/v1/dags/{name}/config`: what an operator sets beside the file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path};
use axum::http::HeaderMap;
use ratchet_core::spec::Dag;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::dags;
use crate::access::{Caller, audited};
use crate::overrides::Overrides;
use crate::problem::{BodyProblems, Fault, Problem};
use crate::server::State;

/// What shall hold beside the file. What is left out stays as it is set; null takes it away.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct ConfigRequest {
    /// The schedule's cron line.
    #[schema(example = "0 3 * * 1")]
    cron: Option<String>,
    /// The schedule's time zone.
    #[schema(example = "Europe/London")]
    timezone: Option<String>,
    /// Least time from the begin of a triggered run to the begin of the next.
    #[schema(example = "6h")]
    cooldown: Option<String>,
    /// False for no triggers, or a list of triggers as in the file.
    #[schema(value_type = Option<Value>)]
    triggers: Option<Value>,
    /// Defaults of parameters by name; null takes one away.
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// Whether the DAG starts nothing by itself.
    paused: Option<bool>,
}

/// What the file says, what is set beside it, and what holds.
#[utoipa::path(
    get, path = "/api/v1/dags/{name}/config", tag = "dags",
    params(("name" = String, Path, description = "Name of the DAG")),
    responses(
        (status = 200, description = "`file`, `overrides`, `effective`, `problems` (what is set and does not fit the file any more), `paused`", body = Object),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    dags::find(&state, &name)?;
    answer(&state, &name).await
}

/// Sets what shall hold beside the file, checked as the file is. It holds for ticks, triggers and runs from now on.
#[utoipa::path(
    post, path = "/api/v1/dags/{name}/config", tag = "dags",
    params(("name" = String, Path, description = "Name of the DAG")),
    request_body(content = ConfigRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "As `GET` tells it", body = Object),
        (status = 400, description = "The body is not JSON", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "What shall hold does not fit; all faults are named", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn set(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Json<Value>, Problem> {
    dags::find(&state, &name)?;
    let written = state.directory.written(&name);
    let written = written.ok_or_else(|| Problem::not_found(format!("there is no DAG `{name}` any more")))?;
    let mut body = Body::read(&headers, bytes)?;
    let before = state.engine.store().overrides().await?.remove(&name);
    let mut overrides = before.map(|before| Overrides::of(&before.document)).unwrap_or_default();
    for (field, place) in [
        ("cron", &mut overrides.cron),
        ("timezone", &mut overrides.timezone),
        ("cooldown", &mut overrides.cooldown),
        ("triggers", &mut overrides.triggers),
    ] {
        if let Some(value) = body.value(field) {
            *place = Some(value).filter(|value| !value.is_null());
        }
    }
    for (param, value) in body.object("params") {
        match value {
            Value::Null => drop(overrides.params.remove(&param)),
            value => drop(overrides.params.insert(param, value)),
        }
    }
    let paused = body.has("paused").then(|| body.truth("paused"));
    let (_, faults) = overrides.apply(&written, state.directory.registry());
    for Fault { pointer, message } in faults {
        body.fault(pointer.trim_start_matches('/'), message);
    }
    body.finish()?;
    let (engine, actor, dag) = (state.engine.clone(), caller.name().to_owned(), name.clone());
    audited(&state, &caller, "dag.configure", name.clone(), async move {
        let document = if overrides.is_empty() {
            Value::Null
        } else {
            json!(overrides)
        };
        engine.store().set_overrides(&dag, &document, &actor).await?;
        match paused {
            Some(true) => drop(engine.store().pause(&dag, &actor).await?),
            Some(false) => drop(engine.store().unpause(&dag).await?),
            None => {}
        }
        Ok(())
    })
    .await?;
    state.directory.refresh(&state.engine).await;
    answer(&state, &name).await
}

async fn answer(state: &State, name: &str) -> Result<Json<Value>, Problem> {
    let effective = dags::find(state, name)?;
    let written = state.directory.written(name).unwrap_or_else(|| effective.clone());
    let stored = state.engine.store().overrides().await?.remove(name);
    let paused = state.engine.store().pauses().await?.remove(name);
    let overrides = stored.as_ref().map(|stored| stored.document.clone());
    let problems = Overrides::of(&overrides.clone().unwrap_or_default())
        .apply(&written, state.directory.registry())
        .1;
    Ok(Json(json!({
        "dag": name,
        "file": settings(&written),
        "overrides": overrides.unwrap_or_else(|| json!({})),
        "effective": settings(&effective),
        "problems": problems,
        "set_at": stored.as_ref().map(|stored| stored.at),
        "set_by": stored.as_ref().map(|stored| &stored.by),
        "paused": paused,
    })))
}

fn settings(dag: &Dag) -> Value {
    let defaults: Map<String, Value> = dag
        .params
        .iter()
        .map(|(name, param)| (name.clone(), param.default.clone().unwrap_or_default()))
        .collect();
    let schedule = dag.schedule.as_ref();
    json!({
        "cron": schedule.map(|schedule| &schedule.cron),
        "timezone": schedule.map(|schedule| &schedule.timezone),
        "cooldown_seconds": dag.cooldown.as_secs_f64(),
        "triggers": dag.triggers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "params": defaults,
    })
}
