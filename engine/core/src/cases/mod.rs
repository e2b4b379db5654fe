//! Cases that a DAG's author writes beside it: given these parameters and these small tables, a task gives that.

mod file;
mod fit;
mod read;

pub use file::{Case, CaseFile, ExpectedPort, GivenPort};
pub use read::{Cases, read_cases};
