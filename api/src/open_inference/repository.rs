//! Triton's extension for the repository: which models there are, and taking one out of service or back by hand.
//!
//! What is promoted is decided by the promotion log alone. An administrator may set a model aside on this replica; it comes back when
//! somebody loads it again, or with its next promotion.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Request, State};
use ratchet_identity::Act;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::refusal::Refusal;
use crate::access::caller::{self, Caller};
use crate::models::registry::{Command, Model};
use crate::problem::Problem;
use crate::refusals::RepositoryRefusals;
use crate::service::Application;

/// How long loading or unloading may take.
const WAIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A model of the repository.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndexEntry {
    /// Name of the model.
    name: String,
    /// Number of the version that answers, or that was promoted.
    version: String,
    /// `READY`, `LOADING` or `UNAVAILABLE`.
    #[schema(example = "READY")]
    state: &'static str,
    /// Why it is not ready.
    reason: String,
}

impl IndexEntry {
    fn of(name: &str, model: &Model) -> IndexEntry {
        let version = model.served.as_ref().map_or(&model.promoted, |served| &served.version);
        let (state, reason) = match (&model.served, &model.problem) {
            (Some(_), _) => ("READY", String::new()),
            (None, _) if model.set_aside => ("UNAVAILABLE", "unloaded".to_owned()),
            (None, Some(problem)) => ("UNAVAILABLE", problem.message.clone()),
            (None, None) => ("LOADING", String::new()),
        };
        IndexEntry {
            name: name.to_owned(),
            version: version.version.to_string(),
            state,
            reason,
        }
    }
}

/// The models of the repository and how they stand.
#[utoipa::path(
    post,
    path = "/v2/repository/index",
    tag = "open inference",
    operation_id = "v2_repository_index",
    responses((status = 200, description = "The models that were promoted", body = Vec<IndexEntry>)),
)]
pub async fn index(State(application): State<Arc<Application>>) -> Json<Vec<IndexEntry>> {
    let snapshot = application.models.current();
    let models = snapshot.models.iter();
    Json(models.map(|(name, model)| IndexEntry::of(name, model)).collect())
}

/// Loads a promoted model that is not served, and waits until it is.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/load",
    tag = "open inference",
    operation_id = "v2_repository_load",
    params(("model" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "It is served", body = Object),
        RepositoryRefusals,
    ),
)]
pub async fn load(
    State(application): State<Arc<Application>>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let caller = caller::required(request.extensions())?;
    command(&application, &caller, "model.load", Command::Load(model)).await
}

/// Takes a model out of service on this replica, until it is loaded or promoted again.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/unload",
    tag = "open inference",
    operation_id = "v2_repository_unload",
    params(("model" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "It is not served any more", body = Object),
        RepositoryRefusals,
    ),
)]
pub async fn unload(
    State(application): State<Arc<Application>>,
    Path(model): Path<String>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let caller = caller::required(request.extensions())?;
    command(&application, &caller, "model.unload", Command::Unload(model)).await
}

async fn command(
    application: &Application,
    caller: &Caller,
    action: &'static str,
    command: Command,
) -> Result<Json<Value>, Refusal> {
    let (name, wanted) = match &command {
        Command::Load(name) => (name.clone(), true),
        Command::Unload(name) => (name.clone(), false),
    };
    if !application.models.current().models.contains_key(&name) {
        return Err(Refusal::not_found(
            "no model of this name was promoted; POST /v2/repository/index lists those that were",
        ));
    }
    let identity = application.identity.acting(caller.actor());
    let written = identity.audit(&Act::done(action, &name)).await;
    written.map_err(|error| {
        tracing::error!(%error, action, "the audit log cannot be written");
        Problem::users_unavailable()
    })?;
    application.models.command(command);
    let begun = Instant::now();
    while begun.elapsed() < WAIT {
        tokio::time::sleep(LOOK).await;
        let snapshot = application.models.current();
        let model = snapshot.models.get(&name);
        if model.is_some_and(|model| model.served.is_some()) == wanted {
            return Ok(Json(json!({})));
        }
        if let Some(problem) = model.and_then(|model| model.problem.as_ref()).filter(|_| wanted) {
            return Err(Refusal::bad(problem.message.clone()));
        }
    }
    Err(Refusal::bad(
        "it takes longer than twenty seconds; POST /v2/repository/index says how it stands",
    ))
}
