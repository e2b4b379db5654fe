//! The service in process, over a real bucket and real bundles, asked over HTTP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod aliases;
mod bundles;
mod connections;
mod database;
mod documents;
mod drift;
mod explain;
mod faults;
mod hostile;
mod keys;
mod loading;
mod lookups;
mod open_inference;
mod people;
mod postgres;
mod predictions;
mod record;
mod refresh;
mod retrain;
mod roles;
mod server;
mod signatures;
mod start;
mod streams;
mod swap;
mod token;
