//! What makes a run, once for each `Idempotency-Key`.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use ratchet_artifacts::sha256;
use ratchet_runtime::{RunFilter, RunRecord, RunTrigger};
use serde_json::Value;

use super::runs;
use crate::access::Caller;
use crate::problem::Problem;
use crate::requests::Standing;
use crate::server::State;

/// Runs that are looked through for the one of a claim that was left behind.
const SEARCHED: u32 = 1_000;

/// What tells the request from others, and its run from others.
pub(super) struct Asked<Fits> {
    /// Who asks.
    pub(super) caller: Caller,
    /// All that was asked for.
    pub(super) request: Value,
    /// The DAG of the run.
    pub(super) dag: String,
    /// Whether a run is one that was asked for so.
    pub(super) fits: Fits,
}

/// The header, if it was sent.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.trim().is_empty() && key.len() <= 255 => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad_request(
            "the Idempotency-Key is not usable; write 1 to 255 printable ASCII characters",
        )),
    }
}

/// The run that `make` makes; with a key, the one that it made when it was asked for first.
pub(super) async fn once<Fits: Fn(&RunRecord) -> bool + Send + Sync + 'static>(
    state: &Arc<State>,
    key: Option<String>,
    asked: Asked<Fits>,
    make: impl Future<Output = Result<String, Problem>> + Send + 'static,
) -> Result<String, Problem> {
    let Some(key) = key else { return make.await };
    let state = state.clone();
    // Detached from the connection: a claim must come to its end though the client left.
    let work = tokio::spawn(async move {
        let requests = &state.requests;
        let _turn = requests.turn().await;
        let request = sha256(asked.request.to_string().as_bytes());
        let place = requests.place(&asked.caller.user.id.to_string(), &key);
        let left = match requests.claim(&place, &request)? {
            Standing::Made(run) => return Ok(run),
            Standing::LeftBehind(asked_at) => made_before(&state, &asked, asked_at).await?,
            Standing::New => None,
        };
        let run = match left {
            Some(run) => run,
            None => match make.await {
                Ok(run) => run,
                Err(problem) => {
                    requests.release(&place);
                    return Err(problem);
                }
            },
        };
        requests.made(&place, &request, &run)?;
        Ok(run)
    });
    work.await
        .unwrap_or_else(|error| Err(Problem::internal(format!("the request broke off: {error}"))))
}

/// 202 with the run and its place; the scheduler is told that it waits.
pub(super) async fn recorded(state: &State, id: &str) -> Result<Response, Problem> {
    state.wake.notify_one();
    let run = runs::find(state, id).await?;
    let place = [(header::LOCATION, format!("/api/v1/runs/{id}"))];
    Ok((StatusCode::ACCEPTED, place, Json(runs::summary(&run))).into_response())
}

/// The run of a claim that was left behind: one that this caller asked for since then and that no other claim names.
async fn made_before<Fits: Fn(&RunRecord) -> bool>(
    state: &State,
    asked: &Asked<Fits>,
    asked_at: Timestamp,
) -> Result<Option<String>, Problem> {
    let claimed = state.requests.runs();
    let filter = RunFilter {
        dag: Some(&asked.dag),
        trigger: Some(RunTrigger::Manual),
        ..RunFilter::default()
    };
    let runs = state.engine.store().runs_page(filter, None, SEARCHED).await?;
    let found = runs.into_iter().find(|run| {
        run.actor == asked.caller.name()
            && run.created_at >= asked_at
            && (asked.fits)(run)
            && !claimed.contains(&run.id)
    });
    Ok(found.map(|run| run.id))
}
