//! Comparison: the challenger meets the champion on the same rows.
//!
//! [`compare`] reads both bundles and the rows that judge, finds the gain with its interval, looks at what may not be lost, and puts the
//! verdict into words. A [`Comparison`] is data; Markdown and a page are made of it.

mod blocks;
mod bootstrap;
mod calibration;
mod comparison;
mod config;
mod correction;
mod diebold_mariano;
mod evidence;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod fixture;
mod guard_rails;
mod holdout;
mod judge;
mod markdown;
mod mcnemar;
mod opponent;
mod page;
mod plot;
#[cfg(test)]
mod simulation;
mod slices;
mod task;

pub use blocks::BlockConfig;
pub use bootstrap::{Effect, Verdict};
pub use comparison::{Challenger, Champion, Comparison, Holdout, Sides, Test};
pub use config::{CompareConfig, ForecastConfig};
pub use correction::Correction;
pub use guard_rails::{GuardRails, Limit, RailResult, SliceRail};
pub use holdout::Uses;
pub use markdown::{markdown, markdown_section};
pub use mcnemar::Mcnemar;
pub use page::section;
pub use slices::SliceEffect;
pub use task::{CompareChampion, Compared, compare};
