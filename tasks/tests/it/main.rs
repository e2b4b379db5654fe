//! The built-in tasks as a DAG uses them: by name from the registry, with a configuration as JSON.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod as_of;
mod classes;
mod collections;
mod comparison;
mod core;
mod databases;
mod drift;
mod formats;
mod gate;
mod guide;
mod lookups;
mod predict;
mod profile;
mod real_records;
mod resample;
mod search;
mod server;
mod service;
mod simulated;
mod sql;
mod support;
mod tables;
mod train_inputs;
mod training;
mod use_cases;
mod web;
