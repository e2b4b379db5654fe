//! Pools as people see them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::store::{SlotHolder, SlotWaiter};

/// A pool with who holds its slots and who waits for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// Its name.
    pub name: String,
    /// How many slots it has; none if it is not declared here, and another engine of the same metadata knows it.
    pub slots: Option<u32>,
    /// The slots that are taken.
    pub holders: Vec<SlotHolder>,
    /// Who waits, those who come first first.
    pub waiting: Vec<SlotWaiter>,
}

impl Engine {
    /// The pools that are declared here, and those that somebody holds or waits for.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn pools(&self) -> Result<Vec<PoolRecord>, EngineError> {
        let holders = self.store().slot_holders().await?;
        let waiting = self.store().slot_waiters().await?;
        let declared = self.inner.options.registry.pools();
        let used = holders.iter().map(|holder| &holder.pool);
        let wanted = waiting.iter().map(|waiter| &waiter.pool);
        let names: BTreeSet<&String> = declared
            .into_iter()
            .flat_map(|pools| pools.keys())
            .chain(used)
            .chain(wanted)
            .collect();
        let pools = names.into_iter().map(|name| PoolRecord {
            name: name.clone(),
            slots: declared.and_then(|pools| pools.get(name).copied()),
            holders: holders.iter().filter(|holder| holder.pool == *name).cloned().collect(),
            waiting: waiting.iter().filter(|waiter| waiter.pool == *name).cloned().collect(),
        });
        Ok(pools.collect())
    }
}
