//! Runs for ticks of the past.
//!
//! A backfill is kept like a run: who asked, for which ticks, with which text of the DAG. Whoever finds one that has not
//! ended (the process that was asked, or the scheduler of a service) starts the next of its runs, so that it goes on
//! after any process ended. Its runs count for its own limit alone: the schedule goes on beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::spec::Dag;
use ratchet_core::state::RunStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cron::Timetable;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::record::{NewRun, RunTrigger};

/// Ticks that one backfill may have.
const MOST: usize = 10_000;

/// Which ticks, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBackfill {
    /// The DAG; all runs are made with this text.
    pub dag: Dag,
    /// The first instant that a tick may have.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// Leaves out ticks for which a run succeeded or is under way.
    pub missing_only: bool,
    /// How many of its runs may be active at once; at least 1.
    pub max_active: u32,
    /// Parameter values as [`Dag::bind`] returned them.
    pub params: BTreeMap<String, Value>,
    /// Who asked.
    pub actor: String,
}

/// What a client calls a request, so that it is carried out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, unique among all clients.
    pub key: String,
    /// Digest of what was asked.
    pub request: String,
}

/// What a backfill does with a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatePlan {
    /// No run stands for it: one is made.
    Run,
    /// A run stands for it, and a new one repeats it whole.
    Repeat,
    /// A run stands for it and is left as it is.
    Keep,
}

impl DatePlan {
    /// The name as in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Repeat => "repeat",
            Self::Keep => "keep",
        }
    }

    /// The plan of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Run, Self::Repeat, Self::Keep]
            .into_iter()
            .find(|plan| plan.name() == name)
    }
}

/// A tick of a backfill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillDate {
    /// The tick.
    pub logical_date: Timestamp,
    /// The tick before.
    pub interval_start: Timestamp,
    /// What is done with it.
    pub plan: DatePlan,
    /// The newest run that stood for it when the backfill was planned.
    pub found: Option<String>,
    /// How that one stands, or stood when the plan was made.
    pub found_status: Option<RunStatus>,
    /// The run that the backfill made.
    pub run: Option<String>,
    /// How it stands.
    pub status: Option<RunStatus>,
}

/// A backfill as it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackfillRecord {
    /// UUIDv7.
    pub id: String,
    /// Name of the DAG.
    pub dag: String,
    /// The first instant that a tick may have.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// Whether ticks with a run were left out.
    pub missing_only: bool,
    /// How many of its runs may be active at once.
    pub max_active: u32,
    /// Parameter values of all its runs.
    pub params: BTreeMap<String, Value>,
    /// Who asked.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
    /// When its last run ended, or it was stopped.
    pub finished_at: Option<Timestamp>,
    /// Who stopped it, if anybody did.
    pub stopped_by: Option<String>,
}

/// What came of looking after a backfill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// Runs that were made now and that nobody drives yet.
    pub started: Vec<String>,
    /// True if nothing is left to start and no run is active.
    pub finished: bool,
}

impl Engine {
    /// What a backfill would do, tick by tick, oldest first. Nothing is changed.
    ///
    /// # Errors
    ///
    /// The DAG has no schedule, no tick lies in the range, or too many do.
    pub async fn plan_backfill(&self, new: &NewBackfill, now: Timestamp) -> Result<Vec<BackfillDate>, EngineError> {
        let ticks = ticks(new, now)?;
        let runs = match (ticks.first(), ticks.last()) {
            (Some((_, first)), Some((_, last))) => self.store().runs_between(&new.dag.name, *first, *last).await?,
            _ => BTreeMap::new(),
        };
        let dates = ticks.into_iter().map(|(interval_start, logical_date)| {
            let found = runs.get(&logical_date).map(Vec::as_slice).unwrap_or_default();
            // What succeeded or is under way stands for the tick, whatever was tried after it.
            let stands = found.iter().rev().find(|(_, status)| is_there(*status));
            let newest = found.last();
            let (plan, shown) = match (stands, newest) {
                (Some(stands), _) if new.missing_only => (DatePlan::Keep, Some(stands)),
                (_, Some(newest)) => (DatePlan::Repeat, Some(newest)),
                (_, None) => (DatePlan::Run, None),
            };
            BackfillDate {
                logical_date,
                interval_start,
                plan,
                found: shown.map(|(run, _)| run.clone()),
                found_status: shown.map(|(_, status)| *status),
                run: None,
                status: None,
            }
        });
        Ok(dates.collect())
    }

