//! The bucket: read, create, list. Nothing in it is ever overwritten.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::Trouble;
use crate::{BucketError, SigningKey, TrustedKeys, failpoints, location};

/// Pauses before another try where the store answered with an error that passes.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1000),
];

/// How long a remote store may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// Whether a create made the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an object that exists may be another's"]
pub enum Created {
    /// This call made it.
    New,
    /// It was there already, or an answer got lost and it is this very write: the content or the key inside tells.
    Exists,
}

/// A local directory or a prefix in S3-compatible storage.
///
/// Cheap to clone. Paths are relative, with `/` between the parts: `models/response-time/3.json`.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    url: Arc<str>,
    /// A blob that was written longer ago is written again by whoever stores the same content.
    fresh: SignedDuration,
    /// Signs manifests and entries of the promotion log.
    signing_key: Option<SigningKey>,
    /// Whose signatures count for those who ask.
    trusted: Option<Arc<TrustedKeys>>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub path: String,
    pub bytes: u64,
    /// By the clock of the store.
    pub modified: Timestamp,
}

/// See `Bucket::put_blob`. A small part of the age that a blob must have before it may be collected.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

impl fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bucket")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// Opens a bucket: a path or `file:///directory` (created if it is not there) or `s3://bucket/prefix`, with the
    /// server, region and credentials of the `AWS_*` environment.
    ///
    /// # Errors
    ///
    /// If the address is wrong, the directory cannot be read, its file system has no hard links, or the S3 bucket
    /// does not exist, denies access or does not answer.
    pub async fn open(url: &str) -> Result<Self, BucketError> {
        Self::open_with(url, &[]).await
    }

    /// Opens a bucket with `options` over the environment: `("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")`.
    ///
    /// # Errors
    ///
    /// As [`Bucket::open`], and if S3 has no setting of that name.
    pub async fn open_with(url: &str, options: &[(&str, &str)]) -> Result<Self, BucketError> {
        let opened = location::open(url, options)?;
        let bucket = Self {
            store: opened.store,
            url: opened.url.into(),
            fresh: FRESH,
            signing_key: None,
            trusted: None,
        };
        if opened.remote {
            bucket.ask_first().await?;
        }
        Ok(bucket)
    }

    /// Uses a store made elsewhere; `url` is what messages call it.
    #[must_use]
    pub fn from_store(store: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self {
            store,
            url: url.into(),
            fresh: FRESH,
            signing_key: None,
            trusted: None,
        }
    }

    /// Another age from which on content that is stored again is written again; for tests that cannot wait an hour.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn with_fresh(self, fresh: SignedDuration) -> Self {
        Self { fresh, ..self }
    }

    /// The same bucket, signing what is registered and promoted through it; without a key it signs nothing.
    #[must_use]
    pub fn signing_with(self, signing_key: Option<SigningKey>) -> Self {
        Self { signing_key, ..self }
    }

    /// The same bucket, in which the signatures of these keys count. Reading refuses nothing by itself: whoever must know
    /// asks [`Bucket::trusted`].
    #[must_use]
    pub fn trusting(self, trusted: Option<TrustedKeys>) -> Self {
        Self {
            trusted: trusted.map(Arc::new),
            ..self
        }
    }

    /// Whose signatures count; none if nobody's is needed.
    #[must_use]
    pub fn trusted(&self) -> Option<&TrustedKeys> {
        self.trusted.as_deref()
    }

    /// A document that stands at `path`, signed if there is a key.
    pub(crate) fn signed(&self, path: &str, content: Bytes) -> Bytes {
        match &self.signing_key {
            Some(key) => key.sign(path, &content),
            None => content,
        }
    }

    pub(crate) fn fresh(&self) -> SignedDuration {
        self.fresh
    }

    /// The address, absolute, with which another process opens the same bucket. It holds no credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads an object; `None` if there is none at `path`.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, BucketError> {
        let location = self.location(path)?;
        let read = patiently(|| async { self.store.get(&location).await?.bytes().await }).await;
        self.none_if_missing(path, read)
    }

    /// An object piece by piece; `None` if there is none at `path`.
    pub(crate) async fn pieces(
        &self,
        path: &str,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, BucketError>>>, BucketError> {
        let location = self.location(path)?;
        let opened = patiently(|| async { self.store.get(&location).await }).await;
        let opened = self.none_if_missing(path, opened)?;
        let (bucket, path) = (self.clone(), path.to_owned());
        let troubled = move |error| bucket.trouble(&path, &error);
        Ok(opened.map(|opened| opened.into_stream().map_err(troubled).boxed()))
    }

    /// Length of an object in bytes; `None` if there is none at `path`.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses.
    pub async fn length(&self, path: &str) -> Result<Option<u64>, BucketError> {
        let location = self.location(path)?;
        let read = patiently(|| async { self.store.head(&location).await.map(|found| found.size) }).await;
        self.none_if_missing(path, read)
    }

    /// Creates an object where none is. What exists stays as it is.
    ///
    /// When it returns, the object is durable. After [`Created::Exists`] an object is there to be read: S3 also answers
    /// 'conflict' while another create is under way that may yet fail, and then this tries again.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses. The object may have been created nevertheless.
    pub async fn create(&self, path: &str, content: Bytes) -> Result<Created, BucketError> {
        let location = self.location(path)?;
        let put = || async {
            let options = PutOptions::from(PutMode::Create);
            self.store
                .put_opts(&location, PutPayload::from_bytes(content.clone()), options)
                .await
        };
        let action = action(path);
        for pause in PATIENCE {
            failpoints::before(action);
            match patiently(put).await {
                Ok(_) => {
                    failpoints::after(action);
                    return Ok(Created::New);
                }
                Err(error) if Trouble::of(&error) == Trouble::Exists => {
                    if self.length(path).await?.is_some() {
                        return Ok(Created::Exists);
                    }
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(self.trouble(path, &error)),
            }
        }
        Err(BucketError::Unstable {
            url: self.url().to_owned(),
            path: path.to_owned(),
        })
    }

    /// Writes an object whether or not it is there. Afterwards it is young.
    pub(crate) async fn overwrite(&self, path: &str, content: Bytes) -> Result<(), BucketError> {
        let location = self.location(path)?;
        let put = || async { self.store.put(&location, PutPayload::from_bytes(content.clone())).await };
        let action = action(path);
        failpoints::before(action);
        patiently(put).await.map_err(|error| self.trouble(path, &error))?;
        failpoints::after(action);
        Ok(())
    }

    /// Removes an object. One that is not there is removed already.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), BucketError> {
        let location = self.location(path)?;
        failpoints::before("remove an object");
        let removed = patiently(|| async { self.store.delete(&location).await }).await;
        self.none_if_missing(path, removed)?;
        failpoints::after("remove an object");
        Ok(())
    }

    /// An object's size and age; none if there is none at `path`.
    pub(crate) async fn object(&self, path: &str) -> Result<Option<Object>, BucketError> {
        let location = self.location(path)?;
        let found = patiently(|| async { self.store.head(&location).await }).await;
        Ok(self.none_if_missing(path, found)?.map(described))
    }

    /// All objects below the directory `prefix` (all there are, if it is empty), in no order.
    pub(crate) async fn objects(&self, prefix: &str) -> Result<Vec<Object>, BucketError> {
        let location = self.location(prefix)?;
        let below = (!prefix.is_empty()).then_some(&location);
        let listed = patiently(|| async { self.store.list(below).map_ok(described).try_collect::<Vec<_>>().await });
        listed.await.map_err(|error| self.trouble(prefix, &error))
    }

    /// Full paths of all objects below the directory `prefix`, sorted; empty if there is no such directory.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        let location = self.location(prefix)?;
        let listed = patiently(|| async {
            self.store
                .list(Some(&location))
                .map_ok(|found| found.location.to_string())
                .try_collect::<Vec<_>>()
                .await
        });
        let mut paths = listed.await.map_err(|error| self.trouble(prefix, &error))?;
        paths.sort_unstable();
        Ok(paths)
    }

    /// Names of the directories right below the directory `prefix`, sorted.
    ///
    /// # Errors
    ///
    /// If the store does not answer or refuses.
    pub async fn directories(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        let location = self.location(prefix)?;
        let listed = patiently(|| async { self.store.list_with_delimiter(Some(&location)).await });
        let mut names: Vec<String> = listed
            .await
            .map_err(|error| self.trouble(prefix, &error))?
            .common_prefixes
            .iter()
            .filter_map(|directory| directory.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// One cheap question, so that a wrong name or key shows at start and not hours later.
    async fn ask_first(&self) -> Result<(), BucketError> {
        let first = async { self.store.list(None).next().await.transpose() };
        match tokio::time::timeout(FIRST_ANSWER, first).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.trouble("/", &error)),
            Err(_) => Err(BucketError::Unreachable {
                url: self.url().to_owned(),
                detail: format!("no answer within {} s", FIRST_ANSWER.as_secs()),
            }),
        }
    }

    fn location(&self, path: &str) -> Result<Path, BucketError> {
        Path::parse(path).map_err(|error| self.trouble(path, &error.into()))
    }

    fn none_if_missing<T>(&self, path: &str, read: Result<T, object_store::Error>) -> Result<Option<T>, BucketError> {
        match read {
            Ok(found) => Ok(Some(found)),
            Err(error) if Trouble::of(&error) == Trouble::Missing => Ok(None),
            Err(error) => Err(self.trouble(path, &error)),
        }
    }

    fn trouble(&self, path: &str, error: &object_store::Error) -> BucketError {
        BucketError::from_store(&self.url, path, error)
    }
}

