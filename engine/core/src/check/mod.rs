//! Tree + schema + graph -> all problems; tree -> [`crate::spec::Dag`].

mod approval;
mod bounds;
mod build;
mod choice;
mod configuration;
mod foreach;
mod format;
mod known;
mod load;
mod params;
mod pool;
mod reference_types;
mod references;
mod shape;
mod triggers;
mod words;

pub(crate) use configuration::to_json;
pub(crate) use known::word;
pub use load::{check, check_with_secrets, load, load_again};
pub(crate) use shape::{At, Mode, Outcome, Shape};
