//! The contract between training and serving, through its public face.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lookups;
