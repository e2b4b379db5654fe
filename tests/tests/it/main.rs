//! What crosses crates, from outside. Every number that is promised is printed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod backfill;
mod bad_input;
mod browser;
mod demo;
mod determinism;
mod documented;
mod engine;
mod gate;
mod hot_load;
mod open_inference;
mod parity;
mod reports;
mod s3;
mod streams;
mod support;
mod trace;
mod training;
