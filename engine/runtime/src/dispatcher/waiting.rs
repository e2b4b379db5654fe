//! Tasks that are ready and wait for a slot.
//!
//! They wait behind gates. Behind the free gate wait those that need nothing but a slot of the engine; other gates open
//! and close with what else their tasks need. Of all tasks behind open gates the one with the highest priority is next,
//! and of several the one that has waited longest: a closed gate holds up nobody who does not wait behind it.

use std::collections::{BTreeMap, BTreeSet};

use crate::prepare::Rendered;

/// What its tasks wait for, beside a slot of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gate {
    /// The task of which only so many instances may run at once.
    pub instances_of: Option<usize>,
}

/// The tasks behind each gate by the order in which they came.
#[derive(Default)]
pub(super) struct Waiting {
    lanes: BTreeMap<Gate, BTreeMap<u64, (usize, Rendered)>>,
    came: u64,
}

impl Waiting {
    /// Puts a task behind a gate.
    pub fn push(&mut self, gate: Gate, task: usize, rendered: Rendered) {
        self.came += 1;
        self.lanes.entry(gate).or_default().insert(self.came, (task, rendered));
    }

    /// The gates behind which somebody waits.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.lanes.keys()
    }

    /// True if somebody waits behind one of these gates.
    pub fn has_any(&self, open: &BTreeSet<Gate>) -> bool {
        open.iter().any(|gate| self.lanes.contains_key(gate))
    }

    /// The next task of those behind these gates.
    pub fn take(&mut self, open: &BTreeSet<Gate>) -> Option<(usize, Rendered)> {
        let heads = open.iter().filter_map(|gate| {
            let (place, _) = self.lanes.get(gate)?.first_key_value()?;
            Some((*place, gate))
        });
        let (place, gate) = heads.min()?;
        let lane = self.lanes.get_mut(gate)?;
        let taken = lane.remove(&place);
        if lane.is_empty() {
            self.lanes.remove(gate);
        }
        taken
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.lanes.clear();
    }
}
