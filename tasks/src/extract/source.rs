//! Where an extract's bytes come from.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use ratchet_artifacts::{BlobRef, Bucket, DatasetManifest, datasets, outside};
use ratchet_core::plugin::{Collected, TaskContext, TaskError};
use url::Url;

use super::download::{download, fingerprint};
use super::web::shown;
use crate::blocking::blocking;
use crate::digest::{digest_of_file, unreadable};
use crate::simulate::Simulation;
use crate::table;

/// What stands behind `from`.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A path, relative to the working directory or absolute.
    Path(PathBuf),
    /// `s3://bucket/key`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// `http://` or `https://`.
    Web(Url),
    /// `simulated://name?...`.
    Simulated(Simulation),
}

/// Bytes and what is said about them.
pub struct Fetched {
    /// As they came.
    pub bytes: Bytes,
    /// The address for manifests and logs.
    pub address: String,
    /// True if they were made up.
    pub simulated: bool,
    /// When they were collected.
    pub collected: Collected,
}

impl Source {
    /// Reads a `from`.
    ///
    /// # Errors
    /// A scheme that is not known, and whatever is wrong inside a known one, as a message and a remedy.
    pub fn parse(from: &str) -> Result<Source, (String, String)> {
        let Some((scheme, rest)) = from.split_once("://") else {
            return match from.trim() {
                "" => Err((
                    "the address is empty".to_owned(),
                    "write a path, file://, s3://, http(s):// or simulated://".to_owned(),
                )),
                _ => Ok(Source::Path(PathBuf::from(from))),
            };
        };
        match scheme {
            "file" => {
                let url = Url::parse(from)
                    .map_err(|error| (format!("`{from}` is no address: {error}"), FILE_HELP.to_owned()))?;
                let path = url
                    .to_file_path()
                    .map_err(|()| (format!("`{from}` names no file"), FILE_HELP.to_owned()))?;
                Ok(Source::Path(path))
            }
            "s3" => match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Source::S3 {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                }),
                _ => Err((
                    format!("`{from}` names no object"),
                    "write s3://bucket/path/to/file.csv".to_owned(),
                )),
            },
            "http" | "https" => Url::parse(from).map(Source::Web).map_err(|error| {
                (
                    format!("an address that begins with {scheme}:// cannot be read: {error}"),
                    "write https://example.com/path/to/file.csv".to_owned(),
                )
            }),
            "simulated" => Simulation::parse(from).map(Source::Simulated),
            _ => Err((
                format!("`{scheme}://` is not a source that this task can read"),
                "use a path, file://, s3://, http(s):// or simulated://".to_owned(),
            )),
        }
    }

    /// Gets the bytes. Of a file on the web that is what the newest version of `dataset` was read from, if the server says
    /// that it still holds.
    ///
    /// # Errors
    /// A file that is not there or cannot be read, a store or a server that does not answer.
    pub async fn fetch(
        &self,
        from: &str,
        dataset: &str,
        bucket: &Bucket,
        context: &TaskContext,
    ) -> Result<Fetched, TaskError> {
        let now = |bytes: Bytes, address: &str| Fetched {
            bytes,
            address: address.to_owned(),
            simulated: false,
            collected: Collected::at(Timestamp::now()),
        };
        match self {
            Source::Path(path) => {
                let path = context.working_directory.join(path);
                let bytes = tokio::fs::read(&path)
                    .await
                    .map_err(|error| unreadable(from, &path, &error))?;
                Ok(now(bytes.into(), from))
            }
            Source::S3 { bucket, key } => Ok(now(fetch_s3(bucket, key, from).await?, from)),
            Source::Web(url) => fetch_from_web(url, dataset, bucket, context).await,
            Source::Simulated(simulation) => {
                let owned = simulation.clone();
                let bytes = blocking("the simulation", move || owned.to_bytes()).await?;
                Ok(Fetched {
                    simulated: true,
                    ..now(bytes.into(), &simulation.address())
                })
            }
        }
    }

    /// Bytes that were got from here before.
    pub fn fetched_before(&self, from: &str, bytes: Bytes) -> Fetched {
        let (address, simulated) = match self {
            Source::Simulated(simulation) => (simulation.address(), true),
            Source::Web(url) => (without_user(url), false),
            Source::Path(_) | Source::S3 { .. } => (from.to_owned(), false),
        };
        Fetched {
            bytes,
            address,
            simulated,
            collected: Collected::at(Timestamp::now()),
        }
    }

    /// Text that changes with the content, found without keeping it: the SHA-256 of a file, the ETag of an object.
    /// None for what is simulated: its address decides it.
    ///
    /// # Errors
    /// A file that is not there or cannot be read, a store that does not answer or says no ETag.
    pub async fn fingerprint(&self, from: &str, working_directory: &Path) -> Result<Option<String>, TaskError> {
        match self {
            Source::Path(path) => {
                let path = working_directory.join(path);
                digest_of_file(from, path).await.map(Some)
            }
            Source::S3 { .. } => {
                let found = outside::look(from, &[]).await.map_err(table::from_bucket)?;
                let found = found.ok_or_else(|| TaskError::permanent(format!("`{from}` is not there")))?;
                let tag = found
                    .etag
                    .ok_or_else(|| TaskError::permanent(format!("the store says no ETag of `{from}`")))?;
                Ok(Some(format!("{tag} {}", found.bytes)))
            }
            Source::Web(url) => fingerprint(url).await.map(Some),
            Source::Simulated(_) => Ok(None),
        }
    }
}

