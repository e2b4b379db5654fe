//! The plugin `compare.champion`.

use async_trait::async_trait;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{ConfigProblem, Output, Outputs, Plugin, Port, PortKind, Report, TaskContext, TaskError};
use serde_json::json;

use super::bootstrap::Verdict;
use super::comparison::Comparison;
use super::config::{CompareConfig, problems};
use super::evidence::Evidence;
use super::holdout::Uses;
use super::judge::{Judgment, judge};
use super::markdown::markdown;
use super::opponent::{challenger, opponent, refuse};
use super::page::page;
use crate::blocking::blocking;
use crate::table::{self, open_bucket, to_blob};

/// See [`CompareConfig`].
pub struct CompareChampion;

/// A comparison with its page.
pub struct Compared {
    /// What was found.
    pub comparison: Comparison,
    /// The same as one HTML file.
    pub page: String,
}

/// Compares the challenger with the version that `config` names, on the rows that neither was trained on. The same bucket, configuration
/// and seed give the same result, unless latency is measured.
///
/// # Errors
/// Versions or rows that cannot be read, and two sides that do not answer the same question on the same rows.
pub async fn compare(bucket: &Bucket, config: CompareConfig, seed: u64) -> Result<Compared, TaskError> {
    let ours = challenger(bucket, &config).await?;
    let theirs = opponent(bucket, &config).await?;
    if let Some(champion) = &theirs {
        refuse(&ours, champion, &config.table)?;
    }
    let uses = Uses::count(
        bucket,
        &config.challenger.name,
        config.challenger.version,
        &ours.content().window,
    )
    .await?;
    let frame = table::read(bucket, &config.table).await?;
    blocking("comparing", move || {
        let evidence = Evidence::read(&config, &frame, &ours, theirs.as_ref())?;
        let Judgment { comparison, days } = judge(&config, &ours, theirs.as_ref(), &evidence, uses, seed)?;
        let page = page(&comparison, &days);
        Ok(Compared { comparison, page })
    })
    .await
}

#[async_trait]
impl Plugin for CompareChampion {
    type Config = CompareConfig;
    const NAME: &'static str = "compare.champion";
    const SUMMARY: &'static str = "Compares a new version with the one in production on the same held-out rows.";

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "better",
                kind: PortKind::Value,
                description: "True if the verdict is `better`.",
            },
            Port {
                name: "verdict",
                kind: PortKind::Value,
                description: "`better`, `not_better` or `inconclusive`.",
            },
            Port {
                name: "comparison",
                kind: PortKind::Value,
                description: "Everything that was compared, for `promote.model`.",
            },
            Port {
                name: "report",
                kind: PortKind::Report,
                description: "The comparison as Markdown (`comparison.md`).",
            },
            Port {
                name: "page",
                kind: PortKind::Report,
                description: "The comparison with its plots (`comparison.html`).",
            },
        ]
    }

    fn validate(config: &CompareConfig) -> Vec<ConfigProblem> {
        problems(config)
    }

    async fn run(config: CompareConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = open_bucket(&context.bucket_url).await?;
        let Compared { comparison, page } = compare(&bucket, config, context.seed).await?;
        let said = comparison.verdict.name().replace('_', " ");
        context.info(format!("{said}: {}", comparison.reason));
        for rail in comparison.guard_rails.iter().filter(|rail| !rail.holds) {
            context.warn(format!("guard rail `{}`: {}", rail.rail, rail.detail));
        }
        let report = async |file_name: &str, content: String| {
            let blob = bucket
                .put_blob(content.into_bytes().into())
                .await
                .map_err(table::from_bucket)?;
            Ok::<_, TaskError>(Output::Report(Report {
                summary: said.clone(),
                file_name: file_name.to_owned(),
                blob: to_blob(&blob),
            }))
        };
        Ok(Outputs::default()
            .with("better", Output::Value(json!(comparison.verdict == Verdict::Better)))
            .with("verdict", Output::Value(json!(comparison.verdict)))
            .with("report", report("comparison.md", markdown(&comparison)).await?)
            .with("page", report("comparison.html", page).await?)
            .with("comparison", Output::Value(json!(comparison))))
    }
}
