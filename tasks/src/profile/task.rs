//! The plugin `profile.report`.

use async_trait::async_trait;
use ratchet_core::plugin::{Output, Outputs, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page::page;
use super::statistics::measure;
use crate::blocking::blocking;
use crate::table;
use crate::words::count;

/// Writes what a table looks like as one HTML file.
pub struct Profile;

/// Configuration of `profile.report`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileConfig {
    /// The table.
    pub table: Table,
}

#[async_trait]
impl Plugin for Profile {
    type Config = ProfileConfig;
    const NAME: &'static str = "profile.report";
    const SUMMARY: &'static str = "Shows what a table looks like, column by column, as one HTML file.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "page",
            kind: PortKind::Report,
            description: "Statistics, histograms, correlations, repeated rows and what to look at (`profile.html`).",
        }]
    }

    async fn run(config: ProfileConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let table = config.table;
        let place = table::place_of(&table);
        let (html, warnings, summary) = blocking("the profile", move || {
            let statistics = measure(&frame, &place)?;
            let html = page(&statistics, &place, &table.source, table.simulated);
            let summary = format!(
                "{} rows, {} columns, {} to look at",
                count(statistics.rows as u64),
                statistics.columns.len(),
                statistics.warnings.len()
            );
            Ok((html, statistics.warnings, summary))
        })
        .await?;
        for warning in warnings {
            context.info(warning);
        }
        let blob = bucket
            .put_blob(html.into_bytes().into())
            .await
            .map_err(table::from_bucket)?;
        Ok(Outputs::default().with(
            "page",
            Output::Report(Report {
                summary,
                file_name: "profile.html".to_owned(),
                blob: table::to_blob(&blob),
            }),
        ))
    }
}
