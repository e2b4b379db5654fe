//! What attempts say while somebody listens.

use std::collections::BTreeMap;

use axum::response::sse::Event;
use ratchet_runtime::{Engine, EventRecord, LogLine, RunEvent};
use serde_json::{Value, json};

use super::runs;
use crate::problem::Problem;

/// Task and number.
type Attempt = (String, u32);

/// The attempts of one run that are listened to.
pub(super) struct UnderWay {
    run: String,
    /// How many lines of each were told.
    told: BTreeMap<Attempt, usize>,
    /// What was told of how far the tasks got.
    progress: BTreeMap<String, Value>,
    /// Attempts that ended before the first look are not told: the logs have them.
    listening: bool,
}

impl UnderWay {
    /// Those of this run, nothing told yet.
    pub(super) fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            told: BTreeMap::new(),
            progress: BTreeMap::new(),
            listening: false,
        }
    }

    /// New lines and progress, as events, around those state changes that came since the last look. An attempt's lines
    /// come behind its beginning and, but for one that lasted from no look to the next, before its end.
    pub(super) async fn look(
        &mut self,
        engine: &Engine,
        changes: &[EventRecord],
        told: impl Fn(&EventRecord) -> Event,
    ) -> Result<Vec<Event>, Problem> {
        let store = engine.store();
        let running = store.attempts_under_way(&self.run).await?;
        let mut events = Vec::new();
        let known: Vec<Attempt> = self.told.keys().cloned().collect();
        for attempt in known.iter().cloned() {
            self.lines(engine, attempt, &running, &mut events).await?;
        }
        for progress in store.progress(&self.run).await? {
            let how_far = runs::how_far(&progress);
            if self.progress.get(&progress.task) != Some(&how_far) {
                events.push(Event::default().event("task_progress").data(how_far.to_string()));
                self.progress.insert(progress.task, how_far);
            }
        }
        events.extend(changes.iter().map(told));
        let started = changes.iter().filter_map(|change| match &change.event {
            RunEvent::TaskStarted { task, attempt } => Some((task.clone(), *attempt)),
            _ => None,
        });
        let new: Vec<Attempt> = started
            .filter(|attempt| self.listening || running.contains(attempt))
            .chain(running.iter().filter(|_| !self.listening).cloned())
            .collect();
        self.listening = true;
        for attempt in new {
            // One that began between the reading of the changes and of what runs is known before its beginning is.
            if !known.contains(&attempt) && !self.told.contains_key(&attempt) {
                self.told.insert(attempt.clone(), 0);
                self.lines(engine, attempt, &running, &mut events).await?;
            }
        }
        Ok(events)
    }

    /// The lines of one attempt that were not told; the rest of them, if it has ended.
    async fn lines(
        &mut self,
        engine: &Engine,
        attempt: Attempt,
        running: &[Attempt],
        events: &mut Vec<Event>,
    ) -> Result<(), Problem> {
        let (task, number) = &attempt;
        let seen = self.told.get(&attempt).copied().unwrap_or_default();
        let lines: Vec<LogLine> = if running.contains(&attempt) {
            engine.store().lines_after(&self.run, task, *number, seen).await?
        } else {
            self.told.remove(&attempt);
            let lines = engine.logs(&self.run, Some(task)).await?;
            lines
                .into_iter()
                .filter(|line| line.attempt == *number)
                .skip(seen)
                .collect()
        };
        for (number, line) in (seen + 1..).zip(&lines) {
            let mut data = json!(line);
            data["number"] = json!(number);
            events.push(Event::default().event("task_log").data(data.to_string()));
        }
        if let Some(told) = self.told.get_mut(&attempt) {
            *told += lines.len();
        }
        Ok(())
    }
}
