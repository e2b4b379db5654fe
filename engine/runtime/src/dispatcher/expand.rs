//! Tasks that run once for each item of a list: from the list to the instances, and from what these left to the lists
//! that the tasks behind them read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use ratchet_core::plugin::Output;
use ratchet_core::state::{Event, NewInstance, Run, TaskState};
use ratchet_core::template::Each;
use serde_json::Value;

use super::waiting::Gate;
use super::{Detail, Dispatcher, ports};
use crate::beginning::KeptInstance;
use crate::error::EngineError;
use crate::prepare::{Prepared, condition, prepare};
use crate::record::Failure;
use crate::store::{InstanceRow, StoredTask, TaskResult};

/// The instances of a run's tasks.
pub(super) struct Fans {
    /// The place of the first instance: as many tasks has the DAG.
    first: usize,
    instances: Vec<Made>,
    /// What instances left in the run that this one repeats, by task and key.
    kept: BTreeMap<(String, String), KeptInstance>,
    /// How many instances of each task run.
    running: HashMap<usize, usize>,
}

struct Made {
    id: String,
    of: usize,
    each: Each,
    /// Why it failed.
    failure: Option<String>,
}

impl Fans {
    /// Those that a former engine made. `stored` is ordered by position.
    pub fn restore(first: usize, stored: &[StoredTask], kept: Vec<KeptInstance>) -> Self {
        let made = stored.iter().filter_map(|task| {
            let instance = task.record.instance.as_ref()?;
            Some(Made {
                id: task.record.id.clone(),
                of: task.instance_of?,
                each: Each::new(instance.item.clone(), instance.index as usize),
                failure: task.record.error.as_ref().map(|error| error.message.clone()),
            })
        });
        Self {
            first,
            instances: made.collect(),
            kept: kept
                .into_iter()
                .map(|instance| ((instance.task.clone(), instance.key.clone()), instance))
                .collect(),
            running: HashMap::new(),
        }
    }

    /// Tells the state machine of them.
    pub fn put_back(&self, mut run: Run) -> Run {
        for made in self.instances.chunk_by(|one, next| one.of == next.of) {
            let ids = made.iter().map(|instance| instance.id.clone());
            run = run.with_instances(made[0].of, ids);
        }
        run
    }

    /// Keeps why an instance failed, for what its task will say.
    pub fn note_failure(&mut self, place: usize, error: Option<&Failure>) {
        let made = place.checked_sub(self.first).and_then(|at| self.instances.get_mut(at));
        if let (Some(made), Some(error)) = (made, error) {
            made.failure = Some(error.message.clone());
        }
    }

    /// The item of an instance.
    pub(super) fn each(&self, place: usize) -> Option<&Each> {
        let made = place.checked_sub(self.first).and_then(|at| self.instances.get(at))?;
        Some(&made.each)
    }
}

impl Dispatcher {
    /// True for a task whose list has to be taken before anything runs.
    pub(super) fn has_list(&self, task: usize) -> bool {
        self.state.parent_of(task).is_none() && self.dag.tasks[task].foreach.is_some()
    }

    /// Makes the instances of a ready task.
    pub(super) fn expand(&mut self, task: usize) -> Result<(), EngineError> {
        let spec = &self.dag.tasks[task];
        let Some(foreach) = spec.foreach.clone() else {
            return Ok(());
        };
        if !foreach.asks_each {
            match condition(spec, &spec.id, &self.scope) {
                Some(Prepared::Skip(reason)) => {
                    return self.step(Event::ConditionFalse { task, reason }, Detail::default());
                }
                Some(Prepared::Fail(error)) => return self.reject(task, error),
                _ => {}
            }
        }
        let instances = match foreach.expand(&mut self.scope) {
            Ok(instances) => instances,
            Err(problem) => {
                let error = Failure {
                    message: format!("task `{}`: {}", spec.id, problem.message),
                    help: problem.help,
                };
                return self.reject(task, error);
            }
        };
        let (id, uses) = (spec.id.clone(), spec.uses.clone());
        let first = self.state.tasks().len();
        let mut made = Vec::with_capacity(instances.len());
        let mut rows = Vec::with_capacity(instances.len());
        for (index, instance) in instances.into_iter().enumerate() {
            let kept = self.fans.kept.remove(&(id.clone(), instance.key.clone()));
            // Another item under the same key is another instance.
            let kept = kept.filter(|kept| kept.item == instance.item).map(|kept| kept.outputs);
            let name = format!("{id}[{}]", instance.key);
            if let Some(outputs) = &kept {
                self.scope.tasks.insert(name.clone(), ports(outputs));
            }
            made.push(NewInstance {
                id: name.clone(),
                kept: kept.is_some(),
            });
            self.fans.instances.push(Made {
                id: name.clone(),
                of: task,
                each: Each::new(instance.item.clone(), index),
                failure: None,
            });
            rows.push(InstanceRow {
                position: first + index,
                of: task,
                index,
                id: name,
                key: instance.key,
                item: instance.item,
                uses: uses.clone(),
                kept,
            });
        }
        let detail = Detail {
            instances: rows,
            ..Detail::default()
        };
        self.step(Event::Expanded { task, instances: made }, detail)
    }

