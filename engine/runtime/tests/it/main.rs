//! Runs driven from their beginning to their end, with tasks inside the engine and in processes of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod batches;
mod completion;
mod crash;
mod fixture;
mod lifecycle;
mod notifications;
mod operations;
mod plugins;
mod processes;
mod recovery;
mod secrets;
