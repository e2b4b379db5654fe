//! Runs driven from their beginning to their end, with tasks inside the engine and in processes of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod approvals;
mod batches;
mod cache;
mod clock_changes;
mod completion;
mod crash;
mod croniter;
mod deadlines;
mod fixture;
mod lifecycle;
mod lists;
mod notifications;
mod operations;
mod plugins;
mod pools;
mod processes;
mod recovery;
mod retention;
mod secrets;
mod sub_dags;
mod triggers;
