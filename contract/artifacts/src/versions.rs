//! What datasets and models share: numbered manifests that are never overwritten.
//!
//! A version is the next number, taken by a create that fails where an object is. The key `run/task` inside makes a
//! registration repeatable: who finds its own key takes that version as its own.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::names::{check_key, check_name};
use crate::signing::signer;
use crate::{Bucket, BucketError, Created, Signed};

/// How many of the newest versions are searched for a key. A repetition follows its first try within few versions.
const SEARCHED: usize = 50;

/// Reads under way at the same time.
const READS: usize = 16;

/// How often the next number may be taken by another before a registration gives up.
const ATTEMPTS: usize = 1000;

/// A manifest with a name and a number.
pub(crate) trait Versioned: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// `dataset`, `model`.
    const KIND: &'static str;
    /// Directory in the bucket.
    const DIRECTORY: &'static str;
    fn name(&self) -> &str;
    fn version(&self) -> u64;
    fn set_version(&mut self, version: u64);
    fn key(&self) -> &str;
    /// True if `self` says nothing that `latest` does not say, so that it needs no number.
    fn repeats(&self, latest: &Self) -> bool;
}

/// What can be asked of every kind of version, as functions of its module.
macro_rules! readers {
    ($manifest:ty) => {
        /// Reads one version; `None` if there is none.
        ///
        /// # Errors
        ///
        /// If the name is wrong, the manifest is damaged, or the bucket fails.
        pub async fn get(
            bucket: &$crate::Bucket,
            name: &str,
            version: u64,
        ) -> Result<Option<$manifest>, $crate::BucketError> {
            $crate::versions::get(bucket, name, version).await
        }

        /// One version with who signed it; `None` if there is none.
        ///
        /// # Errors
        ///
        /// As [`get`].
        pub async fn get_signed(
            bucket: &$crate::Bucket,
            name: &str,
            version: u64,
        ) -> Result<Option<$crate::Signed<$manifest>>, $crate::BucketError> {
            $crate::versions::get_signed(bucket, name, version).await
        }

        /// The version with the highest number; `None` if there is none.
        ///
        /// # Errors
        ///
        /// As [`get`].
        pub async fn latest(bucket: &$crate::Bucket, name: &str) -> Result<Option<$manifest>, $crate::BucketError> {
            $crate::versions::latest(bucket, name).await
        }

        /// All version numbers, ascending.
        ///
        /// # Errors
        ///
        /// If the name is wrong or the bucket fails.
        pub async fn versions(bucket: &$crate::Bucket, name: &str) -> Result<Vec<u64>, $crate::BucketError> {
            let numbers = $crate::versions::numbers::<$manifest>(bucket, name).await?;
            Ok(numbers.into_iter().collect())
        }

        /// All names, sorted.
        ///
        /// # Errors
        ///
        /// If the bucket fails.
        pub async fn names(bucket: &$crate::Bucket) -> Result<Vec<String>, $crate::BucketError> {
            $crate::versions::names::<$manifest>(bucket).await
        }
    };
}
pub(crate) use readers;

fn path<M: Versioned>(name: &str, version: u64) -> String {
    format!("{}/{name}/{version}.json", M::DIRECTORY)
}

/// Gives `draft` the next number and stores it, or returns the version that it repeats.
pub(crate) async fn register<M: Versioned>(bucket: &Bucket, mut draft: M) -> Result<M, BucketError> {
    check_name(M::KIND, draft.name())?;
    check_key(draft.key())?;
    let name = draft.name().to_owned();
    let numbers = numbers::<M>(bucket, &name).await?;
    if let Some(own) = find_key::<M>(bucket, &name, &numbers, draft.key()).await? {
        return Ok(own);
    }
    let mut last = numbers.last().copied().unwrap_or(0);
    if let Some(latest) = get::<M>(bucket, &name, last).await?
        && draft.repeats(&latest)
    {
        return Ok(latest);
    }
    for _ in 0..ATTEMPTS {
        last += 1;
        draft.set_version(last);
        let path = path::<M>(&name, last);
        let content = bucket.signed(&path, encode(bucket, &path, &draft)?);
        match bucket.create(&path, content).await? {
            Created::New => return Ok(draft),
            Created::Exists => {
                let Some(other) = get::<M>(bucket, &name, last).await? else {
                    return Err(BucketError::Unstable {
                        url: bucket.url().to_owned(),
                        path,
                    });
                };
                // The same key: our own create, whose answer got lost, or a repetition at the same time.
                if other.key() == draft.key() || draft.repeats(&other) {
                    return Ok(other);
                }
            }
        }
    }
    Err(BucketError::Crowded {
        url: bucket.url().to_owned(),
        path: path::<M>(&name, last),
    })
}

