//! Tree + schema + graph -> all problems; tree -> [`crate::spec::Dag`].

mod bounds;
mod build;
mod choice;
mod configuration;
mod format;
mod known;
mod load;
mod params;
mod reference_types;
mod references;
mod shape;
mod words;

pub use load::{check, check_with_secrets, load};
