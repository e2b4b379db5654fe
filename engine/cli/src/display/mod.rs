//! What a person or a program sees.

pub mod describe;
pub mod instances;
pub mod json;
pub mod output;
pub mod progress;
pub mod report;
pub mod table;
