//! Records that are made up, for a first run without data and for tests. Whatever they touch is marked as simulated.

mod delivery;
mod housing;
mod lfb;
mod lfb_geography;
mod lfb_incident;
mod lfb_mobilisation;
mod lfb_vocabulary;
pub mod random;
mod simulation;
mod weather;
mod workbook;

pub use simulation::{Simulation, Subject};
