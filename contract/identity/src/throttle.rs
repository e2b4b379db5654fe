//! Wrong passwords are counted per username.
//!
//! Attempts for one name wait for each other ([`Throttle::turn`]): otherwise a hundred guesses sent at once would all be
//! hashed before the first of them counts. Names that do not exist are counted like others, so that the answer tells nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong passwords that a name may have within the window.
pub const ALLOWED: usize = 5;
/// How long a wrong password counts.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Names kept before those without a recent failure are dropped.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
struct Record {
    failures: VecDeque<Instant>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Failed logins by username, in memory of this process.
#[derive(Debug, Default)]
pub struct Throttle {
    records: Mutex<HashMap<String, Record>>,
}

impl Throttle {
    /// Waits until no other attempt for this name is being looked at. Keep the guard until the outcome is recorded.
    pub async fn turn(&self, username: &str, now: Instant) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = self.with_record(username, now, |record| record.turn.clone());
        turn.lock_owned().await
    }

    /// Whether an attempt is looked at now.
    ///
    /// # Errors
    /// The time until it would be, rounded up to whole seconds.
    pub fn check(&self, username: &str, now: Instant) -> Result<(), Duration> {
        self.with_record(username, now, |record| {
            if record.failures.len() < ALLOWED {
                return Ok(());
            }
            let oldest = record.failures.front().copied().unwrap_or(now);
            let left = (oldest + WINDOW).saturating_duration_since(now);
            Err(Duration::from_secs(left.as_millis().div_ceil(1000).max(1) as u64))
        })
    }

    /// Counts a wrong password.
    pub fn failed(&self, username: &str, now: Instant) {
        self.with_record(username, now, |record| record.failures.push_back(now));
    }

    /// Forgets the wrong passwords before a right one.
    pub fn succeeded(&self, username: &str, now: Instant) {
        self.with_record(username, now, |record| record.failures.clear());
    }

    fn with_record<T>(&self, username: &str, now: Instant, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= KEPT {
            records.retain(|_, record| {
                forget_old(record, now);
                // Someone who waits for a turn holds a second reference; dropping the record would let others pass beside.
                !record.failures.is_empty() || Arc::strong_count(&record.turn) > 1
            });
        }
        let record = records.entry(username.to_owned()).or_default();
        forget_old(record, now);
        change(record)
    }
}

fn forget_old(record: &mut Record, now: Instant) {
    while record
        .failures
        .front()
        .is_some_and(|failure| now.saturating_duration_since(*failure) >= WINDOW)
    {
        record.failures.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_attempt_waits_until_the_first_failure_is_a_minute_old() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for second in 0..5 {
            assert_eq!(throttle.check("ada", start + Duration::from_secs(second)), Ok(()));
            throttle.failed("ada", start + Duration::from_secs(second));
        }
        let later = start + Duration::from_millis(10_500);
        assert_eq!(throttle.check("ada", later), Err(Duration::from_secs(50)));
        assert_eq!(throttle.check("bob", later), Ok(()), "another name is free");
        assert_eq!(throttle.check("ada", start + WINDOW), Ok(()));
        throttle.failed("ada", start + WINDOW);
        assert_eq!(throttle.check("ada", start + WINDOW), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_right_password_clears_the_count() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..ALLOWED {
            throttle.failed("ada", now);
        }
        throttle.succeeded("ada", now);
        assert_eq!(throttle.check("ada", now), Ok(()));
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..KEPT {
            throttle.failed(&number.to_string(), start);
        }
        throttle.failed("ada", start + WINDOW);
        let kept = throttle.records.lock().unwrap_or_else(PoisonError::into_inner).len();
        assert_eq!(kept, 1);
    }
}
