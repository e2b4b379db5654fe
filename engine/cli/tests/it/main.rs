//! The program as a person or a script meets it: exit status, stdout, stderr.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod approvals;
mod backfill;
mod cases;
mod collections;
mod examples;
mod gc;
mod listings;
mod lists;
mod operations;
mod pauses;
mod pools;
mod program;
mod remote;
mod run;
mod settings;
mod usage;
mod validate;
