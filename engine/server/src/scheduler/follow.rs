//! The loop that turns decisions into runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_core::spec::{Dag, Schedule};
use ratchet_runtime::cron::interval_of;
use ratchet_runtime::{Engine, EngineError, NewRun, RunTrigger};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::agenda::{Agenda, Decision};
use super::progress::Progress;
use crate::directory::DagDirectory;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks lie between two searches for runs that nobody drives.
const LOOKS_BETWEEN_SEARCHES: u32 = 2;
/// Who started a scheduled run.
const ACTOR: &str = "scheduler";

/// Why a tick became no run.
enum Refusal {
    /// The DAG cannot run by itself: a parameter has no default.
    ForGood(String),
    /// The store did not take it.
    ForNow(EngineError),
}

struct Followed {
    schedule: Schedule,
    agenda: Agenda,
}

/// Follows all schedules of a directory.
pub(crate) struct Scheduler {
    engine: Engine,
    directory: Arc<DagDirectory>,
    progress: Progress,
    followed: BTreeMap<String, Followed>,
    /// The runs that this process drives, or tries to.
    active: BTreeMap<String, JoinHandle<()>>,
    /// Backfills of which was said that they do not go on.
    stuck: BTreeSet<String>,
    /// Somebody made a run that nobody drives yet.
    wake: Arc<Notify>,
}

impl Scheduler {
    /// Remembers in `home` how far it came.
    pub(crate) fn new(engine: Engine, directory: Arc<DagDirectory>, home: &Path, wake: Arc<Notify>) -> Self {
        Self {
            engine,
            directory,
            progress: Progress::open(home),
            followed: BTreeMap::new(),
            active: BTreeMap::new(),
            stuck: BTreeSet::new(),
            wake,
        }
    }

