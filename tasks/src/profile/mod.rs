//! What a table looks like, as one page for people.

mod changes;
mod page;
mod statistics;
mod task;

pub(crate) use statistics::{ColumnStatistics, Summary, measure};
pub use task::{Profile, ProfileConfig};
