//! The metadata: runs, tasks, attempts and events in a database.

mod address;
mod approvals;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod conformance;
mod instances;
mod open;
mod operate;
mod page;
mod pools;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod postgres_server;
mod read;
mod said;
mod write;

pub(crate) use address::Address;
pub(crate) use approvals::{Question, Taken};
pub(crate) use instances::InstanceRow;
pub use open::Store;
pub use page::RunFilter;
pub(crate) use pools::Claim;
pub use pools::{SlotHolder, SlotWaiter};
pub(crate) use read::StoredTask;
pub use said::TaskProgress;
pub(crate) use said::{AttemptName, Saying, SayingKind};
pub(crate) use write::{AttemptEnd, TaskChange, TaskResult, Transition};
