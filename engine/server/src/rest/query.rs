//! Queries: what they share.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::problem::Problem;

/// A query that may be wrong: the handler says so in a problem document.
pub(super) type Asked<Fields> = Result<Query<Fields>, QueryRejection>;

/// A page's length: what was asked for within its bounds, or the usual.
pub(super) fn limit(asked: Option<u32>, usual: u32, most: u32) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::bad_request(format!("limit is {limit}; give 1 to {most}")))
    }
}
