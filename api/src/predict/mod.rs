//! From a body to predictions.

pub mod answer;
pub mod body;
pub mod handler;