fn described(found: ObjectMeta) -> Object {
    Object {
        path: found.location.to_string(),
        bytes: found.size,
        // An instant that jiff cannot hold lies in the far future or past; the first is the careful reading.
        modified: Timestamp::from_microsecond(found.last_modified.timestamp_micros()).unwrap_or(Timestamp::MAX),
    }
}

/// Carries out an operation, again after a pause where the error may pass.
async fn patiently<T, F>(operation: impl Fn() -> F) -> Result<T, object_store::Error>
where
    F: Future<Output = Result<T, object_store::Error>>,
{
    for pause in PATIENCE {
        match operation().await {
            Err(error) if Trouble::of(&error) == Trouble::Transient => {
                tracing::debug!(%error, ?pause, "the store did not answer; another try follows");
                tokio::time::sleep(pause).await;
            }
            answered => return answered,
        }
    }
    operation().await
}

/// What creating an object is, in the words of [`failpoints`].
fn action(path: &str) -> &'static str {
    match path.split('/').next().unwrap_or_default() {
        "blobs" => "write a blob",
        "datasets" => "register a dataset",
        "models" => "register a model",
        "lookups" => "publish a lookup",
        "promotions" => "append a promotion",
        "sweeps" => "announce a sweep",
        "runs" if path.ends_with("/log.ndjson") => "write the log of an attempt",
        "runs" if path.ends_with("/outputs.json") => "write the outputs of an attempt",
        "runs" if path.ends_with("/metrics.ndjson") => "write the curves of an attempt",
        "runs" => "write a report of an attempt",
        _ => "write an object",
    }
}
