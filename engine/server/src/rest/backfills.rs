//! `POST /api/v1/dags/{name}/backfills`, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Extension, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use ratchet_artifacts::sha256;
use ratchet_core::spec::Dag;
use ratchet_runtime::{BackfillDate, BackfillRecord, EngineError, NewBackfill, RequestKey};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{Arrived, Body};
use super::once::idempotency_key;
use super::query::{Asked, limit};
use super::{dags, trigger};
use crate::access::{Caller, audited};
use crate::problem::{BodyProblems, Fault, Problem};
use crate::server::State;

/// How many backfills are answered when nobody says.
const USUAL: u32 = 50;
/// How many backfills are answered at most.
const MOST: u32 = 1_000;

/// Which ticks of the past shall have runs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read field by field")]
pub(super) struct BackfillRequest {
    /// The first instant that a tick may have, or a date: its midnight in UTC.
    #[schema(example = "2017-01-01")]
    from: String,
    /// The last one.
    #[schema(example = "2017-04-30")]
    to: String,
    /// Leave out ticks for which a run succeeded or is under way; otherwise each of them is run again.
    missing_only: Option<bool>,
    /// How many of the runs may be active at once; one if left out.
    max_active: Option<u32>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// Values of parameters by name, for all runs.
    #[schema(value_type = Object)]
    params: Value,
}

/// Runs a DAG for ticks of the past. With `dry_run`, only says what would be done. With an `Idempotency-Key`, the same
/// request repeated answers the same backfill.
#[utoipa::path(
    post, path = "/api/v1/dags/{name}/backfills", tag = "backfills",
    params(
        ("name" = String, Path, description = "Name of the DAG"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters of the client's choice"),
    ),
    request_body(content = BackfillRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "`dates`: what would be done with each tick", body = Object),
        (status = 202, description = "The backfill is recorded and goes on by itself; `Location` names it", body = Object),
        (status = 400, description = "The body is not JSON, or the key is not usable", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such DAG", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        BodyProblems,
        (status = 422, description = "A field is wrong, no tick lies in the range, or the key was used for another request", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Arrived,
) -> Result<Response, Problem> {
    let dag = dags::find(&state, &name)?;
    let (new, dry_run) = read(&dag, caller.name(), &headers, bytes)?;
    let now = Timestamp::now();
    if dry_run {
        let dates = state.engine.plan_backfill(&new, now).await.map_err(explained)?;
        return Ok(Json(json!({ "dag": name, "dates": dates })).into_response());
    }
    let key = idempotency_key(&headers)?.map(|key| RequestKey {
        key: sha256(json!([caller.user.id.to_string(), key]).to_string().as_bytes()),
        request: sha256(
            json!([name, new.from, new.to, new.missing_only, new.max_active, new.params])
                .to_string()
                .as_bytes(),
        ),
    });
    let subject = format!("{name} from {} to {}", new.from, new.to);
    let engine = state.engine.clone();
    let id = audited(&state, &caller, "backfill.start", subject, async move {
        let made = engine
            .create_backfill(&new, key.as_ref(), now)
            .await
            .map_err(explained)?;
        made.ok_or_else(|| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this Idempotency-Key was used for another request; send a new key",
            )
        })
    })
    .await?;
    state.wake.notify_one();
    let document = whole(&state, &id).await?;
    let place = [(header::LOCATION, format!("/api/v1/backfills/{id}"))];
    Ok((StatusCode::ACCEPTED, place, Json(document)).into_response())
}

fn read(dag: &Arc<Dag>, actor: &str, headers: &HeaderMap, bytes: Arrived) -> Result<(NewBackfill, bool), Problem> {
    let mut body = Body::read(headers, bytes)?;
    let mut instant = |field: &str| {
        if !body.has(field) {
            body.fault(field, "is missing");
        }
        body.parsed(field, trigger::instant).unwrap_or_default()
    };
    let (from, to) = (instant("from"), instant("to"));
    let missing_only = body.truth("missing_only");
    let dry_run = body.truth("dry_run");
    let max_active = body.number("max_active").unwrap_or(1);
    let max_active = u32::try_from(max_active).ok().filter(|most| *most <= 1_000);
    if max_active.is_none() {
        body.fault("max_active", "is at most 1000");
    }
    let given = trigger::texts(&mut body);
    let params = dag.bind(&given).unwrap_or_else(|problems| {
        for problem in problems {
            body.fault("params", problem);
        }
        BTreeMap::new()
    });
    if to < from {
        body.fault("to", "lies before `from`");
    }
    body.finish()?;
    let new = NewBackfill {
        dag: Dag::clone(dag),
        from,
        to,
        missing_only,
        max_active: max_active.unwrap_or(1),
        params,
        actor: actor.to_owned(),
    };
    Ok((new, dry_run))
}

