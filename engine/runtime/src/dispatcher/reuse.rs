//! Tasks that need not run, because an earlier run has what they would come to.

use std::sync::Arc;

use ratchet_core::state::{Event, TaskState};
use tokio::task::JoinError;

use super::{Detail, Dispatcher};
use crate::cache::{key, reason, without_secrets};
use crate::error::{EngineError, StoreError};
use crate::prepare::Rendered;
use crate::record::TaskRecord;
use crate::store::TaskResult;

/// What was found for a task.
pub(super) struct Looked {
    task: usize,
    rendered: Rendered,
    key: Option<String>,
    earlier: Result<Option<(String, TaskRecord)>, StoreError>,
}

impl Dispatcher {
    /// Looks for an earlier run that has what the task would come to.
    pub(super) fn look_for_earlier(&mut self, task: usize, rendered: Rendered) {
        let spec = self.spec(task).clone();
        let id = self.state.tasks()[task].id.clone();
        self.scope.each = self.fans.each(task).cloned();
        let shown = without_secrets(&spec, &id, &mut self.scope);
        self.scope.each = None;
        let (engine, run) = (Arc::clone(&self.engine), self.context());
        self.looking.spawn(async move {
            let key = match shown {
                Some(shown) => key(&engine, &spec, &id, shown, run).await,
                None => Err("its configuration cannot be rendered without its secrets".to_owned()),
            };
            let key = key
                .inspect_err(|problem| tracing::warn!("task `{id}` is not looked for in the cache: {problem}"))
                .ok();
            let earlier = match &key {
                Some(key) => engine.store.newest_under_key(key).await,
                None => Ok(None),
            };
            Looked {
                task,
                rendered,
                key,
                earlier,
            }
        });
    }

    /// Takes what was found, or runs the task.
    pub(super) fn looked(&mut self, looked: Result<Looked, JoinError>) -> Result<(), EngineError> {
        let Looked {
            task,
            rendered,
            key,
            earlier,
        } = looked.map_err(|error| StoreError::Query {
            action: "look into the cache",
            source: sqlx::Error::Io(std::io::Error::other(error)),
        })?;
        if self.state.tasks()[task].state != TaskState::Ready {
            return Ok(());
        }
        let Some((run, record)) = earlier? else {
            self.cache_keys.extend(key.map(|key| (task, key)));
            return self.queue(task, rendered);
        };
        let detail = Detail {
            result: Some(TaskResult {
                outputs: record.outputs,
                ..TaskResult::default()
            }),
            ..Detail::default()
        };
        let reason = reason(&run);
        self.step(Event::Reused { task, reason }, detail)
    }
}
