//! Telling people, beside the run: what is to be told was written with what happened, so that it is told at least once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_core::spec::{Notify, NotifyOn};
use ratchet_core::state::TaskState;
use ratchet_core::template::Scope;

use super::Dispatcher;
use crate::notifier::Teller;
use crate::store::Notice;

impl Dispatcher {
    /// Begins to tell what is to be told, unless somebody is at it.
    pub(super) fn tell(&mut self) {
        // Who reproduces a version asked for it and hears what comes of it.
        if !self.untold || !self.telling.is_empty() || self.engine.options.replay.is_some() {
            return;
        }
        self.untold = false;
        for error in self.look_up_all().into_values() {
            tracing::warn!("{error}");
        }
        let of_task = |task: &ratchet_core::spec::TaskSpec| (task.id.clone(), task.notify.clone());
        let teller = Teller {
            engine: Arc::clone(&self.engine),
            run: self.run.id.clone(),
            of_run: self.dag.notify.clone(),
            of_tasks: self.dag.tasks.iter().map(of_task).collect(),
            scope: Scope {
                params: self.scope.params.clone(),
                tasks: BTreeMap::new(),
                run: self.scope.run.clone(),
                secrets: self.scope.secrets.clone(),
                each: None,
            },
            masker: Arc::clone(&self.secrets.masker),
        };
        self.telling.spawn(teller.tell());
    }

    /// The notice of a task's end, if the task names somebody who wants to know.
    pub(super) fn notice_of(&self, place: usize, state: TaskState) -> Option<Notice> {
        let on = match state {
            TaskState::Failed => NotifyOn::Failure,
            TaskState::Succeeded => NotifyOn::Success,
            _ => return None,
        };
        // An instance's end is told by its task's.
        let task = self.dag.tasks.get(place)?;
        let wanted = |notify: &Notify| notify.on.contains(&on);
        task.notify.iter().any(wanted).then(|| Notice::TaskEnded {
            task: task.id.clone(),
            state,
        })
    }
}
