//! `quality.gate`.

use async_trait::async_trait;
use ratchet_artifacts::Bucket;
use ratchet_core::plugin::{
    ConfigProblem, Output, Outputs, Place, Plugin, Port, PortKind, Report, Table, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{Surroundings, check};
use super::expectation::{Expectation, Severity};
use super::finding::{Finding, GateReport};
use super::offending;
use super::page::page;
use crate::blocking::blocking;
use crate::table;

/// Holds a table against expectations.
pub struct Gate;

/// Configuration of `quality.gate`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// The table.
    pub table: Table,
    /// What is expected of it. All are checked, also after one has failed.
    pub expect: Vec<Expectation>,
    /// Columns whose values the report shows beside the index of an offending row.
    #[serde(default)]
    pub key: Vec<String>,
    /// Columns whose values stand in no report.
    #[serde(default)]
    pub mask: Vec<String>,
}

#[async_trait]
impl Plugin for Gate {
    type Config = GateConfig;
    const NAME: &'static str = "quality.gate";
    const SUMMARY: &'static str = "Lets a table pass if it meets expectations, and fails the run if it does not.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![
            Port {
                name: "table",
                kind: PortKind::Table,
                description: "The same table.",
            },
            Port {
                name: "report",
                kind: PortKind::Report,
                description: "Every expectation with the value seen and the offending rows (`gate.json`).",
            },
            Port {
                name: "page",
                kind: PortKind::Report,
                description: "The same for people: one HTML file that needs nothing else (`gate.html`).",
            },
            Port {
                name: "offending",
                kind: PortKind::Report,
                description: "If an expectation was missed: the rows that do not meet it, 10,000 at most (`offending.ndjson`).",
            },
        ]
    }

    fn validate(config: &GateConfig) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if config.expect.is_empty() {
            problems.push(ConfigProblem {
                pointer: "/expect".to_owned(),
                message: "expects nothing".to_owned(),
                help: Some("write at least one expectation, such as `- { row_count: { min: 1 } }`".to_owned()),
            });
        }
        for (index, expectation) in config.expect.iter().enumerate() {
            problems.extend(expectation.problems(&format!("/expect/{index}")));
        }
        problems
    }

    async fn fingerprint(config: &GateConfig, place: &Place) -> Result<Option<String>, TaskError> {
        // What is fresh depends on when the run is for.
        let fresh = |expectation: &Expectation| matches!(expectation, Expectation::Freshness(_));
        let dated = config.expect.iter().any(fresh);
        Ok(dated.then(|| place.run.logical_date.to_string()))
    }

    async fn run(config: GateConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let place = table::place_of(&config.table);
        for name in config.key.iter().chain(&config.mask) {
            table::column(&frame, name, &place)?;
        }
        let mut around = Surroundings {
            now: context.run.logical_date.as_second(),
            mask: config.mask.clone(),
            ..Surroundings::default()
        };
        for expectation in &config.expect {
            match expectation {
                Expectation::Referential(rule) if !around.tables.iter().any(|(table, _)| *table == rule.table) => {
                    around
                        .tables
                        .push((rule.table.clone(), table::read(&bucket, &rule.table).await?));
                }
                Expectation::Drift(rule) if !around.earlier.contains_key(&rule.against) => {
                    let earlier = match table::earlier(&bucket, &rule.against, &config.table).await? {
                        Some(table) => Some((address(&table), table::read(&bucket, &table).await?)),
                        None => None,
                    };
                    around.earlier.insert(rule.against.clone(), earlier);
                }
                _ => {}
            }
        }
        let GateConfig { table, expect, key, .. } = config;
        let rows = frame.height() as u64;
        let (findings, offending) = blocking("the gate", move || {
            let mut findings = Vec::new();
            for expectation in &expect {
                findings.extend(check(expectation, &frame, &key, &around, &place)?);
            }
            let offending = offending::lines(&frame, &findings, &around.mask);
            Ok((findings, offending))
        })
        .await?;
        for finding in &findings {
            match (finding.passed, finding.severity) {
                (true, _) => context.info(finding.sentence()),
                (false, _) => context.warn(finding.sentence()),
            }
        }

        let report = GateReport {
            format: 1,
            passed: !findings.iter().any(fails),
            table: address(&table),
            source: table.source.clone(),
            simulated: table.simulated,
            rows,
            findings,
        };
        let written = write_report(&bucket, &report).await?;
        let blob = bucket
            .put_blob(page(&report).into_bytes().into())
            .await
            .map_err(table::from_bucket)?;
        let page = Report {
            summary: written.summary.clone(),
            file_name: "gate.html".to_owned(),
            blob: table::to_blob(&blob),
        };
        let mut reports = Outputs::default()
            .with("report", Output::Report(written))
            .with("page", Output::Report(page));
        if let Some(lines) = offending {
            let blob = bucket.put_blob(lines.into()).await.map_err(table::from_bucket)?;
            let rows = Report {
                summary: "the rows that do not meet an expectation".to_owned(),
                file_name: "offending.ndjson".to_owned(),
                blob: table::to_blob(&blob),
            };
            reports = reports.with("offending", Output::Report(rows));
        }
        if report.passed {
            return Ok(reports.with("table", Output::Table(table)));
        }
        let failed: Vec<String> = report
            .findings
            .iter()
            .filter(|finding| fails(finding))
            .map(Finding::sentence)
            .collect();
        Err(TaskError::permanent(failed.join("\n"))
            .with_help("look at the rows in offending.ndjson and in the report gate.json, then correct the source or the expectation")
            .with_outputs(reports))
    }
}

fn fails(finding: &Finding) -> bool {
    !finding.passed && finding.severity == Severity::Fail
}

fn address(table: &Table) -> String {
    match (table.version, table.files.first()) {
        (Some(version), _) => format!("{}@{version}", table.dataset),
        (None, Some(file)) => file.sha256.clone(),
        (None, None) => table.dataset.clone(),
    }
}

async fn write_report(bucket: &Bucket, report: &GateReport) -> Result<Report, TaskError> {
    let content = serde_json::to_vec_pretty(report)
        .map_err(|error| TaskError::permanent(format!("the gate's report cannot be written: {error}")))?;
    let blob = bucket.put_blob(content.into()).await.map_err(table::from_bucket)?;
    let held = report.findings.iter().filter(|finding| finding.passed).count();
    let warned = report
        .findings
        .iter()
        .filter(|finding| !finding.passed && !fails(finding))
        .count();
    let mut summary = format!("{held} of {} expectations hold", report.findings.len());
    if warned > 0 {
        summary.push_str(&format!(", {warned} only warn"));
    }
    Ok(Report {
        summary,
        file_name: "gate.json".to_owned(),
        blob: table::to_blob(&blob),
    })
}
