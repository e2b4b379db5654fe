//! Features: from the fields of a request to the numbers that a predictor reads, the same code in training and serving.

mod calendar;
mod encode;
mod geography;
mod pipeline;
mod row;

pub use calendar::CalendarPart;
pub use geography::{LearnPlaces, Place, Places, learn_places};
pub use pipeline::{FitInputs, Matrix, Pipeline, PipelineError, Step, StepConfig};
pub use row::{HaversineConfig, ImputeConfig, PointFields, RatioConfig, RowStep, Statistic, SummaryConfig};