/// The newest version with this key among the newest few.
async fn find_key<M: Versioned>(
    bucket: &Bucket,
    name: &str,
    numbers: &BTreeSet<u64>,
    key: &str,
) -> Result<Option<M>, BucketError> {
    let newest: Vec<u64> = numbers.iter().rev().take(SEARCHED).copied().collect();
    let mut manifests = stream::iter(newest)
        .map(|number| get::<M>(bucket, name, number))
        .buffered(READS);
    while let Some(manifest) = manifests.try_next().await? {
        if let Some(manifest) = manifest
            && manifest.key() == key
        {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// Reads one version; `None` if there is none.
pub(crate) async fn get<M: Versioned>(bucket: &Bucket, name: &str, version: u64) -> Result<Option<M>, BucketError> {
    Ok(read(bucket, name, version).await?.map(|(manifest, _)| manifest))
}

/// The same with who signed it.
pub(crate) async fn get_signed<M: Versioned>(
    bucket: &Bucket,
    name: &str,
    version: u64,
) -> Result<Option<Signed<M>>, BucketError> {
    let found = read::<M>(bucket, name, version).await?;
    Ok(found.map(|(document, content)| {
        let path = path::<M>(name, version);
        Signed {
            signer: signer(&path, &content),
            document,
            path,
        }
    }))
}

/// A version and its bytes.
async fn read<M: Versioned>(bucket: &Bucket, name: &str, version: u64) -> Result<Option<(M, Bytes)>, BucketError> {
    check_name(M::KIND, name)?;
    if version == 0 {
        return Ok(None);
    }
    let path = path::<M>(name, version);
    let Some(content) = bucket.get(&path).await? else {
        return Ok(None);
    };
    let manifest: M = decode(bucket, &path, &content)?;
    if manifest.name() != name || manifest.version() != version {
        return Err(BucketError::ManifestDamaged {
            url: bucket.url().to_owned(),
            path,
            detail: format!("it says that it is {}@{}", manifest.name(), manifest.version()),
        });
    }
    Ok(Some((manifest, content)))
}

/// The version with the highest number.
pub(crate) async fn latest<M: Versioned>(bucket: &Bucket, name: &str) -> Result<Option<M>, BucketError> {
    match numbers::<M>(bucket, name).await?.last() {
        Some(number) => get(bucket, name, *number).await,
        None => Ok(None),
    }
}

/// All version numbers, ascending.
pub(crate) async fn numbers<M: Versioned>(bucket: &Bucket, name: &str) -> Result<BTreeSet<u64>, BucketError> {
    check_name(M::KIND, name)?;
    let directory = format!("{}/{name}", M::DIRECTORY);
    let paths = bucket.list(&directory).await?;
    Ok(paths
        .iter()
        .filter_map(|found| number_in(found.strip_prefix(&directory)?.strip_prefix('/')?))
        .collect())
}

/// The number in `7.json`; files of other names are not ours.
fn number_in(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".json")?;
    let number = digits.parse().ok()?;
    (number > 0 && digits == u64::to_string(&number)).then_some(number)
}

/// All names, sorted.
pub(crate) async fn names<M: Versioned>(bucket: &Bucket) -> Result<Vec<String>, BucketError> {
    let mut names = bucket.directories(M::DIRECTORY).await?;
    names.retain(|name| check_name(M::KIND, name).is_ok());
    Ok(names)
}

/// JSON that a person can read, ending in a line feed.
pub(crate) fn encode<T: Serialize>(bucket: &Bucket, path: &str, content: &T) -> Result<Bytes, BucketError> {
    match serde_json::to_vec_pretty(content) {
        Ok(mut json) => {
            json.push(b'\n');
            Ok(json.into())
        }
        Err(error) => Err(BucketError::Refused {
            url: bucket.url().to_owned(),
            path: path.to_owned(),
            detail: format!("it cannot be written as JSON: {error}"),
        }),
    }
}

/// Reads what [`encode`] wrote, after a look at the format it claims.
pub(crate) fn decode<T: DeserializeOwned>(bucket: &Bucket, path: &str, content: &[u8]) -> Result<T, BucketError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u64,
    }
    let damaged = |error: serde_json::Error| BucketError::ManifestDamaged {
        url: bucket.url().to_owned(),
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let Format { format } = serde_json::from_slice(content).map_err(damaged)?;
    if format != 1 {
        return Err(BucketError::FormatTooNew {
            url: bucket.url().to_owned(),
            path: path.to_owned(),
            format,
        });
    }
    serde_json::from_slice(content).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_are_versions() {
        assert_eq!(number_in("7.json"), Some(7));
        assert_eq!(number_in("10.json"), Some(10));
        for other in [
            "0.json",
            "07.json",
            "+7.json",
            "7.json.bak",
            "latest.json",
            "7",
            ".json",
        ] {
            assert_eq!(number_in(other), None, "{other}");
        }
    }
}
