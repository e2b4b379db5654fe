//! The pure state machine of a run: no clock, no database, no process.
//!
//! [`apply`] is the one function that changes a [`Run`]. It takes an [`Event`], costs O(successors) and says what
//! changed. Whoever drives a run writes the changes down before acting on them.

mod apply;
mod event;
mod instances;
mod rule;
mod run;
mod status;
#[cfg(test)]
mod tests;

pub use apply::{MAX_LOSSES, apply};
pub use event::{Changes, Event, IllegalEvent, Verdict};
pub use instances::NewInstance;
pub use rule::{Decision, Upstream, decide};
pub use run::{Run, Snapshot, Task, TaskPlan};
pub use status::{RunStatus, SkipCause, TaskState};