/// What the range or the schedule make impossible is told at the range.
fn explained(error: EngineError) -> Problem {
    match error {
        EngineError::Backfill { .. } => Problem::invalid_fields(vec![Fault {
            pointer: "/from".to_owned(),
            message: error.to_string(),
        }]),
        other => other.into(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    dag: Option<String>,
    limit: Option<u32>,
}

/// Backfills, newest first.
#[utoipa::path(
    get, path = "/api/v1/backfills", tag = "backfills",
    params(
        ("dag" = Option<String>, Query, description = "Only those of this DAG"),
        ("limit" = Option<u32>, Query, description = "How many: 1 to 1,000, 50 if left out"),
    ),
    responses(
        (status = 200, description = "`backfills`", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    extract::State(state): extract::State<Arc<State>>,
    query: Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = limit(query.limit, USUAL, MOST)?;
    let backfills = state.engine.store().backfills(query.dag.as_deref(), limit).await?;
    Ok(Json(json!({ "backfills": backfills })))
}

/// One backfill with its ticks: what was planned for each, its run and how that stands.
#[utoipa::path(
    get, path = "/api/v1/backfills/{id}", tag = "backfills",
    params(("id" = String, Path, description = "Id of the backfill")),
    responses(
        (status = 200, description = "The backfill, `progress` and `dates`", body = Object),
        (status = 404, description = "No such backfill", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    whole(&state, &id).await.map(Json)
}

/// Starts no more runs of a backfill and asks for the end of those under way.
#[utoipa::path(
    post, path = "/api/v1/backfills/{id}/stop", tag = "backfills",
    params(("id" = String, Path, description = "Id of the backfill")),
    responses(
        (status = 200, description = "The backfill as it stands now", body = Object),
        (status = 404, description = "No such backfill", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The backfill has ended", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stop(
    extract::State(state): extract::State<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let record = find(&state, &id).await?;
    let (engine, actor) = (state.engine.clone(), caller.name().to_owned());
    audited(&state, &caller, "backfill.stop", id.clone(), async move {
        if engine.stop_backfill(&record.id, &actor).await? {
            Ok(())
        } else {
            Err(Problem::conflict(format!("backfill {} has ended", record.id)))
        }
    })
    .await?;
    whole(&state, &id).await.map(Json)
}

async fn find(state: &State, id: &str) -> Result<BackfillRecord, Problem> {
    let record = state.engine.store().backfill(id).await?;
    record.ok_or_else(|| Problem::not_found(format!("there is no backfill `{id}`; GET /api/v1/backfills lists them")))
}

async fn whole(state: &State, id: &str) -> Result<Value, Problem> {
    let record = find(state, id).await?;
    let dates = state.engine.store().backfill_dates(id).await?;
    let mut document = json!(record);
    document["progress"] = progress(&dates);
    document["dates"] = json!(dates);
    Ok(document)
}

/// How many ticks stand where.
fn progress(dates: &[BackfillDate]) -> Value {
    use ratchet_runtime::{DatePlan, RunStatus};
    let count = |wanted: &dyn Fn(&&BackfillDate) -> bool| dates.iter().filter(wanted).count();
    json!({
        "ticks": dates.len(),
        "kept": count(&|date| date.plan == DatePlan::Keep),
        "waiting": count(&|date| date.plan != DatePlan::Keep && date.run.is_none()),
        "running": count(&|date| date.status == Some(RunStatus::Running)),
        "succeeded": count(&|date| date.status == Some(RunStatus::Succeeded)),
        "failed": count(&|date| date.status == Some(RunStatus::Failed)),
        "cancelled": count(&|date| date.status == Some(RunStatus::Cancelled)),
    })
}
