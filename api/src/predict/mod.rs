//! From a body to predictions.

pub mod answer;
pub mod body;
pub mod columns;
pub mod delimited;
pub mod format;
pub mod handler;
pub mod lines;
pub mod published_answer;
pub mod query;
pub mod rows;
pub mod stream;
pub mod writer;
