//! The bucket as others use it: on a local directory, in memory, and on a store that fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod collect;
mod content;
mod faults;
mod monitoring;
mod promotions;
mod races;
mod routing;
mod s3;
mod signatures;
mod support;
mod versions;
