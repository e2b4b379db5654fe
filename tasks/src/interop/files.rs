//! A dataset version as files in a directory.

use std::path::{Path, PathBuf};

use ratchet_artifacts::{BlobRef, Bucket, BucketError, DatasetManifest, sha256_of_file};

/// A file that a pull left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// False if it was there already, with this content.
    pub new: bool,
}

/// What the dataset is called in a directory: `incidents.parquet`, or the directory `incidents` if it has several files.
#[must_use]
pub fn entry(manifest: &DatasetManifest) -> String {
    match manifest.files.len() {
        1 => format!("{}.parquet", manifest.name),
        _ => manifest.name.clone(),
    }
}

/// The files in row order, each with its path below the directory: `incidents.parquet`, or `incidents/00001.parquet` and
/// so on.
pub fn files(manifest: &DatasetManifest) -> impl Iterator<Item = (String, &BlobRef)> {
    let several = manifest.files.len() != 1;
    manifest.files.iter().enumerate().map(move |(index, blob)| {
        let path = match several {
            false => entry(manifest),
            true => format!("{}/{:05}.parquet", manifest.name, index + 1),
        };
        (path, blob)
    })
}

/// Writes the files of a version into a directory, which is made if it is not there. A file that has the content already
/// is left alone, another one of the same name is replaced.
///
/// # Errors
///
/// If a blob is missing or damaged, the bucket fails, or a file cannot be written.
pub async fn pull(bucket: &Bucket, manifest: &DatasetManifest, directory: &Path) -> Result<Vec<Pulled>, BucketError> {
    let mut pulled = Vec::with_capacity(manifest.files.len());
    for (name, blob) in files(manifest) {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        tokio::fs::create_dir_all(parent)
            .await
            .map_err(|source| unwritable(parent, source))?;
        let looked_at = path.clone();
        let there = tokio::task::spawn_blocking(move || sha256_of_file(&looked_at)).await;
        let new = !matches!(there, Ok(Ok(digest)) if digest == blob.sha256);
        if new {
            bucket.save_blob(blob, &path).await?;
        }
        pulled.push(Pulled {
            path,
            bytes: blob.bytes,
            new,
        });
    }
    Ok(pulled)
}

/// The error for a file or a directory that cannot be written.
pub(super) fn unwritable(path: &Path, source: std::io::Error) -> BucketError {
    BucketError::File {
        path: path.display().to_string(),
        source,
    }
}
