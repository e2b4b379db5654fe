//! `GET /logs/{limit}`: what was asked, answered and refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::store::{Filter, LoggedEntry};
use crate::problem::Problem;
use crate::service::Application;

/// Most entries of one answer.
const MOST: i64 = 1000;

/// Which entries; all that are given have to hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Name of a model.
    model: Option<String>,
    /// Number of a version.
    version: Option<i64>,
    /// HTTP status.
    status: Option<i64>,
    /// Id of a prediction or of a request.
    id: Option<String>,
    /// Name of a user, or `key:NAME`.
    caller: Option<String>,
    /// From this moment on, such as `2017-04-01T09:30:00Z`.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Before this moment.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Before this entry: `next` of the page before.
    before: Option<i64>,
}

/// A page of the log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPage {
    /// The entries.
    entries: Vec<LogEntry>,
    /// `before` of the next page; null if this is the last.
    next: Option<i64>,
}

/// A request, or a row of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogEntry {
    /// Id of the prediction; of the request where it was refused.
    id: String,
    /// Id of the request.
    request: String,
    /// When it came.
    #[schema(example = "2017-04-01T09:30:00.250Z")]
    at: String,
    /// From the request's head to the answer, in milliseconds; for a row of a stream, since the stream began.
    milliseconds: f64,
    /// Path that was asked.
    path: String,
    /// Who asked; null without a valid token.
    caller: Option<String>,
    /// HTTP status.
    status: i64,
    /// Why it was refused.
    error: Option<String>,
    /// Name of the model.
    model: Option<String>,
    /// Number of the version.
    version: Option<i64>,
    /// SHA-256 of its bundle.
    digest: Option<String>,
    /// Alias under which it answered.
    alias: Option<String>,
    /// The row as it was sent; masked fields hold `(masked)`.
    inputs: Option<Value>,
    /// The answer.
    answer: Option<Value>,
    /// Id of the prediction that was given where this is a shadow's, which was not.
    beside: Option<String>,
    /// What was true, once it was told.
    truth: Option<f64>,
}

impl From<LoggedEntry> for LogEntry {
    fn from(entry: LoggedEntry) -> LogEntry {
        let parsed = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        LogEntry {
            id: entry.id,
            request: entry.request,
            at: moment(entry.at),
            milliseconds: entry.microseconds as f64 / 1000.0,
            path: entry.path,
            caller: entry.caller,
            status: entry.status,
            error: entry.error,
            model: entry.model,
            version: entry.version,
            digest: entry.digest,
            alias: entry.alias,
            inputs: parsed(entry.inputs),
            answer: parsed(entry.answer),
            beside: entry.beside,
            truth: entry.truth,
        }
    }
}

/// Milliseconds since 1970 as people write them.
pub(crate) fn moment(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map_or_else(|_| String::new(), |at| at.to_string())
}

/// Reads a moment of a query.
pub(super) fn milliseconds(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let at: Timestamp = text.parse().map_err(|_| {
        Problem::bad_parameter(&format!(
            "the query's `{name}` is a moment such as 2017-04-01T09:30:00Z"
        ))
    })?;
    Ok(Some(at.as_millisecond()))
}

/// The newest entries of the log. What was asked a moment ago may come a moment later.
#[utoipa::path(
    get, path = "/logs/{limit}", tag = "record", operation_id = "logs",
    params(("limit" = i64, Path, minimum = 1, maximum = 1000, description = "How many, from 1 to 1,000"), Wanted),
    responses(
        (status = 200, description = "The entries, newest first", body = LogPage),
        (status = 422, description = "Path or query hold something that is not understood", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn logs(
    State(application): State<Arc<Application>>,
    Path(limit): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<LogPage>, Problem> {
    let limit: i64 = limit.parse().unwrap_or(0);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_parameter("the path ends with a number from 1 to 1000"));
    }
    let Query(wanted) = wanted.map_err(|_| {
        Problem::bad_parameter(
            "the query may hold model, version, status, id, caller, since, until and before, each once",
        )
    })?;
    let filter = Filter {
        since: milliseconds("since", wanted.since.as_deref())?,
        until: milliseconds("until", wanted.until.as_deref())?,
        model: wanted.model,
        version: wanted.version,
        status: wanted.status,
        id: wanted.id,
        caller: wanted.caller,
        before: wanted.before,
    };
    // A text with the character 0 is in no database.
    let texts = [&filter.model, &filter.id, &filter.caller];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(Problem::bad_parameter("the query holds a character that no name has"));
    }
    let store = application.keeper.store().await;
    let store = store.map_err(|error| Problem::of_record(&error))?;
    let mut entries = store
        .entries(&filter, limit + 1)
        .await
        .map_err(|error| Problem::of_record(&error))?;
    let more = entries.len() as i64 > limit;
    entries.truncate(limit as usize);
    let next = entries.last().map(|entry| entry.sequence).filter(|_| more);
    Ok(Json(LogPage {
        entries: entries.into_iter().map(LogEntry::from).collect(),
        next,
    }))
}
