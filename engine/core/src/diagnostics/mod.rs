//! What is wrong with a DAG file, in the words and at the places that its author knows.

mod code;
mod problem;
mod render;
mod source;
mod suggest;

pub use code::{Code, Severity};
pub use problem::{Diagnostics, Problem};
pub(crate) use problem::{Finding, locate};
pub(crate) use suggest::{did_you_mean, list, nearest, one_of};
