//! The log's database: a file in the home, or a schema of its own in Postgres.

mod open;
mod read;
mod records;
mod rows;
mod segments;
mod trim;
mod truths;

pub use open::{Store, StoreError};
pub use read::{Filter, LabeledRow, LoggedEntry};
pub use records::{DeadRecord, Kept, KeptRecord, NewRecord};
pub(super) use rows::NewRow;
pub(super) use segments::{Feed, SEGMENT_ROWS, ToldTruth};
pub use truths::{GivenTruth, Verdict};
