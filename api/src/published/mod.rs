//! The endpoints of published systems that this one takes the place of: metrics as JSON, retraining, evaluation.

pub mod config;
pub mod engine;
pub mod evaluate;
pub mod metrics;
mod problems;
pub mod retrain;
