//! `/database`: the rows of record collections, which the next training extracts.
//!
//! What a collection is stands in the bucket (`ratchet collections apply`); its rows are in this service's database, checked when they
//! come ([`check`]), and each change goes to the bucket's feed of the same name, deletions as tombstones.

pub mod add;
mod check;
mod choose;
pub mod collections;
pub mod list;
mod problems;
pub mod read;
pub mod remove;
