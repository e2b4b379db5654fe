//! What was asked and answered, and what was true: the log, the feedback that joins it, and their way into the bucket.
//!
//! A request hands a copy of itself over and goes on ([`recorder`]). One thread with a runtime of its own writes them to a database
//! ([`keeper`], [`store`]), keeps that small, and sends what is new to the bucket's feeds ([`feeder`]). Nothing here can hold an answer
//! up or fail it: what finds no room is dropped and counted.

pub mod accuracy;
mod asked;
pub mod feedback;
mod feeder;
mod keeper;
pub mod logs;
mod measures;
mod monitor;
pub mod options;
pub mod recorder;
mod scribe;
pub mod store;

pub use asked::{Asked, Recorded};
pub use keeper::Keeper;
pub use options::{DriftOptions, RecordOptions};
pub use recorder::Recorder;
