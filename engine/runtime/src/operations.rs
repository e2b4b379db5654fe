//! What people do with runs beside starting them.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_core::spec::Dag;
use ratchet_core::state::{RunStatus, TaskState};
use serde_json::Value;

use crate::beginning::{Beginning, KeptTask, Repeat, known, retry};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::record::{NewRun, RunRecord, RunTrigger};

impl Engine {
    /// Asks for the end of a run, whoever drives it: a process that does sees it within a second.
    ///
    /// # Errors
    ///
    /// If there is no such run, or it has ended.
    pub async fn ask_to_cancel(&self, run: &str, actor: &str) -> Result<RunRecord, EngineError> {
        let record = self.run(run).await?;
        if self.store().ask_to_cancel(&record.id, actor).await? {
            return Ok(record);
        }
        let ended = self.run(&record.id).await?;
        Err(EngineError::Ended {
            run: ended.id,
            status: ended.status,
        })
    }

    /// Records a new run that repeats an ended one: with the DAG text, the dates and the parameters of that one, but
    /// for the parameters given. See [`Repeat`] for what it runs again; the rest is kept with its outputs.
    ///
    /// # Errors
    ///
    /// If there is no such run or task, the run has not ended, the parameters do not fit, or nothing would be run.
    pub async fn retry(
        &self,
        run: &str,
        repeat: &Repeat,
        params: &BTreeMap<String, String>,
        actor: &str,
    ) -> Result<String, EngineError> {
        let record = self.ended(run).await?;
        let dag = self.dag_of(&record)?;
        let edited = edited(&dag, &record, params)?;
        let changed: BTreeSet<String> = edited
            .iter()
            .filter(|(name, value)| record.params.get(*name) != Some(value))
            .map(|(name, _)| name.clone())
            .collect();
        let stored = self.store().stored_tasks(&record.id).await?;
        let tasks: Vec<_> = stored
            .into_iter()
            .map(|task| (task.record, task.snapshot.skip_cause))
            .collect();
        let beginning = retry(&dag, &record.id, &tasks, repeat, &changed)?;
        let new = NewRun {
            dag,
            params: edited,
            logical_date: record.logical_date,
            interval_start: record.interval_start,
            trigger: RunTrigger::Manual,
            actor: actor.to_owned(),
        };
        self.create_run_from(new, &beginning).await
    }

    /// What a run of only these tasks begins with: what they come after is taken from the newest run in which it
    /// succeeded, the rest is left out.
    ///
    /// # Errors
    ///
    /// If there is no such task, or one that is needed never succeeded.
    pub async fn only(&self, dag: &Dag, tasks: &BTreeSet<String>) -> Result<Beginning, EngineError> {
        let mut kept = BTreeMap::new();
        for id in tasks {
            let task = known(dag, &dag.name, id)?;
            for needed in task.dependencies.difference(tasks) {
                let found = self.store().newest_success(&dag.name, needed).await?;
                let Some((run, record)) = found else {
                    return Err(EngineError::Needed {
                        dag: dag.name.clone(),
                        task: id.clone(),
                        needed: needed.clone(),
                    });
                };
                kept.insert(needed.clone(), KeptTask::succeeded(&run, record.outputs));
            }
        }
        for task in &dag.tasks {
            if !tasks.contains(&task.id) {
                let left_out = || KeptTask::left_out("it is left out of this run");
                kept.entry(task.id.clone()).or_insert_with(left_out);
            }
        }
        Ok(Beginning {
            kept,
            ..Beginning::default()
        })
    }

    /// Corrects what a task of an ended run came to, by hand; returns how the run stands then. A later
    /// [`retry`](Engine::retry) keeps what is marked succeeded or skipped.
    ///
    /// # Errors
    ///
    /// If there is no such run or task, or the run has not ended.
    pub async fn mark(&self, run: &str, task: &str, state: TaskState, actor: &str) -> Result<RunStatus, EngineError> {
        let record = self.ended(run).await?;
        let dag = self.dag_of(&record)?;
        let tasks = self.store().tasks(&record.id).await?;
        if !tasks.iter().any(|known| known.id == task && known.instance.is_some()) {
            known(&dag, &record.id, task)?;
        }
        let reason = format!("marked {state} by {actor}");
        let status = self.store().mark_task(&record.id, task, state, &reason).await?;
        status.ok_or(EngineError::Unfinished { run: record.id })
    }

    async fn ended(&self, run: &str) -> Result<RunRecord, EngineError> {
        let record = self.run(run).await?;
        if record.status == RunStatus::Running {
            return Err(EngineError::Unfinished { run: record.id });
        }
        Ok(record)
    }

    pub(crate) fn dag_of(&self, record: &RunRecord) -> Result<Dag, EngineError> {
        let registry = &self.inner.options.registry;
        ratchet_core::load_again(&record.file_name, &record.dag_text, registry).map_err(|problems| EngineError::Dag {
            run: record.id.clone(),
            message: problems.to_string(),
        })
    }
}

/// The run's parameters with the given ones in their place, all checked again.
fn edited(
    dag: &Dag,
    record: &RunRecord,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, EngineError> {
    let as_text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut texts: BTreeMap<String, String> = record
        .params
        .iter()
        .map(|(name, value)| (name.clone(), as_text(value)))
        .collect();
    texts.extend(given.clone());
    dag.bind(&texts).map_err(|problems| EngineError::Params {
        run: record.id.clone(),
        message: problems.join("; "),
    })
}
