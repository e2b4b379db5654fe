//! Training: candidates, one choice, one bundle.

mod boosting;
mod calibrate;
mod candidate;
mod config;
mod evaluate;
mod fit;
mod line;
mod linear;
mod lookups;
mod rows;
mod split;
mod task;
mod tree;

pub use config::{Candidate, HashSplit, SliceConfig, SplitConfig, TargetConfig, TrainConfig};
pub use evaluate::{accuracy_metrics, holdout_metrics};
pub use line::{Line, PLACES};
pub use lookups::LookupConfig;
pub use lookups::newest as newest_lookups;
pub use rows::{ModelRows, model_known, numbers, read_rows, texts, timestamps};
pub use task::TrainModel;
