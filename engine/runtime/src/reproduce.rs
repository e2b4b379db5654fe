//! Runs once more what led to a version, to see whether the same comes of it.
//!
//! The run's own DAG text, parameters and dates are taken, and what its extracts read is read from the raw bytes that they saved:
//! what the source holds by now does not matter. It happens in a home of its own, with metadata of its own. The bucket
//! is the same, because everything that is read is there, but no version is registered in it, nothing is promoted and nobody
//! is told; what is written into it is content under its own digest, which goes with the next collection if nothing refers
//! to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ratchet_core::plugin::{Blob, Collected, Output, Plugin, Replay, SubDag, Table};
use ratchet_core::spec::{Dag, TaskSpec};
use tokio::sync::{mpsc, watch};

use crate::beginning::{Beginning, KeptTask, task_of, until};
use crate::engine::{Engine, EngineOptions};
use crate::error::EngineError;
use crate::event::RunEvent;
use crate::lookups;
use crate::record::{NewRun, RunRecord, RunTrigger, TaskRecord};

/// What the tasks read in the place of what is there by now.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    origins: BTreeMap<String, Origin>,
    lookups: BTreeMap<String, u64>,
}

/// Where the tables of a task come from.
#[derive(Clone, Debug, Default)]
struct Origin {
    /// Raw bytes that it saved.
    raw: Vec<Blob>,
    /// When they were collected.
    collected: Option<Collected>,
    /// What tells this reading from others: the raw bytes, or the rows of a source that keeps its raw form itself.
    marks: Vec<Blob>,
}

impl Earlier {
    /// What a task, or an instance, reads.
    pub(crate) fn of(&self, task: &str) -> Replay {
        let origin = self.origins.get(task).cloned().unwrap_or_default();
        Replay {
            raw: origin.raw,
            collected: origin.collected,
            lookups: self.lookups.clone(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Reproduced {
    /// The run, as it was recorded in the home of its own.
    pub run: RunRecord,
    /// Its tasks.
    pub tasks: Vec<TaskRecord>,
    /// Tasks that read the raw bytes of the earlier run.
    pub replayed: Vec<String>,
    /// Tasks that were not run: what they gave the earlier run was taken as it is recorded. They do not read raw bytes
    /// again, or were answered by a person or another DAG.
    pub taken: Vec<String>,
}

impl Engine {
    /// The digest of the program that runs the tasks, as the lineage of what it makes names it: 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// If the program cannot be read.
    pub async fn build(&self) -> Result<&str, EngineError> {
        let build = self.inner.build().await;
        build.map_err(|message| EngineError::Build { message })
    }

    /// Runs a task of an earlier run once more, and all that it comes after, in `home`.
    ///
    /// # Errors
    ///
    /// If there is no such run or task, its DAG text cannot be read any more, `home` cannot be used, or the bucket fails. A
    /// task that fails is none: see [`Reproduced::run`].
    pub async fn reproduce(
        &self,
        run: &str,
        task: &str,
        home: PathBuf,
        observer: mpsc::UnboundedSender<RunEvent>,
        cancel: watch::Receiver<bool>,
    ) -> Result<Reproduced, EngineError> {
        let record = self.run(run).await?;
        let dag = self.dag_of(&record)?;
        let needed = until(&dag, &[task_of(task).to_owned()])?;
        let tasks = self.store().tasks(&record.id).await?;
        let plan = self.plan(&dag, &record.id, &needed, &tasks);
        let beginning = Beginning {
            kept: plan.kept,
            ..Beginning::default()
        };
        let options = EngineOptions {
            home,
            database_url: None,
            signing_key: None,
            replay: Some(Earlier {
                origins: plan.origins.clone(),
                lookups: tasks.iter().flat_map(joined).collect(),
            }),
            ..self.inner.options.clone()
        };
        let engine = Engine::open(options).await?;
        let new = NewRun {
            dag,
            params: record.params,
            logical_date: record.logical_date,
            interval_start: record.interval_start,
            trigger: RunTrigger::Manual,
            actor: record.actor,
        };
        let id = engine.create_run_from(new, &beginning).await?;
        let run = engine.execute(&id, observer, cancel).await?;
        Ok(Reproduced {
            tasks: engine.store().tasks(&id).await?,
            run,
            replayed: plan.origins.into_keys().collect(),
            taken: plan.taken,
        })
    }

    /// Which tasks read raw bytes, which keep what they gave, and which are left out.
    fn plan(&self, dag: &Dag, run: &str, needed: &BTreeSet<String>, tasks: &[TaskRecord]) -> Plan {
        let mut plan = Plan::default();
        let mut seen: BTreeSet<Blob> = BTreeSet::new();
        for spec in &dag.tasks {
            if !needed.contains(&spec.id) {
                let left_out = KeptTask::left_out("the version does not come from it");
                plan.kept.insert(spec.id.clone(), left_out);
                continue;
            }
            let own: Vec<(&TaskRecord, Origin)> = tasks
                .iter()
                .filter(|record| task_of(&record.id) == spec.id)
                .map(|record| (record, origin_of(record)))
                .collect();
            // A task that hands a table on hands its origin on; whoever read it stands before it.
            let marks = || own.iter().flat_map(|(_, origin)| &origin.marks);
            let read = marks().any(|blob| !seen.contains(blob));
            seen.extend(marks().cloned());
            if read && self.replays(spec) {
                let replayed = own.into_iter().filter(|(_, origin)| !origin.raw.is_empty());
                plan.origins
                    .extend(replayed.map(|(record, origin)| (record.id.clone(), origin)));
            } else if read || self.is_answered_elsewhere(spec) {
                let outputs = tasks.iter().find(|record| record.id == spec.id);
                let outputs = outputs.map(|record| record.outputs.clone()).unwrap_or_default();
                plan.kept.insert(spec.id.clone(), KeptTask::succeeded(run, outputs));
                plan.taken.push(spec.id.clone());
            }
        }
        plan
    }

    fn replays(&self, spec: &TaskSpec) -> bool {
        let plugin = self.inner.options.registry.get(&spec.uses);
        plugin.is_some_and(|plugin| plugin.replays)
    }

    /// True for a task whose outputs come from a person, or from runs of another DAG.
    fn is_answered_elsewhere(&self, spec: &TaskSpec) -> bool {
        spec.approval.is_some() || spec.uses == SubDag::NAME
    }
}

#[derive(Default)]
struct Plan {
    origins: BTreeMap<String, Origin>,
    kept: BTreeMap<String, KeptTask>,
    taken: Vec<String>,
}

/// The lookups that the models of a task joined, with their versions.
fn joined(record: &TaskRecord) -> Vec<(String, u64)> {
    let models = record.outputs.values().filter_map(|output| match output {
        Output::Model(model) => Some(lookups::joined(&model.parameters)),
        _ => None,
    });
    models.flatten().collect()
}

/// Where the tables that a task returned come from, if it read them outside or hands on what another task read.
fn origin_of(record: &TaskRecord) -> Origin {
    let mut origin = Origin::default();
    let is_extract = |table: &&Table| table.collected.is_some() || !table.raw.is_empty();
    let tables = record.outputs.values().filter_map(|output| match output {
        Output::Table(table) => Some(table),
        _ => None,
    });
    for table in tables.filter(is_extract) {
        let marks = if table.raw.is_empty() { &table.files } else { &table.raw };
        origin.marks.extend(marks.iter().cloned());
        origin.raw.extend(table.raw.iter().cloned());
        origin.collected = origin.collected.or_else(|| table.collected.clone());
    }
    origin
}
