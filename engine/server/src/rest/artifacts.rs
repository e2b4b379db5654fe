//! What the attempts of a run left in the bucket: reports, outputs, logs, curves.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::runs;
use super::version::immutable_content;
use crate::problem::Problem;
use crate::server::State;

/// Every document of the run, by task and attempt.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/artifacts", tag = "runs",
    params(("id" = String, Path, description = "Id of the run, or its beginning or end")),
    responses(
        (status = 200, description = "`items`: `task`, `attempt`, `name`", body = Object),
        (status = 400, description = "The beginning fits several runs", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let run = runs::find(&state, &id).await?;
    let found = listed(&state, &run.id).await?;
    let items = found
        .iter()
        .map(|(task, attempt, name)| json!({ "task": task, "attempt": attempt, "name": name }));
    Ok(Json(json!({ "run": run.id, "items": items.collect::<Vec<_>>() })))
}

/// One document, as it was written.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/artifacts/{task}/{attempt}/{name}", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("task" = String, Path, description = "Id of the task"),
        ("attempt" = u32, Path, description = "Number of the attempt, from 1"),
        ("name" = String, Path, description = "Name of the document, such as `gate.html`"),
        ("If-None-Match" = Option<String>, Header, description = "ETag of an answer that is there already"),
    ),
    responses(
        (status = 200, description = "The document, with its ETag", body = String, content_type = "application/octet-stream"),
        (status = 304, description = "The answer with this ETag is still right"),
        (status = 400, description = "The beginning fits several runs, or the attempt is no number", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run or document", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    extract::State(state): extract::State<Arc<State>>,
    Path((id, task, attempt, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let attempt: u32 = attempt
        .parse()
        .map_err(|_| Problem::bad_request(format!("the attempt `{attempt}` is no whole number from 1")))?;
    let run = runs::find(&state, &id).await?;
    let missing = || {
        let help = "GET /api/v1/runs/RUN/artifacts lists them";
        Problem::not_found(format!("attempt {attempt} of `{task}` left no `{name}`; {help}"))
    };
    // Only what is listed can be read: a name leads nowhere else.
    let asked = (task.clone(), attempt, name.clone());
    if !listed(&state, &run.id).await?.contains(&asked) {
        return Err(missing());
    }
    let path = format!("runs/{}/{task}/{attempt}/{name}", run.id);
    let content = state.engine.bucket().get(&path).await?.ok_or_else(missing)?;
    Ok(immutable_content(&headers, media_type(&name), content))
}

async fn listed(state: &State, run: &str) -> Result<Vec<(String, u32, String)>, Problem> {
    let prefix = format!("runs/{run}/");
    let paths = state.engine.bucket().list(&prefix).await?;
    let mut found: Vec<(String, u32, String)> = paths
        .iter()
        .filter_map(|path| parts(path.strip_prefix(&prefix)?))
        .collect();
    found.sort();
    Ok(found)
}

/// `<task>/<attempt>/<name>`.
fn parts(path: &str) -> Option<(String, u32, String)> {
    let (task, rest) = path.split_once('/')?;
    let (attempt, name) = rest.split_once('/')?;
    let plain = !name.is_empty() && !name.contains('/');
    Some((task.to_owned(), attempt.parse().ok()?, name.to_owned())).filter(|_| plain)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => "application/json",
        Some("ndjson") => "application/x-ndjson",
        Some("html") => "text/html; charset=utf-8",
        Some("md") => "text/markdown; charset=utf-8",
        Some("txt" | "log") => "text/plain; charset=utf-8",
        Some("csv") => "text/csv; charset=utf-8",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_task_attempt_and_name() {
        let found = parts("gate/2/gate.html");
        assert_eq!(found, Some(("gate".to_owned(), 2, "gate.html".to_owned())));
        for other in ["gate/2", "gate/x/gate.html", "gate/2/a/b", "gate/2/"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
