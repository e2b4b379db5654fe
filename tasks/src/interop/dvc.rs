//! A dataset version as DVC keeps it: a small file for Git, and the bytes in a remote under their MD5.
//!
//! The layout is that of DVC 3: `files/md5/ab/cdef...` holds a file as it is; several files have a list of their own, JSON
//! as Python's `json.dumps` writes it, whose name ends in `.dir`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use md5::{Digest, Md5};
use ratchet_artifacts::{Bucket, BucketError, Created, DatasetManifest};
use serde_json::json;

use super::files::{entry, files, unwritable};

/// What an export left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file for Git.
    pub dvc_file: PathBuf,
    /// Objects that the version consists of.
    pub objects: usize,
    /// Of these, how many the remote did not have yet.
    pub new: usize,
}

/// Writes `<name>.parquet.dvc` (`<name>.dvc` if there are several files) into `directory` and what it points to into
/// `remote`.
///
/// # Errors
///
/// If a blob is missing or damaged, a bucket fails, or the file cannot be written.
pub async fn export(
    bucket: &Bucket,
    manifest: &DatasetManifest,
    directory: &Path,
    remote: &Bucket,
) -> Result<Exported, BucketError> {
    let mut new = 0;
    let mut digests = Vec::with_capacity(manifest.files.len());
    for (path, blob) in files(manifest) {
        let content = bucket.get_blob(blob).await?;
        let digest = md5_of(&content);
        new += usize::from(store(remote, &digest, content).await?);
        digests.push((path, digest));
    }
    let objects = digests.len() + usize::from(digests.len() != 1);
    let size: u64 = manifest.files.iter().map(|blob| blob.bytes).sum();
    let out = match digests.as_slice() {
        [(_, digest)] => format!("- md5: {digest}\n  size: {size}\n"),
        several => {
            // The list goes last: who finds it finds everything that it names.
            let list = directory_list(&manifest.name, several);
            let digest = format!("{}.dir", md5_of(list.as_bytes()));
            new += usize::from(store(remote, &digest, list.into()).await?);
            format!("- md5: {digest}\n  size: {size}\n  nfiles: {}\n", several.len())
        }
    };
    let name = entry(manifest);
    let text = format!("outs:\n{out}  hash: md5\n  path: {name}\n{}", about(manifest));
    let dvc_file = directory.join(format!("{name}.dvc"));
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| unwritable(directory, error))?;
    tokio::fs::write(&dvc_file, text)
        .await
        .map_err(|error| unwritable(&dvc_file, error))?;
    Ok(Exported { dvc_file, objects, new })
}

/// Stores an object under its digest; false if it was there.
async fn store(remote: &Bucket, digest: &str, content: Bytes) -> Result<bool, BucketError> {
    let (directory, file) = digest.split_at(2);
    let created = remote.create(&format!("files/md5/{directory}/{file}"), content).await?;
    Ok(created == Created::New)
}

fn md5_of(content: &[u8]) -> String {
    hex::encode(Md5::digest(content))
}

/// The files of a directory, sorted by path, byte for byte as DVC would write them: the digest of this text is the
/// directory's.
fn directory_list(name: &str, files: &[(String, String)]) -> String {
    let entries: Vec<String> = files
        .iter()
        .map(|(path, digest)| {
            let path = path.strip_prefix(name).unwrap_or(path).trim_start_matches('/');
            format!("{{\"md5\": \"{digest}\", \"relpath\": \"{path}\"}}")
        })
        .collect();
    format!("[{}]", entries.join(", "))
}

/// Where the version comes from, in keys that DVC keeps and does not read. A JSON text is YAML.
fn about(manifest: &DatasetManifest) -> String {
    let version = json!(format!("{}@{}", manifest.name, manifest.version));
    let (run, source) = (json!(manifest.lineage.run), json!(manifest.lineage.source));
    let simulated = manifest.lineage.simulated;
    format!(
        "desc: {version}\nmeta:\n  ratchet:\n    dataset: {version}\n    run: {run}\n    source: {source}\n    simulated: {simulated}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_listed_as_pythons_json_writes_it() {
        let files = [
            ("trips/00001.parquet".to_owned(), "a".repeat(32)),
            ("trips/00002.parquet".to_owned(), "b".repeat(32)),
        ];
        assert_eq!(
            directory_list("trips", &files),
            format!(
                "[{{\"md5\": \"{}\", \"relpath\": \"00001.parquet\"}}, {{\"md5\": \"{}\", \"relpath\": \"00002.parquet\"}}]",
                "a".repeat(32),
                "b".repeat(32)
            )
        );
    }

    #[test]
    fn digests_are_those_of_md5() {
        assert_eq!(md5_of(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
