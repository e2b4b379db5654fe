//! `ratchet report` and `ratchet models compare`: what a pull request shows, and whether it may be merged.

mod compare;
mod document;
mod markdown;
mod page;

use std::sync::Arc;

use ratchet_core::plugin::Registry;

pub use compare::compare;
use document::RunReport;

use super::runs::Source;
use crate::arguments::{Report, ReportFormat};
use crate::display::output;
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Prints what came of a run. Its exit status says whether anything speaks against it.
pub async fn report(arguments: Report, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let source = Source::open(&arguments.remote, settings, registry).await?;
    let report = RunReport::gather(&source, &arguments.run).await?;
    match arguments.format {
        ReportFormat::Markdown => output::line(&markdown::markdown(&report)),
        ReportFormat::Html => output::line(&page::page(&report)),
        ReportFormat::Json => output::document(&report)?,
    }
    if report.against.is_empty() {
        Ok(())
    } else {
        Err(Failure::reported(Status::Failed))
    }
}
