//! Tables in, a table out.

mod query;
mod sql;

pub(crate) use query::{require_query, sorted};
pub use sql::{Sql, SqlConfig};

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use ratchet_core::plugin::TaskError;

/// One SELECT over tables; its rows come out sorted by all columns.
pub(crate) fn query(tables: BTreeMap<String, DataFrame>, sql: &str) -> Result<DataFrame, TaskError> {
    query::run(tables, sql, &[])
}
