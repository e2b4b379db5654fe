//! The service around the engine: it runs DAGs at the ticks of their schedules and answers what ran and what is in
//! production.
//!
//! # The story
//!
//! [`Server::bind`] takes an address; [`Server::run`] then does three things until it is told to stop:
//!
//! - **Watch.** The `directory` module reads the DAG directory every two seconds. A file that was changed is checked;
//!   a broken one keeps its last good version scheduled and shows its problems.
//! - **Schedule.** The `scheduler` module asks each schedule for its ticks. A tick becomes a run whose logical date is
//!   the tick; the metadata store makes it unique on (DAG, logical date), so that two schedulers make one run. Ticks
//!   missed while nothing ran, and ticks while a run is active, go by the schedule's `catchup` and `overlap`. How far
//!   a schedule was followed is kept in `schedules.json` beside the metadata; a schedule whose text changed begins
//!   anew, so that editing a cron line fires nothing old. Runs that another process left behind are taken over when
//!   their lease ends.
//! - **Answer.** The `rest` modules, one for each resource, answer JSON under `/api/v1`, and `/` is a page for people
//!   that needs no JavaScript. Errors are `application/problem+json` (RFC 9457).
//!
//! Who may ask is decided in one place: `access::RULES` has a line for each route, the guard before all handlers reads
//! it, and so does the OpenAPI document. What changes something is written into the audit log before it is done and
//! again with its outcome. A run that somebody asks for is recorded first (once, if the request has an
//! `Idempotency-Key`: see `requests`), and the scheduler is woken to drive it.

mod access;
mod directory;
mod error;
mod overrides;
mod problem;
mod requests;
mod rest;
mod scheduler;
mod server;

pub use directory::dag_files;
pub use error::ServerError;
pub use server::{Server, ServerOptions};
