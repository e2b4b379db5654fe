//! The service in process, over a real bucket and real bundles, asked over HTTP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bundles;
mod documents;
mod explain;
mod keys;
mod loading;
mod open_inference;
mod predictions;
mod server;
mod start;
mod streams;
mod swap;
mod token;
