//! How often someone may ask: a bucket of tokens for each, refilled at an even pace.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Callers remembered before those with a full bucket are forgotten.
const KEPT: usize = 10_000;

/// Requests a second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many a second, in the long run.
    pub per_second: f64,
    /// How many at once.
    pub burst: f64,
}

impl Rate {
    /// `per_second`, and twice as many at once (at least one).
    pub fn per_second(per_second: f64) -> Rate {
        Rate {
            per_second,
            burst: (2.0 * per_second).max(1.0),
        }
    }
}

#[derive(Debug)]
struct Left {
    tokens: f64,
    at: Instant,
}

/// Buckets by caller, in memory of this process.
#[derive(Debug)]
pub struct Limits<K> {
    rate: Rate,
    callers: Mutex<HashMap<K, Left>>,
}

impl<K: Eq + Hash> Limits<K> {
    /// Full buckets for everybody.
    pub fn new(rate: Rate) -> Limits<K> {
        Limits {
            rate,
            callers: Mutex::default(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// Whole seconds until there is one again.
    pub fn take(&self, caller: K, now: Instant) -> Result<(), u64> {
        self.with(caller, now, |left| {
            left.tokens -= 1.0;
        })
    }

    /// Whether there is one to take.
    ///
    /// # Errors
    /// As [`Limits::take`].
    pub fn look(&self, caller: K, now: Instant) -> Result<(), u64> {
        self.with(caller, now, |_| {})
    }

    fn with(&self, caller: K, now: Instant, change: impl FnOnce(&mut Left)) -> Result<(), u64> {
        let rate = self.rate;
        let filled = |left: &Left| {
            let since = now.saturating_duration_since(left.at).as_secs_f64();
            (left.tokens + since * rate.per_second).min(rate.burst)
        };
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= KEPT {
            callers.retain(|_, left| filled(left) < rate.burst);
        }
        let left = callers.entry(caller).or_insert(Left {
            tokens: rate.burst,
            at: now,
        });
        left.tokens = filled(left);
        left.at = now;
        if left.tokens < 1.0 {
            return Err(((1.0 - left.tokens) / rate.per_second).ceil().max(1.0) as u64);
        }
        change(left);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_and_then_the_pace_for_each_alone() {
        let limits = Limits::new(Rate::per_second(0.5));
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(limits.take("ada", start), Ok(()));
        assert_eq!(limits.take("ada", start), Err(2));
        assert_eq!(limits.take("bob", start), Ok(()), "another has a bucket of their own");
        assert_eq!(limits.look("ada", after(2)), Ok(()));
        assert_eq!(limits.take("ada", after(2)), Ok(()), "a look takes nothing");
        assert_eq!(limits.take("ada", after(3)), Err(1));
        let limits = Limits::new(Rate::per_second(10.0));
        let taken = (0..100).filter(|_| limits.take("ada", start).is_ok()).count();
        assert_eq!(taken, 20);
    }

    #[test]
    fn callers_that_came_once_do_not_fill_the_memory() {
        let limits = Limits::new(Rate::per_second(1.0));
        let start = Instant::now();
        for caller in 0..KEPT {
            limits.take(caller, start).unwrap();
        }
        limits.take(KEPT, start + Duration::from_secs(60)).unwrap();
        assert_eq!(limits.callers.lock().unwrap().len(), 1);
    }
}
