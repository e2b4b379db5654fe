//! The built-in tasks as a DAG uses them: by name from the registry, with a configuration as JSON.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod classes;
mod core;
mod databases;
mod drift;
mod formats;
mod gate;
#[path = "../../../engine/runtime/src/store/postgres_server.rs"]
mod postgres_server;
mod profile;
mod real_records;
mod server;
mod service;
mod search;
mod simulated;
mod sql;
mod support;
mod tables;
mod train_inputs;
mod training;
mod use_cases;
mod web;
