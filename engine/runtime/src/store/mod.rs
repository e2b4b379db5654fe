//! The metadata: runs, tasks, attempts and events in a database.

mod approvals;
mod backfills;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod conformance;
mod expire;
mod instances;
mod notices;
mod open;
mod operate;
mod overrides;
mod page;
mod pauses;
mod pools;
mod read;
mod said;
mod transaction;
mod triggers;
mod write;

pub(crate) use approvals::{Question, Taken};
pub(crate) use expire::EndedRun;
pub(crate) use instances::InstanceRow;
pub(crate) use notices::Notice;
pub use open::Store;
pub use overrides::DagOverrides;
pub use page::RunFilter;
pub use pauses::Pause;
pub(crate) use pools::Claim;
pub use pools::{SlotHolder, SlotWaiter};
pub(crate) use read::StoredTask;
pub use said::TaskProgress;
pub(crate) use said::{AttemptName, Saying, SayingKind};
pub(crate) use write::{AttemptEnd, TaskChange, TaskResult, Transition, to_json};
