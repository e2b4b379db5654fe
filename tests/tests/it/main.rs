//! What crosses crates, from outside. Every number that is promised is printed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod backfill;
mod bad_input;
mod batch;
mod browser;
mod datasets;
mod demo;
mod determinism;
mod documented;
mod engine;
mod faults;
mod gate;
mod hot_load;
mod lookups;
mod mobilisations;
mod open_inference;
mod parity;
mod reports;
mod reproduce;
mod rolling;
mod s3;
mod secrets;
mod signatures;
mod streams;
mod support;
mod swagger;
mod trace;
mod tracking;
mod training;
mod trips;
mod weather_service;
