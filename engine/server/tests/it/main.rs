//! The service over HTTP, with a plugin of the tests' own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod answers;
mod approvals;
mod backfills;
mod bucket;
mod config;
mod documented;
mod lists;
mod moves;
mod operations;
mod pauses;
mod people;
mod roles;
mod runs;
mod schedules;
mod service;
mod triggers;