/// The address for manifests. The query stays: it says which file it is. Secrets in it are masked before anything is kept.
fn without_user(url: &Url) -> String {
    let mut address = url.clone();
    // Both fail for addresses that can have none.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    address.to_string()
}

async fn fetch_from_web(
    url: &Url,
    dataset: &str,
    bucket: &Bucket,
    context: &TaskContext,
) -> Result<Fetched, TaskError> {
    let address = without_user(url);
    let fetched = |bytes, collected| Fetched {
        bytes,
        address: address.clone(),
        simulated: false,
        collected,
    };
    // A name that cannot be one is told when the version is registered.
    let latest = datasets::latest(bucket, dataset).await.ok().flatten();
    let earlier = latest.as_ref().and_then(|latest| same_file(latest, &address));
    let known = earlier.as_ref().map(|(collected, _)| collected);
    if let Some(new) = download(url, known, context).await? {
        return Ok(fetched(new.bytes, new.collected));
    }
    let Some((collected, raw)) = earlier else {
        return Err(TaskError::transient(format!(
            "{} answers that nothing has changed, which it was not asked",
            shown(url)
        )));
    };
    context.info(format!("{} has not changed since {}", shown(url), collected.at));
    Ok(fetched(
        bucket.get_blob(raw).await.map_err(table::from_bucket)?,
        collected,
    ))
}

/// What a version was read from, if it came from this address and its server named the content.
fn same_file<'a>(latest: &'a DatasetManifest, address: &str) -> Option<(Collected, &'a BlobRef)> {
    let collected = latest.collected.as_ref()?;
    let raw = latest.raw.first()?;
    let named = collected.etag.is_some() || collected.last_modified.is_some();
    (named && latest.lineage.source == address).then(|| {
        let collected = Collected {
            etag: collected.etag.clone(),
            last_modified: collected.last_modified.clone(),
            ..Collected::at(collected.at)
        };
        (collected, raw)
    })
}

const FILE_HELP: &str = "write file:///absolute/path, or a path without a scheme";

async fn fetch_s3(bucket: &str, key: &str, from: &str) -> Result<Bytes, TaskError> {
    let environment = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for other servers, AWS_ENDPOINT_URL and AWS_ALLOW_HTTP";
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .build()
        .map_err(|error| {
            TaskError::permanent(format!("`{from}` cannot be opened: {error}"))
                .with_help(format!("check {environment}"))
        })?;
    let failed = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => TaskError::permanent(format!("`{from}` is not there"))
            .with_help("change `from`, or the parameter behind it (`-p NAME=ADDRESS`)"),
        object_store::Error::Unauthenticated { .. } | object_store::Error::PermissionDenied { .. } => {
            TaskError::permanent(format!("`{from}` may not be read: {error}")).with_help(format!("check {environment}"))
        }
        _ => TaskError::transient(format!("`{from}` cannot be read: {error}")),
    };
    let path = object_store::path::Path::parse(key)
        .map_err(|error| TaskError::permanent(format!("`{from}` names no object: {error}")))?;
    store.get(&path).await.map_err(failed)?.bytes().await.map_err(failed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_by_their_scheme() {
        assert_eq!(Source::parse("data/a.csv").unwrap(), Source::Path("data/a.csv".into()));
        assert_eq!(
            Source::parse("file:///data/a%20b.csv").unwrap(),
            Source::Path("/data/a b.csv".into())
        );
        assert_eq!(
            Source::parse("s3://b/k/a.csv").unwrap(),
            Source::S3 {
                bucket: "b".into(),
                key: "k/a.csv".into()
            }
        );
        assert!(matches!(
            Source::parse("https://example.com/a.csv?v=1").unwrap(),
            Source::Web(_)
        ));
        assert!(matches!(
            Source::parse("simulated://lfb").unwrap(),
            Source::Simulated(_)
        ));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_remedy() {
        for from in [
            "",
            "http://",
            "ftp://host/a.csv",
            "s3://bucket",
            "simulated://mars",
            "simulated://lfb?rows=many",
        ] {
            let (message, help) = Source::parse(from).unwrap_err();
            assert!(!message.is_empty() && !help.is_empty(), "{from}");
        }
    }
}