    /// Goes on until its task is aborted; runs under way are then taken over by the next scheduler.
    pub(crate) async fn run(mut self) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut look = 0_u32;
        loop {
            let woken = tokio::select! {
                _ = interval.tick() => false,
                () = self.wake.notified() => true,
            };
            self.active.retain(|_, driving| !driving.is_finished());
            if woken {
                self.take_over().await;
                self.fill_in().await;
                continue;
            }
            if look.is_multiple_of(LOOKS_BETWEEN_SEARCHES) {
                self.take_over().await;
            }
            look = look.wrapping_add(1);
            self.fill_in().await;
            let dags = self.directory.dags();
            self.followed.retain(|name, _| dags.contains_key(name));
            let pauses = match self.engine.store().pauses().await {
                Ok(pauses) => pauses,
                Err(error) => {
                    tracing::error!(%error, "whether DAGs are paused cannot be read; no tick is decided now");
                    continue;
                }
            };
            for dag in dags.values() {
                self.follow(dag, pauses.contains_key(&dag.name)).await;
            }
        }
    }

    /// Drives runs that somebody asked for, and those that a former process left behind. While another one holds the
    /// lease, the engine refuses.
    async fn take_over(&mut self) {
        let runs = match self.engine.store().unattended_runs().await {
            Ok(runs) => runs,
            Err(error) => {
                tracing::error!(%error, "runs left behind were not searched");
                return;
            }
        };
        for id in runs {
            if self.active.contains_key(&id) {
                continue;
            }
            self.drive(id);
        }
    }

    /// Starts the next runs of backfills, whoever asked for them.
    async fn fill_in(&mut self) {
        let backfills = match self.engine.store().unfinished_backfills().await {
            Ok(backfills) => backfills,
            Err(error) => {
                tracing::error!(%error, "backfills were not looked after");
                return;
            }
        };
        for id in backfills {
            match self.engine.advance_backfill(&id, false).await {
                Ok(advanced) => advanced.started.into_iter().for_each(|run| self.drive(run)),
                // Said once: it would be the same every second.
                Err(error) => {
                    if self.stuck.insert(id.clone()) {
                        tracing::error!(backfill = id, %error, "the backfill does not go on");
                    }
                }
            }
        }
    }

    /// How many runs of a DAG have not ended, whoever drives them: this process, another one, or nobody just now. A
    /// backfill has a limit of its own, and the schedule goes on beside it.
    async fn unfinished(&self, dag: &str) -> Option<Vec<String>> {
        match self.engine.store().active_runs(dag).await {
            Ok(runs) => Some(runs),
            Err(error) => {
                tracing::error!(dag, %error, "active runs were not counted; no tick is decided now");
                None
            }
        }
    }

    /// A paused schedule stands still: what comes meanwhile was missed when it goes on.
    async fn follow(&mut self, dag: &Arc<Dag>, paused: bool) {
        let Some(schedule) = &dag.schedule else {
            self.followed.remove(&dag.name);
            return;
        };
        let now = Timestamp::now();
        if self
            .followed
            .get(&dag.name)
            .is_none_or(|followed| followed.schedule != *schedule)
        {
            let since = self.progress.begin(&dag.name, schedule, now);
            match Agenda::new(schedule, dag.max_active_runs as usize, since) {
                Ok(agenda) => {
                    self.followed.insert(
                        dag.name.clone(),
                        Followed {
                            schedule: schedule.clone(),
                            agenda,
                        },
                    );
                }
                Err(error) => {
                    tracing::error!(dag = dag.name, %error, "the schedule cannot be followed");
                    self.followed.remove(&dag.name);
                }
            }
        }
        if paused {
            return;
        }
        if let Some(followed) = self.followed.get_mut(&dag.name) {
            followed.agenda.advance(now);
        }
        loop {
            let Some(unfinished) = self.unfinished(&dag.name).await else {
                return;
            };
            let active = unfinished.len();
            let Some(followed) = self.followed.get_mut(&dag.name) else {
                return;
            };
            match followed.agenda.decide(active) {
                Decision::Wait => return,
                Decision::Drop(tick) => {
                    tracing::warn!(dag = dag.name, %tick, "no run for this tick: one is active");
                    self.progress.decided(&dag.name, tick);
                }
                Decision::CancelActive => {
                    for run in unfinished {
                        // It may have ended meanwhile.
                        if let Err(error) = self.engine.ask_to_cancel(&run, ACTOR).await {
                            tracing::debug!(run, %error, "not cancelled");
                        }
                    }
                    return;
                }
                Decision::Start(tick) => match self.start(dag, tick).await {
                    Ok(()) => self.progress.decided(&dag.name, tick),
                    Err(Refusal::ForGood(problem)) => {
                        tracing::error!(dag = dag.name, %tick, problem, "no run for this tick");
                        self.progress.decided(&dag.name, tick);
                    }
                    Err(Refusal::ForNow(error)) => {
                        tracing::error!(dag = dag.name, %tick, %error, "the run is tried again");
                        if let Some(followed) = self.followed.get_mut(&dag.name) {
                            followed.agenda.put_back(tick);
                        }
                        return;
                    }
                },
            }
        }
    }

    async fn start(&mut self, dag: &Arc<Dag>, tick: Timestamp) -> Result<(), Refusal> {
        let params = dag
            .bind(&BTreeMap::new())
            .map_err(|problems| Refusal::ForGood(problems.join("; ")))?;
        let (interval_start, logical_date) = interval_of(dag.schedule.as_ref(), Some(tick), tick)
            .map_err(|error| Refusal::ForGood(error.to_string()))?;
        let new = NewRun {
            dag: Dag::clone(dag),
            params,
            logical_date,
            interval_start,
            trigger: RunTrigger::Schedule,
            actor: ACTOR.to_owned(),
        };
        let run = self.engine.create_run(new).await.map_err(Refusal::ForNow)?;
        tracing::info!(dag = dag.name, %tick, run, "started");
        self.drive(run);
        Ok(())
    }

    fn drive(&mut self, run: String) {
        // Who wants its end asks the store.
        let (_, never) = watch::channel(false);
        let engine = self.engine.clone();
        let wake = self.wake.clone();
        let id = run.clone();
        let task = tokio::spawn(async move {
            // Nobody listens: what happens is in the store.
            let (events, _) = mpsc::unbounded_channel();
            match engine.execute(&id, events, never).await {
                Ok(record) => {
                    tracing::info!(run = id, status = %record.status, "ended");
                    // The next one need not wait for the next look.
                    if record.trigger == RunTrigger::Backfill {
                        wake.notify_one();
                    }
                }
                // Ended meanwhile, or driven by another process.
                Err(error @ (EngineError::Ended { .. } | EngineError::Store(_))) => {
                    tracing::debug!(run = id, %error, "not driven here");
                }
                Err(error) => tracing::error!(run = id, %error, "the run could not be driven"),
            }
        });
        self.active.insert(run, task);
    }
}
