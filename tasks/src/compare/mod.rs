//! Comparison: the challenger meets the champion on the same rows.

mod blocks;
mod bootstrap;
mod report;
mod task;

pub use blocks::BlockConfig;
pub use bootstrap::{Effect, Verdict, block_effect, verdict};
pub use task::{CompareChampion, CompareConfig};
