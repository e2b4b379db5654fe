//! What crosses crates, from outside. Every number that is promised is printed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod backfill;
mod bad_input;
mod browser;
mod demo;
mod determinism;
mod documented;
mod faults;
mod gate;
mod hot_load;
mod mobilisations;
mod open_inference;
mod parity;
mod s3;
mod secrets;
mod streams;
mod support;
mod swagger;
mod trace;
mod training;
mod weather_service;
