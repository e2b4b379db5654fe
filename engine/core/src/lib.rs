//! What a DAG means: from the text of a YAML file to a [`spec::Dag`] that can run, and from there to the next state of a
//! run. No I/O, no database, no clock: everything here is a function of its arguments.
//!
//! # From text to a DAG
//!
//! [`load`] reads a file in four steps, and reports the problems of all of them at once:
//!
//! 1. `yaml`: text -> a tree that knows the place and the source text of each node.
//! 2. `check`: the tree against JSON Schemas: the file's own ([`schema`]) and, for each `with`, that of its plugin. Names,
//!    notations (cron lines, durations, time zones), parameters, and every `${{ expression }}` with what it reads.
//! 3. `plan`: references and `needs` -> edges -> an order, or the cycles with their path.
//! 4. The plugins themselves see their configuration, rendered with the parameters' defaults, and may refuse it.
//!
//! What is wrong comes back as [`diagnostics::Diagnostics`]: code, line, column, the line itself, and a suggestion.
//!
//! ```
//! # use ratchet_core::plugin::Registry;
//! let text = "name: nightly\nschedule: { cron: '0 25 * * *' }\ntasks:\n  one: { uses: core.nop }\n";
//! let problems = ratchet_core::load("nightly.yaml", text, &Registry::default()).unwrap_err();
//! let messages: Vec<&str> = problems.problems.iter().map(|problem| problem.message.as_str()).collect();
//! assert_eq!(messages, ["`25` is not an hour", "unknown plugin `core.nop`"]);
//! ```
//!
//! # From a DAG to a run
//!
//! [`spec::Dag::bind`] gives the parameters their values. [`template::render`] puts values in the place of expressions
//! when a task is about to start, [`template::evaluate`] decides `when`. [`state`] holds the one function that changes a
//! run's state. [`plugin`] is what a task plugin implements and what it is given.
//!
//! ```
//! use ratchet_core::template::{Scope, render};
//! use serde_json::json;
//!
//! let scope = Scope { params: [("seconds".to_owned(), json!(360))].into(), ..Scope::default() };
//! let with = json!({ "limit": "${{ params.seconds }}", "note": "above ${{ params.seconds }} s", "shell": "${#a[@]}" });
//! let expected = json!({ "limit": 360, "note": "above 360 s", "shell": "${#a[@]}" });
//! assert_eq!(render(&with, &scope), Ok(expected));
//! ```

pub mod cases;
pub mod diagnostics;
pub mod plugin;
pub mod spec;
pub mod state;
pub mod template;

mod check;
mod document;
mod graph;
mod plan;
mod schema;
mod yaml;

pub use check::{check, check_with_secrets, load, load_again};
pub use document::document;
pub use schema::schema;
