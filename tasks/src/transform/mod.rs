//! Tables in, a table out.

mod query;
mod sql;

pub use sql::{Sql, SqlConfig};
