//! `ratchet models compare`.

use ratchet_artifacts::{Bucket, ModelManifest, datasets};
use ratchet_core::plugin::{Blob, Model, RowCounts, Table, TaskError};
use ratchet_tasks::compare::{CompareConfig, Compared, markdown};
use ratchet_tasks::table::of_manifest;

use crate::arguments::{CompareModels, ReportFormat};
use crate::commands::models::find;
use crate::display::output;
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Compares two versions on the table that trained the challenger, as `compare.champion` does where its configuration is left out.
pub async fn compare(arguments: CompareModels, settings: &Settings) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?;
    let manifest = find(&bucket, &arguments.model).await?;
    let table = table(&bucket, &manifest).await?;
    let config = CompareConfig {
        alias: arguments.alias,
        against: arguments.against,
        ..CompareConfig::new(model(manifest), table)
    };
    let Compared { comparison, page } = ratchet_tasks::compare::compare(&bucket, config, 0)
        .await
        .map_err(failed)?;
    match arguments.format {
        ReportFormat::Markdown => output::line(markdown(&comparison).trim_end()),
        ReportFormat::Html => output::line(&page),
        ReportFormat::Json => output::document(&comparison)?,
    }
    if comparison.worse {
        Err(Failure::reported(Status::Failed))
    } else {
        Ok(())
    }
}

/// The table that a version was trained on, which its lineage names first.
async fn table(bucket: &Bucket, manifest: &ModelManifest) -> Result<Table, Failure> {
    let named = manifest.lineage.inputs.first();
    let parts = named.and_then(|input| input.split_once('@'));
    let found = match parts.and_then(|(name, version)| Some((name, version.parse().ok()?))) {
        Some((name, version)) => datasets::get(bucket, name, version).await?,
        None => None,
    };
    let found = found.ok_or_else(|| {
        let input = named.map_or("none", String::as_str);
        Failure::input(format!(
            "the table that trained {}@{} is not in the bucket: its lineage names {input}",
            manifest.name, manifest.version
        ))
        .help("train it again; a version is compared on the rows that its own training held out")
    })?;
    of_manifest(&found).map_err(failed)
}

fn model(manifest: ModelManifest) -> Model {
    Model {
        version: Some(manifest.version),
        bundle: Blob {
            sha256: manifest.bundle.sha256,
            bytes: manifest.bundle.bytes,
        },
        rows: RowCounts::default(),
        name: manifest.name,
        metrics: manifest.metrics,
        parameters: manifest.parameters,
        report: manifest.report,
        inputs: manifest.lineage.inputs,
        source: manifest.lineage.source,
        simulated: manifest.lineage.simulated,
    }
}

fn failed(error: TaskError) -> Failure {
    let failure = if error.retryable {
        Failure::service(error.message)
    } else {
        Failure::input(error.message)
    };
    match error.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
