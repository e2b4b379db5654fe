//! `ratchet datasets list | show | pull | diff | export`.

use ratchet_artifacts::Bucket;
use ratchet_artifacts::DatasetManifest;
use ratchet_artifacts::datasets;

use super::dataset_files::{export, pull};
use super::diff::diff;
use crate::arguments::{Datasets, Format, Reference};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::Settings;

/// Lists datasets, shows a version, compares two, or hands one on as files.
pub async fn datasets(command: Datasets, settings: &Settings) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?;
    match command {
        Datasets::List { listing } => list(&bucket, listing.format).await,
        Datasets::Pull {
            dataset,
            directory,
            listing,
        } => pull(&bucket, &find(&bucket, &dataset).await?, &directory, listing.format).await,
        Datasets::Diff { from, to, key, listing } => {
            let (from, to) = (find(&bucket, &from).await?, find(&bucket, &to).await?);
            diff(&bucket, [from, to], key, listing.format).await
        }
        Datasets::Export {
            dataset,
            dvc,
            remote,
            listing,
        } => {
            export(
                &bucket,
                &find(&bucket, &dataset).await?,
                &dvc,
                remote.as_deref(),
                listing.format,
            )
            .await
        }
        Datasets::Show { dataset, listing } => {
            let manifest = find(&bucket, &dataset).await?;
            match listing.format {
                Format::Json => output::document(&manifest),
                Format::Text => {
                    output::line(&page(&manifest));
                    Ok(())
                }
            }
        }
    }
}

async fn list(bucket: &Bucket, format: Format) -> Result<(), Failure> {
    let mut newest = Vec::new();
    for name in datasets::names(bucket).await? {
        newest.extend(datasets::latest(bucket, &name).await?);
    }
    if format == Format::Json {
        return output::document(&newest);
    }
    let mut listing = Listing::new(&["dataset", "rows", "columns", "created", "source"]);
    for manifest in &newest {
        listing.row([
            format!("{}@{}", manifest.name, manifest.version),
            describe::count(manifest.rows),
            manifest.columns.len().to_string(),
            describe::instant(manifest.created_at),
            describe::marked(manifest.lineage.source.clone(), manifest.lineage.simulated),
        ]);
    }
    table::print(&listing, "there are no datasets yet; a run makes them");
    Ok(())
}

async fn find(bucket: &Bucket, reference: &Reference) -> Result<DatasetManifest, Failure> {
    let found = match reference.version {
        Some(version) => datasets::get(bucket, &reference.name, version).await?,
        None => datasets::latest(bucket, &reference.name).await?,
    };
    if let Some(manifest) = found {
        return Ok(manifest);
    }
    let versions = datasets::versions(bucket, &reference.name).await?;
    Err(match (versions.first(), versions.last()) {
        (Some(first), Some(last)) => {
            let version = reference.version.unwrap_or_default();
            Failure::input(format!("dataset `{}` has no version {version}", reference.name))
                .help(format!("its versions are {first} to {last}"))
        }
        _ => Failure::input(format!("there is no dataset `{}`", reference.name))
            .help("`ratchet datasets list` shows them all"),
    })
}

fn page(manifest: &DatasetManifest) -> String {
    let lineage = &manifest.lineage;
    let facts = table::facts(&[
        (
            "dataset",
            describe::marked(format!("{}@{}", manifest.name, manifest.version), lineage.simulated),
        ),
        ("rows", describe::count(manifest.rows)),
        (
            "files",
            manifest
                .files
                .iter()
                .map(|file| file.sha256.clone())
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        (
            "raw",
            manifest
                .raw
                .iter()
                .map(|file| file.sha256.clone())
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        (
            "collected",
            manifest
                .collected
                .as_ref()
                .map(|collected| describe::instant(collected.at))
                .unwrap_or_default(),
        ),
        ("created", describe::instant(manifest.created_at)),
        ("source", lineage.source.clone()),
        ("inputs", lineage.inputs.join("\n")),
        (
            "made by",
            format!("task {} of {} in run {}", lineage.task, lineage.dag, lineage.run),
        ),
        ("engine", lineage.engine.clone()),
    ]);
    let mut columns = Listing::new(&["column", "type", "known", "nulls"]);
    for column in &manifest.columns {
        columns.row([
            column.name.clone(),
            column.kind.clone(),
            column.known.clone().unwrap_or_default(),
            describe::count(column.nulls),
        ]);
    }
    format!("{facts}\n\n{columns}")
}