    /// Records a backfill and returns its id; [`advance_backfill`](Engine::advance_backfill) starts its runs. The same
    /// request key is the same backfill; none if it was used for another request.
    ///
    /// # Errors
    ///
    /// As [`plan_backfill`](Engine::plan_backfill), and if the database refuses.
    pub async fn create_backfill(
        &self,
        new: &NewBackfill,
        key: Option<&RequestKey>,
        now: Timestamp,
    ) -> Result<Option<String>, EngineError> {
        let dates = self.plan_backfill(new, now).await?;
        Ok(self.store().create_backfill(new, &dates, key, now).await?)
    }

    /// Starts as many runs of a backfill as its limit leaves room for, oldest ticks first. Whoever gets them drives
    /// them; any number of processes may ask at once.
    ///
    /// # Errors
    ///
    /// The DAG's text does not load any more, or the database fails.
    pub async fn advance_backfill(&self, id: &str, reserved: bool) -> Result<Advanced, EngineError> {
        let Some((record, text, file_name)) = self.store().backfill_with_text(id).await? else {
            return Ok(Advanced {
                started: Vec::new(),
                finished: true,
            });
        };
        let registry = &self.inner.options.registry;
        let dag = ratchet_core::load_again(&file_name, &text, registry).map_err(|problems| EngineError::Backfill {
            dag: record.dag.clone(),
            message: format!(
                "its DAG text cannot be read by this version ({problems}); stop it with `ratchet backfill --stop {id}`"
            ),
        })?;
        let template = NewRun {
            dag,
            params: record.params,
            logical_date: record.from,
            interval_start: record.from,
            trigger: RunTrigger::Backfill,
            actor: record.actor,
        };
        Ok(self.store().advance_backfill(id, &template, reserved).await?)
    }

    /// Ends a backfill: starts no more of its runs and asks for the end of those under way. False if it had ended.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn stop_backfill(&self, id: &str, actor: &str) -> Result<bool, EngineError> {
        if !self.store().stop_backfill(id, actor).await? {
            return Ok(false);
        }
        for date in self.store().backfill_dates(id).await? {
            if let (Some(run), Some(RunStatus::Running)) = (date.run, date.status) {
                // It may have ended meanwhile.
                self.store().ask_to_cancel(&run, actor).await?;
            }
        }
        Ok(true)
    }
}

fn is_there(status: RunStatus) -> bool {
    matches!(status, RunStatus::Succeeded | RunStatus::Running)
}

/// Start and end of each interval whose end lies in the range and is not in the future.
fn ticks(new: &NewBackfill, now: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, EngineError> {
    let refused = |message: String| EngineError::Backfill {
        dag: new.dag.name.clone(),
        message,
    };
    let schedule = new.dag.schedule.as_ref().ok_or_else(|| {
        refused("it has no schedule whose ticks could be filled in; `ratchet run --logical-date` makes one run".into())
    })?;
    let timetable = Timetable::new(schedule).map_err(|error| refused(error.to_string()))?;
    let until = new.to.min(now);
    let mut ticks = Vec::new();
    // A tick at the first instant counts.
    let mut next = match timetable.last_until(new.from) {
        Some(tick) if tick == new.from => Some(tick),
        _ => timetable.next_after(new.from),
    };
    while let Some(tick) = next.filter(|tick| *tick <= until) {
        if ticks.len() == MOST {
            return Err(refused(format!(
                "more than {MOST} ticks lie between {} and {until}; take a shorter range",
                new.from
            )));
        }
        ticks.push((timetable.last_before(tick).unwrap_or(tick), tick));
        next = timetable.next_after(tick);
    }
    if ticks.is_empty() {
        return Err(refused(format!(
            "its schedule has no tick from {} to {until}; `ratchet dags next --after` shows its ticks",
            new.from
        )));
    }
    Ok(ticks)
}
