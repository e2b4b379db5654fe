//! The metadata: runs, tasks, attempts and events in a database.

mod open;
mod operate;
mod page;
mod read;
mod said;
mod write;

pub use open::Store;
pub use page::RunFilter;
pub use said::TaskProgress;
pub(crate) use said::{AttemptName, Saying, SayingKind};
pub(crate) use write::{AttemptEnd, TaskChange, TaskResult, Transition};
