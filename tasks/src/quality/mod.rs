//! Expectations of tables, and the gate that holds a table against them.

mod check;
mod expectation;
mod finding;
mod gate;

pub use check::check;
pub use expectation::{Allowed, Between, Expectation, NullShare, RowCount, Severity, Unique};
pub use finding::{Finding, GateReport, OffendingRow};
pub use gate::{Gate, GateConfig};
