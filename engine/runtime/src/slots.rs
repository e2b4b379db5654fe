//! The engine's slots: how many attempts run at once, over all of its runs. Whoever waits with the highest priority gets
//! the next one, and of several the one that has waited longest.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Which of those who wait comes first.
type Turn = (Reverse<i32>, u64);

/// A number of slots.
pub(crate) struct Slots {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Only while none is free.
    waiting: BTreeMap<Turn, oneshot::Sender<Slot>>,
    came: u64,
}

/// A slot that is taken until this is dropped.
pub(crate) struct Slot {
    slots: Option<Arc<Slots>>,
}

impl Slots {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: count,
                waiting: BTreeMap::new(),
                came: 0,
            }),
        })
    }

    /// A slot, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(self.slot())
    }

    /// Waits for a slot. Dropping the future gives the turn up.
    pub async fn take(self: Arc<Self>, priority: i32) -> Option<Slot> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            if let Some(left) = state.free.checked_sub(1) {
                state.free = left;
                return Some(self.slot());
            }
            state.came += 1;
            let turn = (Reverse(priority), state.came);
            state.waiting.insert(turn, sender);
        }
        receiver.await.ok()
    }

    fn slot(self: &Arc<Self>) -> Slot {
        Slot {
            slots: Some(Arc::clone(self)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a slot on to whoever waits for it, or makes it free.
    fn give_back(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let Some((_, next)) = state.waiting.pop_first() else {
                state.free += 1;
                return;
            };
            drop(state);
            match next.send(self.slot()) {
                Ok(()) => return,
                // Whoever waited is gone: the slot is not given back by that, but offered to the next.
                Err(mut slot) => slot.slots = None,
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.give_back();
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_next_slot_goes_to_the_highest_priority_and_then_to_who_came_first() {
        let slots = Slots::new(1);
        let held = slots.try_take().unwrap();
        assert!(slots.try_take().is_none());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for (name, priority) in [("a", 0), ("b", 5), ("c", 5), ("d", -1)] {
            let (slots, order) = (Arc::clone(&slots), Arc::clone(&order));
            waiting.spawn(async move {
                let slot = slots.take(priority).await.unwrap();
                order.lock().unwrap().push(name);
                drop(slot);
            });
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(held);
        waiting.join_all().await;
        assert_eq!(*order.lock().unwrap(), ["b", "c", "a", "d"]);
        assert!(slots.try_take().is_some(), "all came back");
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_holds_up_nobody() {
        let slots = Slots::new(1);
        let held = slots.try_take().unwrap();
        let gone = tokio::time::timeout(Duration::from_millis(5), Arc::clone(&slots).take(9)).await;
        assert!(gone.is_err());
        drop(held);
        let again = slots.try_take();
        assert!(again.is_some());
        drop(again);
        assert!(slots.try_take().is_some());
    }
}
