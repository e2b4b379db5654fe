//! Tree + schema + graph -> all problems; tree -> [`crate::spec::Dag`].

mod build;
mod choice;
mod configuration;
mod cron;
mod format;
mod known;
mod load;
mod params;
mod references;
mod shape;

pub use load::{check, load};
