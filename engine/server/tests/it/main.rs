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
// The one with which the metadata's own tests start a server.
mod people;
#[path = "../../../runtime/src/store/postgres_server.rs"]
mod postgres_server;
mod roles;
mod runs;
mod schedules;
mod service;
mod triggers;
