//! Runs driven from their beginning to their end, with tasks inside the engine and in processes of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod completion;
mod fixture;
mod lifecycle;
mod plugins;
mod processes;
mod recovery;
