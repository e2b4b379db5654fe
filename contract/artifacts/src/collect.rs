//! Which blobs nothing refers to, and their removal.
//!
//! Whatever stands in the bucket refers to the blobs whose digests it names: manifests of datasets and models, the
//! promotion log, and what attempts left under `runs/`. What the engine's database names comes from the engine. In this
//! order nothing is missed:
//!
//! 1. [`old_blobs`]: what might go. A blob that comes later is young.
//! 2. [`references`]: what is referred to. A manifest that comes later refers to blobs that its writer stored since, or
//!    found and made young again (see [`Bucket::put_blob`](crate::Bucket::put_blob)).
//! 3. [`remove`]: each is looked at once more, and goes only if it is still old.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::sweep::Sweep;
use crate::{BlobRef, Bucket, BucketError};

/// Removals and reads under way at the same time.
const AT_ONCE: usize = 16;

/// How many removals are announced together. Who writes one of them meanwhile waits for all.
const TOGETHER: usize = 500;

/// A blob and its age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredBlob {
    /// Its digest and length.
    pub blob: BlobRef,
    /// When it was written last, by the store's clock.
    pub modified: Timestamp,
}

/// The blobs that were written last before `before`, sorted.
///
/// # Errors
///
/// If the store does not answer or refuses.
pub async fn old_blobs(bucket: &Bucket, before: Timestamp) -> Result<Vec<StoredBlob>, BucketError> {
    let objects = bucket.objects("blobs").await?;
    let mut blobs: Vec<StoredBlob> = objects
        .into_iter()
        .filter(|found| found.modified < before)
        .filter_map(|found| {
            let digest: String = found.path.strip_prefix("blobs/sha256/")?.replacen('/', "", 1);
            let blob = BlobRef {
                sha256: digest,
                bytes: found.bytes,
            };
            // What has another name is not ours.
            (blob.path()? == found.path).then_some(StoredBlob {
                blob,
                modified: found.modified,
            })
        })
        .collect();
    blobs.sort_unstable();
    Ok(blobs)
}

/// What the documents of a bucket name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Digests of blobs.
    pub digests: BTreeSet<String>,
    /// Ids of runs that versions and promotions name.
    pub runs: BTreeSet<String>,
}

/// What anything in the bucket names, but for logs and curves, which are what a task said, and for what these runs left
/// under `runs/`.
///
/// # Errors
///
/// If the store does not answer or refuses: what cannot be read may refer to anything.
pub async fn references(bucket: &Bucket, without: &BTreeSet<String>) -> Result<References, BucketError> {
    let objects = bucket.objects("").await?;
    let documents: Vec<(String, bool)> = objects
        .into_iter()
        .filter_map(|found| {
            let run = found.path.strip_prefix("runs/").and_then(|rest| rest.split('/').next());
            let read = match run {
                Some(run) => found.path.ends_with("/outputs.json") && !without.contains(run),
                None => !found.path.starts_with("blobs/") && !found.path.starts_with("sweeps/"),
            };
            let by_run = run.is_some();
            (read && found.path.ends_with(".json")).then_some((found.path, by_run))
        })
        .collect();
    stream::iter(documents)
        .map(|(path, by_run)| async move { Ok((bucket.get(&path).await?, by_run)) })
        .buffer_unordered(AT_ONCE)
        .try_fold(References::default(), |mut all, (content, by_run)| async move {
            let content = content.unwrap_or_default();
            all.digests.extend(digests(&content).map(str::to_owned));
            if !by_run {
                all.runs.extend(runs(&content).map(str::to_owned));
            }
            Ok(all)
        })
        .await
}

/// What in a text looks like the id of a run.
fn runs(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| !(byte.is_ascii_digit() || (b'a'..=b'f').contains(byte) || *byte == b'-'))
        .filter_map(|word| std::str::from_utf8(word).ok())
        .filter(|word| word.len() == 36 && uuid::Uuid::try_parse(word).is_ok())
}

/// What in a text looks like a digest: 64 lower-case hexadecimal digits and none beside them.
pub fn digests(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| !(byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)))
        .filter(|word| word.len() == 64)
        .filter_map(|word| std::str::from_utf8(word).ok())
}

/// Removes these blobs, each if it is still older than `before`, and returns those that it removed; none if another
/// process does so at the moment.
///
/// # Errors
///
/// If the store does not answer or refuses. Some may have been removed by then.
pub async fn remove(
    bucket: &Bucket,
    blobs: &[StoredBlob],
    before: Timestamp,
) -> Result<Option<Vec<StoredBlob>>, BucketError> {
    let mut removed = Vec::new();
    for together in blobs.chunks(TOGETHER) {
        let digests = together.iter().map(|stored| stored.blob.sha256.clone()).collect();
        let Some(sweep) = Sweep::announce(bucket, digests).await? else {
            return Ok((!removed.is_empty()).then_some(removed));
        };
        let gone = remove_announced(bucket, &sweep, together, before).await;
        sweep.close(bucket).await?;
        removed.extend(gone?);
    }
    Ok(Some(removed))
}

async fn remove_announced(
    bucket: &Bucket,
    sweep: &Sweep,
    blobs: &[StoredBlob],
    before: Timestamp,
) -> Result<Vec<StoredBlob>, BucketError> {
    stream::iter(blobs.to_vec())
        .map(|stored| async move {
            let Some(path) = stored.blob.path() else {
                return Ok(None);
            };
            let found = bucket.object(&path).await?;
            if found.is_none_or(|found| found.modified >= before) || !sweep.may_remove() {
                return Ok(None);
            }
            bucket.remove(&path).await?;
            Ok(Some(stored))
        })
        .buffered(AT_ONCE)
        .try_filter_map(|removed| async move { Ok(removed) })
        .try_collect()
        .await
}

/// What the attempts of a run left under `runs/`: number of objects and bytes.
///
/// # Errors
///
/// If the store does not answer or refuses.
pub async fn run_documents(bucket: &Bucket, run: &str) -> Result<(usize, u64), BucketError> {
    let objects = bucket.objects(&format!("runs/{run}")).await?;
    Ok((objects.len(), objects.iter().map(|found| found.bytes).sum()))
}

/// Removes them.
///
/// # Errors
///
/// If the store does not answer or refuses.
pub async fn remove_run_documents(bucket: &Bucket, run: &str) -> Result<(), BucketError> {
    let objects = bucket.objects(&format!("runs/{run}")).await?;
    stream::iter(objects)
        .map(|found| async move { bucket.remove(&found.path).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_text() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!(
            "{{\"a\":\"{digest}\",\"path\":\"x/{digest}.png\",\"longer\":\"{digest}0\"}} {}",
            &digest[1..]
        );
        assert_eq!(digests(text.as_bytes()).collect::<Vec<_>>(), [digest, digest]);
        let run = "01a1f74a-ed7b-7743-8231-f36639248911";
        let text = format!("\"run {run}\" \"{run}/train/model\" {digest} 01a1f74a-ed7b");
        assert_eq!(runs(text.as_bytes()).collect::<Vec<_>>(), [run, run]);
    }
}
