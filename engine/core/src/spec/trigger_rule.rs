//! What a task's dependencies must have come to before it starts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Airflow's rules, but the one for setup tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerRule {
    /// All succeeded.
    #[default]
    AllSuccess,
    /// All failed, or were not run because something failed.
    AllFailed,
    /// All ended, however.
    AllDone,
    /// All ended and at least one succeeded.
    AllDoneMinOneSuccess,
    /// At least one succeeded; does not wait for the others.
    OneSuccess,
    /// At least one failed; does not wait for the others.
    OneFailed,
    /// At least one succeeded or failed; does not wait for the others.
    OneDone,
    /// All ended, none failed; skipped ones are fine.
    NoneFailed,
    /// All ended, none was skipped.
    NoneSkipped,
    /// None failed and at least one succeeded.
    NoneFailedMinOneSuccess,
    /// All were skipped.
    AllSkipped,
    /// At once.
    Always,
}
