//! `/retrain`: what the engine does about new models, for those who know only this service.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use ratchet_identity::Act;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::caller::{self, Caller};
use crate::fields::Fields;
use crate::problem::Problem;
use crate::refusals::{BodyRefusals, RunRefusals};
use crate::service::Application;

/// Most runs of one answer.
const MOST: u32 = 1000;

/// How retraining stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetrainStatus {
    /// Name of the DAG that retrains.
    dag: String,
    /// The run that is under way.
    #[schema(value_type = Option<Object>)]
    active: Option<Value>,
    /// The newest run that ended.
    #[schema(value_type = Option<Object>)]
    last: Option<Value>,
    /// The schedule's cron line.
    cron: Option<String>,
    /// Its next tick.
    next: Option<String>,
    /// Before this moment a trigger has to be forced; null if it need not.
    cooldown_until: Option<String>,
}

/// What shall be retrained with. Everything may be left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub struct RetrainRequest {
    /// Whether to start it also while a run is under way or in cooldown.
    force: Option<bool>,
    /// Values of the DAG's parameters by name.
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
}

/// The newest runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetrainLog {
    /// Newest first, as the engine tells them.
    #[schema(value_type = Vec<Object>)]
    runs: Vec<Value>,
}

/// Whether a run is under way, how the last one ended, and when the next begins.
#[utoipa::path(
    get, path = "/retrain/status", tag = "retraining", operation_id = "retrain_status",
    responses((status = 200, description = "How it stands", body = RetrainStatus))
)]
pub async fn status(State(application): State<Arc<Application>>) -> Result<Json<RetrainStatus>, Problem> {
    Ok(Json(standing(&application).await?))
}

async fn standing(application: &Application) -> Result<RetrainStatus, Problem> {
    let engine = &application.engine;
    let (name, dag) = engine.dag().await?;
    let runs = engine.runs(&name, 20).await?;
    let is_active = |run: &&Value| run["status"] == "running";
    let newest: Option<Timestamp> = runs.first().and_then(|run| run["created_at"].as_str()?.parse().ok());
    let cooldown = SignedDuration::try_from(engine.cooldown).unwrap_or(SignedDuration::ZERO);
    let until = newest
        .map(|newest| newest + cooldown)
        .filter(|until| *until > Timestamp::now());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(RetrainStatus {
        active: runs.iter().find(is_active).cloned(),
        last: runs.iter().find(|run| !is_active(run)).cloned(),
        cron: text(&dag["cron"]),
        next: text(&dag["next"]),
        cooldown_until: until.map(|until| until.to_string()),
        dag: name,
    })
}

/// Starts a run of the DAG that retrains.
#[utoipa::path(
    post, path = "/retrain/trigger", tag = "retraining", operation_id = "retrain_trigger",
    request_body(content = RetrainRequest, content_type = "application/json"),
    responses(
        (status = 202, description = "The run", body = Object),
        BodyRefusals,
        RunRefusals,
    )
)]
pub async fn trigger(State(application): State<Arc<Application>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller::required(&parts.extensions)?;
    let mut fields = Fields::read(&parts.headers, body).await?;
    let force = fields.flag("force", false);
    let params = match fields.value("params") {
        Value::Null => json!({}),
        object @ Value::Object(_) => object,
        _ => {
            let () = fields.refuse("params", "wrong_type", "expected an object");
            Value::Null
        }
    };
    fields.finish()?;
    let run = start(&application, &caller, "retrain.trigger", force, &params).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// Starts a run, unless one is in the way. The audit log keeps who asked.
///
/// # Errors
/// 409 with what is in the way, 422, 503.
pub(super) async fn start(
    application: &Arc<Application>,
    caller: &Caller,
    action: &'static str,
    force: bool,
    params: &Value,
) -> Result<Value, Problem> {
    let standing = standing(application).await?;
    if !force {
        if let Some(active) = &standing.active {
            let id = active["id"].as_str().unwrap_or_default();
            return Err(Problem::conflict(format!(
                "run {id} of {} is under way; wait for it, or send \"force\": true",
                standing.dag
            )));
        }
        if let Some(until) = &standing.cooldown_until {
            return Err(Problem::conflict(format!(
                "the last run of {} began too short a time ago; wait until {until}, or send \"force\": true",
                standing.dag
            )));
        }
    }
    let asked = application.engine.trigger(&standing.dag, params);
    let told = |run: &Value| format!("done: run {}", run["id"].as_str().unwrap_or_default());
    audited(application, caller, action, &standing.dag, asked, told).await
}

/// Asks the engine for something that changes it. The audit log keeps who asked and what came of it.
///
/// # Errors
/// 503 if the audit log cannot be written: then nothing is asked; else what the engine says.
pub(super) async fn audited(
    application: &Application,
    caller: &Caller,
    action: &'static str,
    subject: &str,
    asked: impl Future<Output = Result<Value, Problem>>,
    told: impl FnOnce(&Value) -> String,
) -> Result<Value, Problem> {
    let identity = application.identity.acting(caller.actor());
    let written = identity.audit(&Act::asked(action, subject)).await;
    written.map_err(|error| {
        tracing::error!(%error, "the audit log cannot be written");
        Problem::users_unavailable()
    })?;
    let answered = asked.await;
    let outcome = match &answered {
        Ok(answer) => told(answer),
        Err(problem) => format!("refused: {}", problem.title),
    };
    if let Err(error) = identity.audit(&Act::with_outcome(action, subject, outcome)).await {
        tracing::error!(%error, action, "the outcome is missing in the audit log");
    }
    answered
}

/// The newest runs of the DAG that retrains, and how each ended.
#[utoipa::path(
    get, path = "/retrain/logs/{limit}", tag = "retraining", operation_id = "retrain_logs",
    params(("limit" = u32, Path, minimum = 1, maximum = 1000, description = "How many, from 1 to 1,000")),
    responses(
        (status = 200, description = "The runs", body = RetrainLog),
        (status = 422, description = "The path ends with no such number", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn logs(
    State(application): State<Arc<Application>>,
    Path(limit): Path<String>,
) -> Result<Json<RetrainLog>, Problem> {
    let limit = limit.parse().unwrap_or(0);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_parameter("the path ends with a number from 1 to 1000"));
    }
    let (name, _) = application.engine.dag().await?;
    let runs = application.engine.runs(&name, limit).await?;
    Ok(Json(RetrainLog { runs }))
}
