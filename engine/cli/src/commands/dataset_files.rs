//! `ratchet datasets pull | export`: a version leaves the bucket as files.

use std::path::Path;

use ratchet_artifacts::{Bucket, BucketError, DatasetManifest};
use ratchet_tasks::interop::{dvc, files};
use serde_json::json;

use crate::arguments::Format;
use crate::display::{describe, output};
use crate::failure::Failure;

/// Writes the files of a version into a directory.
pub async fn pull(
    bucket: &Bucket,
    manifest: &DatasetManifest,
    directory: &Path,
    format: Format,
) -> Result<(), Failure> {
    let pulled = files::pull(bucket, manifest, directory).await.map_err(of_bucket)?;
    if format == Format::Json {
        let files = pulled
            .iter()
            .map(|file| json!({ "path": file.path, "bytes": file.bytes, "new": file.new }));
        return output::document(&json!({ "dataset": named(manifest), "files": files.collect::<Vec<_>>() }));
    }
    for file in &pulled {
        let what = if file.new { "written" } else { "there already" };
        output::line(&format!(
            "{}: {} bytes, {what}",
            file.path.display(),
            describe::count(file.bytes)
        ));
    }
    Ok(())
}

/// Writes a version as DVC keeps it.
pub async fn export(
    bucket: &Bucket,
    manifest: &DatasetManifest,
    directory: &Path,
    remote: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let inside = directory.join("remote").to_string_lossy().into_owned();
    let address = remote.unwrap_or(&inside);
    let remote = Bucket::open(address).await?;
    let exported = dvc::export(bucket, manifest, directory, &remote)
        .await
        .map_err(of_bucket)?;
    if format == Format::Json {
        return output::document(&json!({
            "dataset": named(manifest), "dvc_file": exported.dvc_file, "remote": remote.url(),
            "objects": exported.objects, "new": exported.new,
        }));
    }
    output::line(&format!(
        "{} points to {} objects in {}, {} of them new",
        exported.dvc_file.display(),
        exported.objects,
        remote.url(),
        exported.new
    ));
    // DVC reads a relative path against its own configuration.
    let address = match address.contains("://") {
        true => address.to_owned(),
        false => std::path::absolute(address).map_or_else(|_| address.to_owned(), |path| path.display().to_string()),
    };
    output::line(&format!(
        "in a repository with the remote (`dvc remote add --default ratchet {address}`), `dvc pull {}` gets them",
        exported.dvc_file.file_name().unwrap_or_default().display()
    ));
    Ok(())
}

fn named(manifest: &DatasetManifest) -> String {
    format!("{}@{}", manifest.name, manifest.version)
}

/// A directory that cannot be written is a wrong argument.
fn of_bucket(error: BucketError) -> Failure {
    match error {
        BucketError::File { .. } => Failure::input(error.to_string()),
        other => other.into(),
    }
}
