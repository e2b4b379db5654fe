//! The metadata: runs, tasks, attempts and events in a database.

mod open;
mod read;
mod write;

pub use open::Store;
pub(crate) use write::{AttemptEnd, TaskChange, TaskResult, Transition};
