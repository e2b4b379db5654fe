//! Slots of pools: taken in the store before an attempt is begun, and given back in the step that ends it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Dispatcher;
use super::waiting::Next;
use crate::error::EngineError;
use crate::record::Failure;
use crate::store::Claim;

/// How long a pool that had no room is left alone: another engine may have freed a slot, and nobody tells.
const ASK_AGAIN: Duration = Duration::from_millis(400);

/// What a run knows of the pools.
#[derive(Default)]
pub(super) struct Pools {
    /// Pools that had no room, and when they are asked again.
    full: HashMap<String, Instant>,
}

impl Pools {
    /// True if it is worth asking.
    pub fn may_have_room(&self, pool: &str) -> bool {
        self.full.get(pool).is_none_or(|until| Instant::now() >= *until)
    }
}

impl Dispatcher {
    /// Why a task can never get the slots that it wants, if so. The file was checked against the pools of whoever began
    /// the run; this engine may know others.
    pub(super) fn no_such_slots(&self, task: usize) -> Option<Failure> {
        let wanted = self.spec(task).pool.as_ref()?;
        let name = &wanted.name;
        let declared = self.engine.options.registry.pools().and_then(|pools| pools.get(name));
        let (message, help) = match declared {
            None => (
                format!("the pool `{name}` is not declared where the engine runs"),
                format!("write `{name} = {}` under `[pools]` in its ratchet.toml", wanted.slots),
            ),
            Some(size) if wanted.slots > *size => (
                format!(
                    "an attempt takes {} slots of the pool `{name}`, which has {size}",
                    wanted.slots
                ),
                "raise the pool in ratchet.toml, or take fewer slots".to_owned(),
            ),
            Some(_) => return None,
        };
        Some(Failure {
            message,
            help: Some(help),
        })
    }

    /// Takes the slots that the next attempt of a task wants. False if they are not to be had now.
    pub(super) async fn claim(&mut self, next: &Next) -> Result<bool, EngineError> {
        let spec = self.spec(next.task);
        let Some(wanted) = &spec.pool else { return Ok(true) };
        let pools = self.engine.options.registry.pools();
        let state = &self.state.tasks()[next.task];
        let claim = Claim {
            pool: &wanted.name,
            size: pools.and_then(|pools| pools.get(&wanted.name).copied()).unwrap_or(0),
            slots: wanted.slots,
            priority: spec.priority,
            run: &self.run.id,
            owner: &self.owner,
            position: next.task,
            attempt: state.attempts + 1,
            task: &state.id,
        };
        let claimed = self.engine.store.claim_slots(&claim).await?;
        let pool = wanted.name.clone();
        if claimed {
            self.pools.full.remove(&pool);
        } else {
            self.pools.full.insert(pool, Instant::now() + ASK_AGAIN);
        }
        Ok(claimed)
    }

    /// An attempt has ended: its slots come free with the step that says so.
    pub(super) fn gives_back(&mut self, task: usize) -> bool {
        let Some(held) = self.spec(task).pool.as_ref().map(|pool| pool.name.clone()) else {
            return false;
        };
        self.pools.full.remove(&held);
        true
    }
}
