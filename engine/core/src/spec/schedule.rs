//! When a DAG runs by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A local time that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// To the first instant after the gap.
    #[default]
    Shift,
    /// No tick.
    Skip,
}

/// A local time that comes twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOverlap {
    /// The earlier of the two.
    #[default]
    First,
    /// The later of the two.
    Last,
}

/// Ticks that were missed while the scheduler was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Catchup {
    /// Forget them.
    None,
    /// Run the newest.
    #[default]
    Latest,
    /// Run all, oldest first.
    All,
}

/// A tick while a run is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// No run for this tick.
    #[default]
    Skip,
    /// Run it afterwards.
    Queue,
    /// End the active run first.
    CancelRunning,
}

/// `schedule:` of a DAG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Five fields; 0 and 7 are Sunday; day-of-month OR day-of-week where both are restricted.
    pub cron: String,
    /// IANA name, such as `Europe/London`.
    pub timezone: String,
    /// A local time that does not exist.
    pub on_gap: OnGap,
    /// A local time that comes twice.
    pub on_overlap: OnOverlap,
    /// Missed ticks.
    pub catchup: Catchup,
    /// A tick while a run is active.
    pub overlap: Overlap,
}
