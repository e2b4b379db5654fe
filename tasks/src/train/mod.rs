//! Training: candidates, one choice, one bundle.

mod boosting;
mod calibrate;
mod candidate;
mod config;
mod evaluate;
mod fit;
mod line;
mod linear;
mod rows;
mod split;
mod task;
mod tree;

pub use config::{Candidate, HashSplit, LookupConfig, SliceConfig, SplitConfig, TargetConfig, TrainConfig};
pub use evaluate::{accuracy_metrics, holdout_metrics};
pub use line::{Line, PLACES};
pub use rows::{ModelRows, numbers, read_rows, texts, timestamps};
pub use task::TrainModel;
