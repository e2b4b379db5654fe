//! Training: candidates, one choice, one bundle.

mod boosting;
mod calibrate;
mod candidate;
mod config;
mod evaluate;
mod fit;
mod linear;
mod rows;
mod split;
mod task;
mod tree;

pub use config::{Candidate, LookupConfig, SliceConfig, TargetConfig, TrainConfig};
pub use evaluate::{accuracy_metrics, holdout_metrics};
pub use rows::{ModelRows, read_rows};
pub use task::TrainModel;
