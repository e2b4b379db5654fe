//! Features: from the fields of a request to the numbers that a predictor reads, the same code in training and serving.

mod calendar;
mod config;
mod encode;
mod fit;
mod geography;
mod history;
mod interact;
mod join;
mod lookup;
mod pipeline;
mod row;
mod step;

pub use calendar::CalendarPart;
pub(crate) use calendar::{DAY, date};
pub use config::{DistanceConfig, PlaneFields, StepConfig};
pub use geography::{LearnPlaces, Place, Places, learn_places};
pub use history::{HistoryConfig, RollingConfig, Statistic, SummaryConfig, Take};
pub use interact::{ClipConfig, ProductConfig, RatioConfig};
pub use join::{Join, JoinColumn, JoinConfig, JoinKey, KeyConfig, KeyPart, LookupTables, plan_joins};
pub use lookup::{LookupColumn, LookupError, LookupTable};
pub use pipeline::{FitInputs, Joined, Matrix, Pipeline, PipelineError};
pub use row::{HaversineConfig, ImputeConfig, PointFields, RowStep};
pub use step::Step;
