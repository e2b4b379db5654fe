//! One file for each command.

mod audit;
mod completions;
mod dags;
mod datasets;
mod demo;
mod dispatch;
mod files;
mod keys;
mod login;
mod models;
mod operate;
mod operate_there;
mod plan;
mod run;
mod runs;
mod schema;
mod serve;
mod shutdown;
mod tasks;
mod trace;
mod users;
mod validate;

pub use dispatch::dispatch;
