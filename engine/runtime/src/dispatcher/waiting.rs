//! Tasks that are ready and wait for a slot.
//!
//! They wait behind gates. Behind the free gate wait those that need nothing but a slot of the engine; other gates open
//! and close with what else their tasks need. Of all tasks behind open gates the one with the highest priority is next,
//! and of several the one that has waited longest: a closed gate holds up nobody who does not wait behind it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::prepare::Rendered;

/// What its tasks wait for, beside a slot of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gate {
    /// The task of which only so many instances may run at once.
    pub instances_of: Option<usize>,
    /// The pool of which they take slots.
    pub pool: Option<String>,
}

/// Which of those behind a gate comes first.
type Turn = (Reverse<i32>, u64);

/// The tasks behind each gate in the order of their turns.
#[derive(Default)]
pub(super) struct Waiting {
    lanes: BTreeMap<Gate, BTreeMap<Turn, (usize, Rendered)>>,
    came: u64,
}

/// A task whose turn it is.
pub(super) struct Next {
    gate: Gate,
    turn: Turn,
    pub task: usize,
    pub rendered: Rendered,
}

impl Waiting {
    /// Puts a task behind a gate.
    pub fn push(&mut self, gate: Gate, priority: i32, task: usize, rendered: Rendered) {
        self.came += 1;
        let turn = (Reverse(priority), self.came);
        self.put_back(Next {
            gate,
            turn,
            task,
            rendered,
        });
    }

    /// A task whose turn it is at once.
    pub fn at_once(gate: Gate, task: usize, rendered: Rendered) -> Next {
        let turn = (Reverse(i32::MAX), 0);
        Next {
            gate,
            turn,
            task,
            rendered,
        }
    }

    /// Gives a task its place again.
    pub fn put_back(&mut self, next: Next) {
        let lane = self.lanes.entry(next.gate).or_default();
        lane.insert(next.turn, (next.task, next.rendered));
    }

    /// The gates behind which somebody waits.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.lanes.keys()
    }

    /// The highest priority behind these gates; none if nobody waits there.
    pub fn highest(&self, open: &BTreeSet<Gate>) -> Option<i32> {
        let (turn, _) = self.first(open)?;
        Some(turn.0.0)
    }

    /// The next task of those behind these gates.
    pub fn take(&mut self, open: &BTreeSet<Gate>) -> Option<Next> {
        let (turn, gate) = self.first(open)?;
        let gate = gate.clone();
        let lane = self.lanes.get_mut(&gate)?;
        let (task, rendered) = lane.remove(&turn)?;
        if lane.is_empty() {
            self.lanes.remove(&gate);
        }
        Some(Next {
            gate,
            turn,
            task,
            rendered,
        })
    }

    fn first<'a>(&self, open: &'a BTreeSet<Gate>) -> Option<(Turn, &'a Gate)> {
        let heads = open.iter().filter_map(|gate| {
            let (turn, _) = self.lanes.get(gate)?.first_key_value()?;
            Some((*turn, gate))
        });
        heads.min()
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.lanes.clear();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::Value;

    use super::*;

    fn gate(pool: &str) -> Gate {
        Gate {
            instances_of: None,
            pool: (!pool.is_empty()).then(|| pool.to_owned()),
        }
    }

    fn push(waiting: &mut Waiting, pool: &str, priority: i32, task: usize) {
        let rendered = Rendered {
            with: Value::Null,
            environment: BTreeMap::new(),
        };
        waiting.push(gate(pool), priority, task, rendered);
    }

    #[test]
    fn priority_decides_then_who_came_first_and_a_closed_gate_holds_up_nobody_else() {
        let mut waiting = Waiting::default();
        for (task, (pool, priority)) in [("", 0), ("gpu", 9), ("", 1), ("gpu", 9), ("", 0)]
            .into_iter()
            .enumerate()
        {
            push(&mut waiting, pool, priority, task);
        }
        let free = BTreeSet::from([gate("")]);
        let all = BTreeSet::from([gate(""), gate("gpu")]);
        assert_eq!((waiting.highest(&free), waiting.highest(&all)), (Some(1), Some(9)));
        let next = waiting.take(&all).unwrap();
        assert_eq!(next.task, 1);
        waiting.put_back(next);
        let mut order = Vec::new();
        while let Some(next) = waiting.take(&free) {
            order.push(next.task);
        }
        while let Some(next) = waiting.take(&all) {
            order.push(next.task);
        }
        assert_eq!(order, [2, 0, 4, 1, 3]);
        assert_eq!((waiting.highest(&all), waiting.gates().count()), (None, 0));
    }
}
