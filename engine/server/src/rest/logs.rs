//! The logs of a run: by lines as JSON, by bytes as text.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ratchet_core::plugin::LogLevel;
use ratchet_runtime::LogLine;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::{Asked, limit};
use super::runs;
use crate::problem::Problem;
use crate::server::State;

/// Lines that are answered when nobody says.
const USUAL: u32 = 10_000;
/// Lines that are answered at most.
const MOST: u32 = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesQuery {
    task: Option<String>,
    attempt: Option<u32>,
    from: Option<u64>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextQuery {
    task: Option<String>,
    attempt: Option<u32>,
}

/// The log lines of a run's attempts, also of those under way, in order. `next` is the line that the following page begins with; null at the end.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/logs", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("task" = Option<String>, Query, description = "Only lines of this task"),
        ("attempt" = Option<u32>, Query, description = "Only lines of this attempt"),
        ("from" = Option<u64>, Query, description = "First line, from 1"),
        ("limit" = Option<u32>, Query, description = "How many lines: 1 to 100,000, 10,000 if left out"),
    ),
    responses(
        (status = 200, description = "`lines`, `from`, `total` and `next`", body = Object),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run or task", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn lines(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
    query: Asked<LinesQuery>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = limit(query.limit, USUAL, MOST)?;
    let from = query.from.unwrap_or(1);
    if from == 0 {
        return Err(Problem::bad_request("from is 0; lines are counted from 1"));
    }
    let run = runs::find(&state, &id).await?;
    let lines = read(&state, &run.id, query.task.as_deref(), query.attempt).await?;
    let total = lines.len();
    let before = usize::try_from(from - 1).unwrap_or(usize::MAX).min(total);
    let page = &lines[before..total.min(before + limit as usize)];
    let end = before + page.len();
    let next = (end < total).then_some(end + 1);
    Ok(Json(
        json!({ "run": run.id, "lines": page, "from": from, "total": total, "next": next }),
    ))
}

/// The same as text, a line each: time, task, attempt, level, message. `Range: bytes=...` answers a part of it.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/logs/text", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("task" = Option<String>, Query, description = "Only lines of this task"),
        ("attempt" = Option<u32>, Query, description = "Only lines of this attempt"),
        ("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-1023`, `bytes=1024-` or `bytes=-500`"),
    ),
    responses(
        (status = 200, description = "The whole text", body = String, content_type = "text/plain"),
        (status = 206, description = "The part that was asked for; `Content-Range` says which", body = String, content_type = "text/plain"),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run or task", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "The range begins behind the end", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn text(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
    query: Asked<TextQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let run = runs::find(&state, &id).await?;
    let lines = read(&state, &run.id, query.task.as_deref(), query.attempt).await?;
    let text = as_text(&lines);
    let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
    let ranges = (header::ACCEPT_RANGES, "bytes".to_owned());
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    match asked.map(|asked| range(asked, text.len())) {
        None | Some(Range::Whole) => Ok(([kind, ranges], text).into_response()),
        Some(Range::Beyond) => Err(Problem::range_not_satisfiable(text.len())),
        Some(Range::Part(first, end)) => {
            let which = format!("bytes {first}-{}/{}", end - 1, text.len());
            let part = text.into_bytes()[first..end].to_vec();
            let headers = [kind, ranges, (header::CONTENT_RANGE, which)];
            Ok((StatusCode::PARTIAL_CONTENT, headers, part).into_response())
        }
    }
}

async fn read(state: &State, run: &str, task: Option<&str>, attempt: Option<u32>) -> Result<Vec<LogLine>, Problem> {
    let mut lines = state.engine.logs(run, task).await?;
    lines.retain(|line| attempt.is_none_or(|attempt| line.attempt == attempt));
    Ok(lines)
}

fn as_text(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let level = match line.level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let time = line.time.strftime("%Y-%m-%d %H:%M:%S%.3fZ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{time} {}#{} {level:5} {}", line.task, line.attempt, line.message);
    }
    text
}

/// What a `Range` header asks of so many bytes.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// Everything: it asks for something that this service does not do, such as several ranges.
    Whole,
    /// From the first up to before the end.
    Part(usize, usize),
    /// Nothing that is there.
    Beyond,
}

/// RFC 9110, section 14: what cannot be read is not there.
fn range(asked: &str, length: usize) -> Range {
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|asked| asked.split_once('-')) else {
        return Range::Whole;
    };
    match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => part(first, last.saturating_add(1).min(length), length),
        (Ok(first), Err(_)) if last.trim().is_empty() => part(first, length, length),
        (Err(_), Ok(0)) if first.trim().is_empty() => Range::Beyond,
        (Err(_), Ok(count)) if first.trim().is_empty() => part(length.saturating_sub(count), length, length),
        _ => Range::Whole,
    }
}

fn part(first: usize, end: usize, length: usize) -> Range {
    if first < length {
        Range::Part(first, end)
    } else {
        Range::Beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        for (asked, expected) in [
            ("bytes=0-9", Range::Part(0, 10)),
            ("bytes=90-", Range::Part(90, 100)),
            ("bytes=-5", Range::Part(95, 100)),
            ("bytes=-500", Range::Part(0, 100)),
            ("bytes=99-1000", Range::Part(99, 100)),
            ("bytes=100-", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=9-0", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes=x-", Range::Whole),
        ] {
            assert_eq!(range(asked, 100), expected, "{asked}");
        }
        assert_eq!(range("bytes=0-0", 0), Range::Beyond);
    }
}
