//! Expectations of tables, and the gate that holds a table against them.

mod check;
mod drift;
mod expectation;
mod finding;
mod gate;
mod offending;
mod page;
mod rules;
mod shape;

pub use check::{Surroundings, check};
pub use drift::{Drift, Earlier};
pub use expectation::{Allowed, Between, Expectation, NullShare, RowCount, Severity, Unique};
pub use finding::{Finding, GateReport, OffendingRow};
pub use gate::{Gate, GateConfig};
pub(crate) use rules::correlation;
pub use rules::{Compare, Freshness, Leak, Monotone, Pattern, Query, Referential};
pub use shape::{Dates, Schema};
