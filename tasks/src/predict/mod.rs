//! Predictions for every row of a table, by a version that serving answers with.
//!
//! A row is checked and answered by the functions that check and answer a request; nothing about it is known here that
//! the API does not know. The table is read and written some ten thousand rows at a time, so that memory does not grow
//! with it.

mod chunk;
mod task;

pub use task::{PredictBatch, PredictConfig};
