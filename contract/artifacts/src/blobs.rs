//! Blobs: content goes in, its digest comes out; every read is checked against the digest.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::{BlobRef, Bucket, BucketError, Created, sweep};

/// Content above this many bytes is hashed on a thread of its own, to leave the runtime's threads to their work.
const LARGE: usize = 1 << 20;

/// SHA-256 as 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The same of a file, read piece by piece. Blocks.
///
/// # Errors
///
/// If the file cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(hex::encode(digest.finalize()))
}

impl BlobRef {
    /// The reference that `content` will have.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self {
            sha256: sha256(content),
            bytes: content.len() as u64,
        }
    }

    /// Path in the bucket: `blobs/sha256/ab/cdef...`.
    ///
    /// `None` if the digest is not 64 lower-case hexadecimal digits; such a reference names nothing.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let is_digest = self.sha256.len() == 64
            && self
                .sha256
                .bytes()
                .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        if !is_digest {
            return None;
        }
        let (directory, file) = self.sha256.split_at(2);
        Some(format!("blobs/sha256/{directory}/{file}"))
    }
}

impl Bucket {
    /// Stores content under its digest. Storing the same content again costs a look and changes nothing, but that
    /// content which was stored more than an hour ago is written once more: then it is young, and
    /// [`collect`](crate::collect) leaves it to whoever is about to refer to it.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses, or holds this digest with another length.
    pub async fn put_blob(&self, content: Bytes) -> Result<BlobRef, BucketError> {
        let blob = reference(&content).await;
        let path = self.blob_path(&blob)?;
        // The second round is for a blob that was collected while it was written.
        loop {
            let Some(found) = self.object(&path).await? else {
                if self.create(&path, content.clone()).await? == Created::Exists
                    && let Some(length) = self.length(&path).await?
                {
                    self.check_length(&blob, &path, length)?;
                }
                return Ok(blob);
            };
            self.check_length(&blob, &path, found.bytes)?;
            if found.modified.duration_until(Timestamp::now()) < self.fresh() {
                return Ok(blob);
            }
            self.overwrite(&path, content.clone()).await?;
            sweep::wait(self, &blob.sha256).await?;
            if self.length(&path).await?.is_some() {
                return Ok(blob);
            }
        }
    }

    /// Reads a blob and checks length and digest.
    ///
    /// # Errors
    ///
    /// If it is not there or not what its name says, or the store does not answer or refuses.
    pub async fn get_blob(&self, blob: &BlobRef) -> Result<Bytes, BucketError> {
        let path = self.blob_path(blob)?;
        let Some(content) = self.get(&path).await? else {
            return Err(BucketError::BlobMissing {
                url: self.url().to_owned(),
                path,
            });
        };
        self.check_length(blob, &path, content.len() as u64)?;
        let found = reference(&content).await;
        if found.sha256 != blob.sha256 {
            return Err(self.damaged(path, format!("its SHA-256 is {}", found.sha256)));
        }
        Ok(content)
    }

    /// Writes a blob to a local file, little of it in memory at a time. What stands there is replaced at the end, all at
    /// once, and only by content that is what its name says.
    ///
    /// # Errors
    ///
    /// As [`Bucket::get_blob`], and if the file cannot be written.
    pub async fn save_blob(&self, blob: &BlobRef, file: &Path) -> Result<(), BucketError> {
        let path = self.blob_path(blob)?;
        let Some(mut pieces) = self.pieces(&path).await? else {
            return Err(BucketError::BlobMissing {
                url: self.url().to_owned(),
                path,
            });
        };
        let failed = |source: io::Error| BucketError::File {
            path: file.display().to_string(),
            source,
        };
        let mut part = file.as_os_str().to_owned();
        part.push(format!(".{}.part", uuid::Uuid::now_v7()));
        let part = Part(part.into());
        let mut written = tokio::fs::File::create(&part.0).await.map_err(failed)?;
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) = pieces.try_next().await? {
            digest.update(&piece);
            bytes += piece.len() as u64;
            written.write_all(&piece).await.map_err(failed)?;
        }
        self.check_length(blob, &path, bytes)?;
        let found = hex::encode(digest.finalize());
        if found != blob.sha256 {
            return Err(self.damaged(path, format!("its SHA-256 is {found}")));
        }
        written.sync_all().await.map_err(failed)?;
        std::fs::rename(&part.0, file).map_err(failed)
    }

    fn blob_path(&self, blob: &BlobRef) -> Result<String, BucketError> {
        blob.path().ok_or_else(|| {
            self.damaged(
                blob.sha256.chars().take(64).collect(),
                "this is no SHA-256 in lower-case digits".to_owned(),
            )
        })
    }

    fn check_length(&self, blob: &BlobRef, path: &str, found: u64) -> Result<(), BucketError> {
        if found == blob.bytes {
            return Ok(());
        }
        Err(self.damaged(
            path.to_owned(),
            format!("it has {found} bytes instead of {}", blob.bytes),
        ))
    }

    fn damaged(&self, path: String, detail: String) -> BucketError {
        BucketError::BlobDamaged {
            url: self.url().to_owned(),
            path,
            detail,
        }
    }
}

/// A file that is not whole yet; it goes if it does not become so.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn reference(content: &Bytes) -> BlobRef {
    if content.len() < LARGE {
        return BlobRef::of(content);
    }
    let shared = content.clone();
    match tokio::task::spawn_blocking(move || BlobRef::of(&shared)).await {
        Ok(blob) => blob,
        // The runtime shuts down and takes no more work: then here.
        Err(_) => BlobRef::of(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_digest_of_the_content() {
        let blob = BlobRef::of(b"abc");
        assert_eq!(
            blob.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(blob.bytes, 3);
        assert_eq!(
            blob.path().as_deref(),
            Some("blobs/sha256/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }

    #[test]
    fn what_is_no_digest_has_no_path() {
        for sha256 in ["", "../../etc/passwd", &"A".repeat(64), &"é".repeat(32)] {
            assert_eq!(
                BlobRef {
                    sha256: sha256.to_owned(),
                    bytes: 0
                }
                .path(),
                None,
                "{sha256}"
            );
        }
    }
}
