//! Training: candidates, one choice, one bundle.

mod backtest;
mod boosting;
mod calibrate;
mod candidate;
mod config;
mod evaluate;
mod fit;
mod inspect;
mod line;
mod linear;
mod logistic;
mod lookups;
mod page;
mod rows;
mod search;
mod search_config;
mod seasons;
mod settings;
mod split;
mod task;
mod training;
mod tree;

pub use backtest::{BacktestFold, backtest};
pub use config::{ClassWeights, HashSplit, SliceConfig, SplitConfig, TargetConfig, TrainConfig};
pub use evaluate::{accuracy_metrics, holdout_metrics};
pub use line::{Line, PLACES};
pub use lookups::LookupConfig;
pub use lookups::newest as newest_lookups;
pub use rows::{ModelRows, model_known, numbers, read_rows, texts, timestamps};
pub use search_config::{BoostingSpace, HalvingSearch, RandomSearch, SearchConfig};
pub use settings::Candidate;
pub use task::TrainModel;
