//! `core.sleep`.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use ratchet_core::plugin::{ConfigProblem, Isolation, Outputs, Plugin, Port, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a sleeping task looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// The longest sleep: a year.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// Waits.
pub struct Sleep;

/// Configuration of `core.sleep`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SleepConfig {
    /// How long, in seconds; fractions are allowed.
    pub seconds: f64,
}

#[async_trait]
impl Plugin for Sleep {
    type Config = SleepConfig;
    const NAME: &'static str = "core.sleep";
    const SUMMARY: &'static str = "Waits for a number of seconds.";
    const ISOLATION: Isolation = Isolation::Inline;

    fn outputs() -> Vec<Port> {
        Vec::new()
    }

    fn validate(config: &SleepConfig) -> Vec<ConfigProblem> {
        if (0.0..=LONGEST_SECONDS).contains(&config.seconds) {
            return Vec::new();
        }
        vec![ConfigProblem {
            pointer: "/seconds".to_owned(),
            message: format!(
                "{} is not a number of seconds from 0 to {LONGEST_SECONDS}",
                config.seconds
            ),
            help: None,
        }]
    }

    async fn run(config: SleepConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let end = Instant::now() + Duration::from_secs_f64(config.seconds);
        loop {
            if context.is_cancelled() {
                return Err(TaskError::permanent("the run was cancelled while the task slept"));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Outputs::default());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}
