//! The loop that lets triggers look and makes runs of what they find.
//!
//! It stands beside the schedules' loop, because a look may wait for a server that is slow to answer, and a tick may not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_core::spec::{Dag, Trigger};
use ratchet_runtime::{Engine, Looked, Triggered};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::directory::DagDirectory;

/// How often it is asked which triggers are due, and whether something waits.
const ROUND: Duration = Duration::from_secs(1);
/// When a trigger that could not look does so again.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// DAG and how the trigger reads.
type Key = (String, String);

/// Looks after the triggers of a directory.
pub(crate) struct TriggerWatch {
    engine: Engine,
    directory: Arc<DagDirectory>,
    /// Tells the scheduler that a run waits.
    wake: Arc<Notify>,
    due: BTreeMap<Key, Instant>,
    looks: JoinSet<(Key, Result<Looked, String>)>,
    looking: BTreeSet<Key>,
    /// Triggers of which was said that they cannot look.
    failing: BTreeSet<Key>,
}

impl TriggerWatch {
    /// Looks at nothing yet.
    pub(crate) fn new(engine: Engine, directory: Arc<DagDirectory>, wake: Arc<Notify>) -> Self {
        Self {
            engine,
            directory,
            wake,
            due: BTreeMap::new(),
            looks: JoinSet::new(),
            looking: BTreeSet::new(),
            failing: BTreeSet::new(),
        }
    }

    /// Goes on until its task is aborted.
    pub(crate) async fn run(mut self) {
        let mut interval = tokio::time::interval(ROUND);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = interval.tick() => self.round().await,
                Some(looked) = self.looks.join_next() => match looked {
                    Ok((key, looked)) => self.looked(key, looked).await,
                    Err(error) => tracing::error!(%error, "a look of a trigger broke off"),
                },
            }
        }
    }

    async fn round(&mut self) {
        let dags = self.directory.dags();
        let pauses = match self.engine.store().pauses().await {
            Ok(pauses) => pauses,
            Err(error) => {
                tracing::error!(%error, "whether DAGs are paused cannot be read; no trigger looks now");
                return;
            }
        };
        let mut present = BTreeSet::new();
        for dag in dags.values().filter(|dag| !dag.triggers.is_empty()) {
            present.extend(dag.triggers.iter().map(|trigger| key(dag, trigger)));
            if !pauses.contains_key(&dag.name) {
                self.look(dag).await;
                self.start(dag).await;
            }
        }
        self.due.retain(|key, _| present.contains(key));
        self.failing.retain(|key| present.contains(key));
        self.judge(&dags).await;
    }

    /// Begins the looks that are due. Each goes on by itself: the round does not wait for it.
    async fn look(&mut self, dag: &Arc<Dag>) {
        let now = Instant::now();
        let due: Vec<&Trigger> = dag
            .triggers
            .iter()
            .filter(|trigger| {
                let key = key(dag, trigger);
                !self.looking.contains(&key) && self.due.get(&key).is_none_or(|due| *due <= now)
            })
            .collect();
        if due.is_empty() {
            return;
        }
        let records = match self.engine.store().triggers(&dag.name).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(dag = dag.name, %error, "the triggers cannot be read");
                return;
            }
        };
        for trigger in due {
            let key = key(dag, trigger);
            let paused = |name: &str| records.iter().any(|one| one.trigger == name && one.paused_at.is_some());
            if paused(&key.1) {
                continue;
            }
            self.looking.insert(key.clone());
            let (engine, dag, trigger) = (self.engine.clone(), dag.clone(), trigger.clone());
            self.looks.spawn(async move {
                let looked = engine.look(&dag, &trigger, Timestamp::now()).await;
                (key, looked.map_err(|error| error.to_string()))
            });
        }
    }

    async fn looked(&mut self, key: Key, looked: Result<Looked, String>) {
        self.looking.remove(&key);
        let again_in = match looked {
            Ok(looked) => {
                self.failing.remove(&key);
                looked.again_in
            }
            Err(error) => {
                // Said once, not at each look.
                if self.failing.insert(key.clone()) {
                    tracing::warn!(dag = key.0, trigger = key.1, error, "the trigger cannot look");
                }
                AFTER_FAILURE
            }
        };
        self.due.insert(key, Instant::now() + again_in);
    }

    async fn start(&self, dag: &Dag) {
        match self.engine.start_triggered(dag, Timestamp::now()).await {
            Ok(Triggered::Started { run }) => {
                tracing::info!(dag = dag.name, run, "started by its triggers");
                self.wake.notify_one();
            }
            Ok(Triggered::Dropped { reason }) => {
                tracing::error!(dag = dag.name, reason, "no run for what its triggers found");
            }
            Ok(Triggered::Nothing | Triggered::CoolsDown { .. } | Triggered::Busy) => {}
            Err(error) => tracing::error!(dag = dag.name, %error, "what the triggers found starts no run yet"),
        }
    }

    async fn judge(&self, dags: &BTreeMap<String, Arc<Dag>>) {
        let paused = match self.engine.judge_triggered().await {
            Ok(paused) => paused,
            Err(error) => {
                tracing::error!(%error, "triggered runs were not judged");
                return;
            }
        };
        for paused in paused {
            tracing::warn!(
                dag = paused.dag,
                trigger = paused.trigger,
                run = paused.run,
                "the trigger paused itself: {}",
                paused.reason
            );
            if let Some(dag) = dags.get(&paused.dag).cloned() {
                let engine = self.engine.clone();
                tokio::spawn(async move { engine.tell_paused(&dag, &paused).await });
            }
        }
    }
}

fn key(dag: &Dag, trigger: &Trigger) -> Key {
    (dag.name.clone(), trigger.to_string())
}