    /// What a ready task or instance does next.
    pub(super) fn prepared(&mut self, task: usize) -> Prepared {
        if let Some(failure) = self.no_such_slots(task) {
            return Prepared::Fail(failure);
        }
        self.scope.each = self.fans.each(task).cloned();
        let spec = self.spec(task);
        let state = &self.state.tasks()[task];
        // A task with a list was asked before its instances were made, unless its condition reads the item.
        let asked = self.state.parent_of(task).is_some() && spec.foreach.as_ref().is_some_and(|list| !list.asks_each);
        let prepared = prepare(spec, &state.id, state.attempts == 0 && !asked, &self.scope);
        self.scope.each = None;
        prepared
    }

    /// What a task waits for beside a slot.
    pub(super) fn gate(&self, task: usize) -> Gate {
        let limited = self.state.parent_of(task).filter(|_| {
            let list = self.spec(task).foreach.as_ref();
            list.is_some_and(|list| list.max_parallel.is_some())
        });
        Gate {
            instances_of: limited,
            pool: self.spec(task).pool.as_ref().map(|pool| pool.name.clone()),
        }
    }

    /// The gates whose tasks may start now.
    pub(super) fn open_gates(&self) -> BTreeSet<Gate> {
        let open = self.waiting.gates().filter(|gate| self.has_room_for(gate));
        open.cloned().collect()
    }

    pub(super) fn has_room_for(&self, gate: &Gate) -> bool {
        if gate.pool.as_ref().is_some_and(|pool| !self.pools.may_have_room(pool)) {
            return false;
        }
        let Some(task) = gate.instances_of else { return true };
        let most = self.dag.tasks[task].foreach.as_ref().and_then(|list| list.max_parallel);
        let running = self.fans.running.get(&task).copied().unwrap_or_default();
        most.is_none_or(|most| running < most)
    }

    /// One more instance of its task runs.
    pub(super) fn started_instance(&mut self, task: usize) {
        if let Some(parent) = self.state.parent_of(task) {
            *self.fans.running.entry(parent).or_default() += 1;
        }
    }

    /// One less.
    pub(super) fn ended_instance(&mut self, task: usize) {
        let running = self
            .state
            .parent_of(task)
            .and_then(|parent| self.fans.running.get_mut(&parent));
        if let Some(running) = running {
            *running = running.saturating_sub(1);
        }
    }

    /// What a task with a list leaves whose last instance has ended: for each port the list of what the instances that
    /// succeeded left, in the order of the list.
    pub(super) fn gathered(&mut self, task: usize, instances: Range<usize>) -> TaskResult {
        let spec = &self.dag.tasks[task];
        let plugin = self.engine.options.registry.get(&spec.uses);
        let declared = plugin.map(|plugin| plugin.outputs.as_slice()).unwrap_or_default();
        let mut lists: BTreeMap<String, Vec<Value>> =
            declared.iter().map(|port| (port.name.to_owned(), Vec::new())).collect();
        let count = instances.len();
        let mut failed = 0;
        let mut first_failure = None;
        for place in instances {
            let instance = &self.state.tasks()[place];
            let left = self.scope.tasks.remove(&instance.id).unwrap_or_default();
            match instance.state {
                TaskState::Succeeded => {
                    for (port, value) in left {
                        lists.entry(port).or_default().push(value);
                    }
                }
                TaskState::Failed => {
                    failed += 1;
                    first_failure = first_failure.or(Some(place));
                }
                _ => {}
            }
        }
        let error = first_failure.map(|place| {
            let id = &self.state.tasks()[place].id;
            let made = self.fans.instances.get(place - self.fans.first);
            let why = made.and_then(|made| made.failure.as_deref()).unwrap_or("it gave no message");
            Failure {
                message: format!("{failed} of {count} instances failed; `{id}`: {why}"),
                help: Some(format!(
                    "`ratchet runs logs {} {id}` shows what it said; a retry repeats the instances that did not succeed",
                    self.run.id
                )),
            }
        });
        TaskResult {
            outputs: lists
                .into_iter()
                .map(|(port, list)| (port, Output::Value(Value::Array(list))))
                .collect(),
            error,
            ..TaskResult::default()
        }
    }
}
