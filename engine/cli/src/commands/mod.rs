//! One file for each command.

mod about;
mod approve;
mod audit;
mod backfill;
mod case_run;
mod collections;
mod completions;
mod dags;
mod datasets;
mod demo;
mod dispatch;
mod expectation;
mod files;
mod gc;
mod keys;
mod login;
mod models;
mod operate;
mod operate_there;
mod pauses;
mod plan;
mod pools;
mod route;
mod run;
mod runs;
mod schema;
mod serve;
mod shutdown;
mod tasks;
mod test;
mod trace;
mod users;
mod validate;

pub use dispatch::dispatch;
