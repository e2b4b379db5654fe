//! The crate from outside: files in, DAGs or problems out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cases;
mod checks;
mod files;
mod graphs;
mod hostile;
mod plugins;
mod rules;
mod schemas;
mod specification;
