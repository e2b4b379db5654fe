//! The plugin `profile.report`.

use async_trait::async_trait;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{
    ConfigProblem, Output, Outputs, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::changes;
use super::page::page;
use super::statistics::measure;
use crate::blocking::blocking;
use crate::table::{self, earlier, parse_version};
use crate::words::count;

/// Writes what a table looks like as one HTML file.
pub struct Profile;

/// Configuration of `profile.report`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileConfig {
    /// The table.
    pub table: Table,
    /// Another table to say what changed since: the port of a task.
    #[serde(default)]
    pub earlier: Option<Table>,
    /// The same by name: `name@7`, or a dataset's name alone for its newest version that is older than the table.
    #[serde(default)]
    pub compare_with: Option<String>,
}

/// The table to compare with; none where nobody asked, or where there is no older version.
async fn before(bucket: &Bucket, config: &ProfileConfig) -> Result<Option<Table>, TaskError> {
    match &config.compare_with {
        Some(asked) => earlier(bucket, asked, &config.table).await,
        None => Ok(config.earlier.clone()),
    }
}

/// What a page calls a table: `name@version`, or `otherwise` where it has no name yet.
fn label(table: &Table, otherwise: &str) -> String {
    match table.version {
        Some(version) => format!("{}@{version}", table.dataset),
        None if table.dataset.is_empty() => otherwise.to_owned(),
        None => table.dataset.clone(),
    }
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

    fn validate(config: &ProfileConfig) -> Vec<ConfigProblem> {
        let problem = |message: String, help: &str| ConfigProblem {
            pointer: "/compare_with".to_owned(),
            message,
            help: Some(help.to_owned()),
        };
        match &config.compare_with {
            Some(_) if config.earlier.is_some() => vec![problem(
                "`earlier` and `compare_with` exclude each other".to_owned(),
                "leave one of them out",
            )],
            Some(asked) => parse_version(asked)
                .err()
                .map(|message| problem(message, "write the name of a dataset, or NAME@VERSION"))
                .into_iter()
                .collect(),
            None => Vec::new(),
        }
    }

    async fn run(config: ProfileConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let older = match before(&bucket, &config).await? {
            Some(table) => Some((table::read(&bucket, &table).await?, label(&table, "the earlier table"))),
            None => None,
        };
        let table = config.table;
        let place = label(&table, "the table");
        let (html, warnings, summary) = blocking("the profile", move || {
            let mut statistics = measure(&frame, &place)?;
            let changes = match &older {
                Some((before, earlier)) => {
                    let measured = measure(before, earlier)?;
                    Some(changes((&frame, &statistics), (before, &measured), earlier)?)
                }
                None => None,
            };
            statistics
                .warnings
                .extend(changes.iter().flat_map(|changes| changes.warnings.clone()));
            let html = page(&statistics, changes.as_ref(), &place, &table.source, table.simulated);
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
