//! `GET /api/v1/runs/{id}/events`: what happens in a run, as it happens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{self, Path, Query};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use ratchet_runtime::{EventRecord, RunStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Asked;
use super::runs;
use super::under_way::UnderWay;
use crate::problem::Problem;
use crate::server::State;

/// How often the store is asked.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    after: Option<u64>,
}

/// The events of a run as server-sent events: those that were, then those that come, until the run ends with `event: end`.
/// Attempts that are under way meanwhile also tell their log (`task_log`, with the `number` of the line in the attempt) and
/// how far they got (`task_progress`). These have no `id`: who connects again hears the lines of attempts under way from
/// the first on.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(
        ("id" = String, Path, description = "Id of the run, or its beginning or end"),
        ("after" = Option<u64>, Query, description = "Only events with a higher number"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it when they connect again"),
    ),
    responses(
        (status = 200, description = "`id` is the event's number, `event` its type, `data` the event as JSON", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The query cannot be read", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = crate::problem::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    extract::State(state): extract::State<Arc<State>>,
    Path(id): Path<String>,
    query: Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let run = runs::find(&state, &id).await?;
    let under_way = UnderWay::new(&run.id);
    let follower = Follower {
        state,
        run: run.id,
        after: last.or(query.after).unwrap_or(0),
        under_way,
        waiting: VecDeque::new(),
        ended: false,
    };
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

struct Follower {
    state: Arc<State>,
    run: String,
    after: u64,
    under_way: UnderWay,
    waiting: VecDeque<Event>,
    ended: bool,
}

impl Follower {
    /// The next event; none after the end, and when the service stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.ended || *self.state.stop.borrow() {
                return None;
            }
            if let Err(problem) = self.look().await {
                tracing::error!(
                    run = self.run,
                    detail = problem.detail(),
                    "events are no longer followed"
                );
                return None;
            }
            if self.waiting.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        // The status comes first: what it tells is in the events by then.
        let status = runs::find(&self.state, &self.run).await?.status;
        let engine = &self.state.engine;
        let changes = engine.store().events_after(&self.run, self.after).await?;
        self.waiting.extend(self.under_way.look(engine, &changes, event).await?);
        if let Some(last) = changes.last() {
            self.after = last.number;
        }
        if status != RunStatus::Running {
            self.ended = true;
            let end = json!({ "run": self.run, "status": status });
            self.waiting
                .push_back(Event::default().event("end").data(end.to_string()));
        }
        Ok(())
    }
}

fn event(record: &EventRecord) -> Event {
    let data = json!(record);
    let kind = data["event"]["type"].as_str().unwrap_or("event").to_owned();
    let number = record.number.to_string();
    Event::default().id(number).event(kind).data(Value::to_string(&data))
}
