//! Where a run begins: at nothing, or with what another run finished.
//!
//! A retry is a run of its own, with an id of its own, that keeps the finished tasks of the one it repeats. Nothing
//! that was recorded changes by it, and what it registers has keys of its own.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_core::plugin::Output;
use ratchet_core::spec::{Dag, TaskSpec};
use ratchet_core::state::{SkipCause, TaskState};
use ratchet_core::template::{Reference, references};
use serde_json::Value;

use crate::error::EngineError;
use crate::record::TaskRecord;

/// A task that has ended before its run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptTask {
    /// Succeeded with the outputs of another run, or skipped because it is left out.
    pub state: TaskState,
    /// Why, for people.
    pub reason: String,
    /// Its ports.
    pub outputs: BTreeMap<String, Output>,
}

impl KeptTask {
    /// It succeeded in another run.
    pub(crate) fn succeeded(run: &str, outputs: BTreeMap<String, Output>) -> Self {
        Self {
            state: TaskState::Succeeded,
            reason: format!("kept from run {run}"),
            outputs,
        }
    }

    /// It is not run.
    pub(crate) fn left_out(reason: &str) -> Self {
        Self {
            state: TaskState::Skipped,
            reason: reason.to_owned(),
            outputs: BTreeMap::new(),
        }
    }

    pub(crate) fn skip_cause(&self) -> Option<SkipCause> {
        (self.state == TaskState::Skipped).then_some(SkipCause::Condition)
    }
}

/// What a run begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beginning {
    /// The run that it repeats.
    pub retry_of: Option<String>,
    /// Left for three seconds to the process that makes it and is about to drive it; otherwise whoever looks first
    /// takes it.
    pub reserved: bool,
    /// The tasks that are not run, by id.
    pub kept: BTreeMap<String, KeptTask>,
}

/// Which tasks a retry runs again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeat {
    /// These; without any, those that did not succeed. What comes after them follows.
    pub from: Vec<String>,
    /// Nothing follows: only `from` is run.
    pub only: bool,
    /// Whoever asks for it drives it, see [`Beginning::reserved`].
    pub reserved: bool,
}

/// What a retry of an ended run keeps. Everything that succeeded or whose condition was false, except what is named,
/// what reads a parameter whose value changed, and what comes after any task that is run again.
pub(crate) fn retry(
    dag: &Dag,
    run: &str,
    tasks: &[(TaskRecord, Option<SkipCause>)],
    repeat: &Repeat,
    changed: &BTreeSet<String>,
) -> Result<Beginning, EngineError> {
    for id in &repeat.from {
        known(dag, run, id)?;
    }
    let mut again: BTreeSet<&str> = repeat.from.iter().map(String::as_str).collect();
    let mut kept = BTreeMap::new();
    for task in &dag.tasks {
        let id = task.id.as_str();
        let found = tasks.iter().find(|(record, _)| record.id == id);
        let follows = !repeat.only
            && (task.dependencies.iter().any(|before| again.contains(before.as_str())) || reads(task, changed));
        if again.contains(id) {
            continue;
        }
        match found {
            Some((record, _)) if record.state == TaskState::Succeeded && !follows => {
                kept.insert(id.to_owned(), KeptTask::succeeded(run, record.outputs.clone()));
            }
            Some((record, Some(SkipCause::Condition))) if !follows => {
                let reason = record.reason.clone().unwrap_or_default();
                kept.insert(id.to_owned(), KeptTask::left_out(&reason));
            }
            _ if repeat.only => {
                kept.insert(id.to_owned(), KeptTask::left_out("it is not part of this retry"));
            }
            _ => drop(again.insert(id)),
        }
    }
    if again.is_empty() {
        return Err(EngineError::NothingToDo { run: run.to_owned() });
    }
    Ok(Beginning {
        retry_of: Some(run.to_owned()),
        reserved: repeat.reserved,
        kept,
    })
}

/// The tasks that `until` names and all that they come after.
///
/// # Errors
///
/// The DAG has no such task.
pub fn until(dag: &Dag, named: &[String]) -> Result<BTreeSet<String>, EngineError> {
    let mut chosen = BTreeSet::new();
    for id in named {
        known(dag, &dag.name, id)?;
        chosen.insert(id.clone());
    }
    // Dependencies stand before those who have them.
    for task in dag.tasks.iter().rev() {
        if chosen.contains(&task.id) {
            chosen.extend(task.dependencies.iter().cloned());
        }
    }
    Ok(chosen)
}

pub(crate) fn known<'a>(dag: &'a Dag, place: &str, id: &str) -> Result<&'a TaskSpec, EngineError> {
    dag.task(id).ok_or_else(|| {
        let known: Vec<String> = dag.tasks.iter().map(|task| format!("`{}`", task.id)).collect();
        EngineError::UnknownTask {
            run: place.to_owned(),
            task: id.to_owned(),
            known: known.join(", "),
        }
    })
}

/// True if the task's configuration, condition or environment reads one of the parameters. Every expression was checked when the
/// DAG was loaded; one that cannot be read counts as reading all.
fn reads(task: &TaskSpec, params: &BTreeSet<String>) -> bool {
    if params.is_empty() {
        return false;
    }
    let when = task
        .when
        .as_ref()
        .map(|when| Value::String(format!("${{{{ {when} }}}}")));
    let environment: Vec<Value> = task.environment.values().cloned().map(Value::String).collect();
    std::iter::once(&task.with)
        .chain(&when)
        .chain(&environment)
        .any(|value| match references(value) {
            Ok(found) => found
                .iter()
                .any(|reference| matches!(reference, Reference::Param(name) if params.contains(name))),
            Err(_) => true,
        })
}
