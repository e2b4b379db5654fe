//! `POST /evaluate`: retrain now and tell how the new models compare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ratchet_identity::Role;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::retrain;
use crate::access::caller;
use crate::problem::Problem;
use crate::refusals::RunRefusals;
use crate::service::Application;

/// How long the answer waits for the run.
const WAIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// The task kind that compares.
const COMPARES: &str = "compare.champion";

/// How a run stands and what its comparisons say.
#[derive(Debug, Serialize, ToSchema)]
pub struct Evaluation {
    /// Id of the run; `GET /evaluate/{run}` tells of it later.
    run: String,
    /// `running`, `succeeded`, `failed` or `cancelled`.
    #[schema(example = "succeeded")]
    status: String,
    /// What each task that compares has found, by task: the values that the engine keeps of it.
    #[schema(value_type = Object)]
    comparisons: Map<String, Value>,
}

impl Evaluation {
    fn of(run: &Value) -> Evaluation {
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let tasks = run["tasks"].as_array().into_iter().flatten();
        let comparisons = tasks.filter(|task| task["uses"] == COMPARES).filter_map(|task| {
            let id = task["id"].as_str()?.to_owned();
            Some((id, json!({"state": task["state"], "outputs": task["outputs"]})))
        });
        Evaluation {
            run: text("id"),
            status: text("status"),
            comparisons: comparisons.collect(),
        }
    }

    fn answer(self) -> Response {
        let status = match self.status.as_str() {
            "running" => StatusCode::ACCEPTED,
            _ => StatusCode::OK,
        };
        (status, Json(self)).into_response()
    }
}

/// Starts a run of the DAG that retrains and answers what its comparisons say; 202 if it takes longer than twenty seconds. A user may ask
/// once an hour.
#[utoipa::path(
    post, path = "/evaluate", tag = "retraining", operation_id = "evaluate",
    responses(
        (status = 200, description = "The run has ended", body = Evaluation),
        (status = 202, description = "The run goes on; ask again at /evaluate/{run}", body = Evaluation),
        RunRefusals,
    )
)]
pub async fn evaluate(State(application): State<Arc<Application>>, request: Request) -> Result<Response, Problem> {
    let caller = caller::required(request.extensions())?;
    if caller.user.role == Role::User {
        let evaluations = &application.access.evaluations;
        evaluations
            .look(caller.user.id, Instant::now())
            .map_err(Problem::too_many_requests)?;
    }
    let run = retrain::start(&application, &caller, "evaluate", false, &json!({})).await?;
    if caller.user.role == Role::User {
        // Only a run that was started counts. Of two requests at once the engine has refused one.
        let _ = application.access.evaluations.take(caller.user.id, Instant::now());
    }
    let id: Uuid = run["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Problem::no_engine("the engine started a run and did not say which"))?;
    let started = Instant::now();
    loop {
        let run = application.engine.run(id).await?.ok_or_else(Problem::unknown_run)?;
        if run["status"] != "running" || started.elapsed() > WAIT {
            return Ok(Evaluation::of(&run).answer());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the comparisons of a run say.
#[utoipa::path(
    get, path = "/evaluate/{run}", tag = "retraining", operation_id = "evaluation",
    params(("run" = String, Path, description = "Id of a run")),
    responses(
        (status = 200, description = "The run has ended", body = Evaluation),
        (status = 202, description = "The run goes on", body = Evaluation),
        (status = 404, description = "No such run", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn evaluation(
    State(application): State<Arc<Application>>,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let id: Uuid = run.parse().map_err(|_| Problem::unknown_run())?;
    let (name, _) = application.engine.dag().await?;
    let run = application
        .engine
        .run(id)
        .await?
        .filter(|run| run["dag"] == name.as_str());
    let run = run.ok_or_else(Problem::unknown_run)?;
    Ok(Evaluation::of(&run).answer())
}
