//! The metadata: runs, tasks, attempts and events in a database.

mod address;
mod backfills;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod conformance;
mod open;
mod operate;
mod page;
mod pauses;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod postgres_server;
mod read;
mod said;
mod triggers;
mod write;

pub(crate) use address::Address;
pub use open::Store;
pub use page::RunFilter;
pub use pauses::Pause;
pub use said::TaskProgress;
pub(crate) use said::{AttemptName, Saying, SayingKind};
pub(crate) use write::{AttemptEnd, TaskChange, TaskResult, Transition, to_json};
