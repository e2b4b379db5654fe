//! What happens after a failure that a retry can help.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the pause grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// The same pause each time.
    Constant,
    /// Twice the pause each time.
    #[default]
    Exponential,
}

/// `retry: { attempts: 3, backoff: exponential, initial: 5s, max: 5m, jitter: true }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all; 1 means no retry.
    pub attempts: u32,
    /// How the pause grows.
    pub backoff: Backoff,
    /// First pause.
    pub initial: Duration,
    /// Longest pause.
    pub max: Duration,
    /// Takes a random share of the pause, so that many tasks do not come back at once.
    pub jitter: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Backoff::Exponential,
            initial: Duration::from_secs(5),
            max: Duration::from_secs(300),
            jitter: true,
        }
    }
}

impl Retry {
    /// The pause before attempt `next` (2 or later); `random` from 0 to 1 scales it between half and the whole when
    /// jitter is on.
    pub fn pause(&self, next: u32, random: f64) -> Duration {
        let doublings = match self.backoff {
            Backoff::Constant => 0,
            Backoff::Exponential => next.saturating_sub(2).min(30),
        };
        let pause = self.initial.saturating_mul(1 << doublings).min(self.max);
        if self.jitter {
            pause.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
        } else {
            pause
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y-060
    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry {
            jitter: false,
            ..Retry::default()
        };
        let pauses: Vec<u64> = (2..10).map(|next| retry.pause(next, 0.0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    /// Y-060
    #[test]
    fn jitter_stays_between_half_and_whole() {
        let retry = Retry::default();
        assert_eq!(retry.pause(2, 0.0), Duration::from_millis(2500));
        assert_eq!(retry.pause(2, 1.0), Duration::from_secs(5));
    }
}
