//! What is answered, a file for each resource.

mod approvals;
mod artifacts;
mod backfills;
mod body;
mod config;
mod dags;
mod datasets;
mod events;
mod hooks;
mod logs;
mod lookups;
mod models;
mod once;
mod openapi;
mod operations;
mod page;
mod pauses;
mod people;
mod pools;
mod promotions;
mod query;
mod router;
mod runs;
mod token;
mod trigger;
mod under_way;
mod version;

pub(crate) use router::router;
