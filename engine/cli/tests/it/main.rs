//! The program as a person or a script meets it: exit status, stdout, stderr.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod approvals;
mod listings;
mod lists;
mod operations;
mod pools;
mod program;
mod remote;
mod run;
mod settings;
mod usage;
mod validate;
