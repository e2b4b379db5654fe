//! Objects outside of the bucket that somebody watches.

use jiff::Timestamp;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::error::Trouble;
use crate::{BucketError, location};

/// What a store says about an object without giving its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The store's word for this content.
    pub etag: Option<String>,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Asks for an object at `s3://bucket/key`, with `options` (`AWS_*` names) over the environment; `None` if none is
/// there. Its content is not read.
///
/// # Errors
///
/// If the address names no object, or the store does not answer or refuses.
pub async fn look(url: &str, options: &[(&str, &str)]) -> Result<Option<Found>, BucketError> {
    let named = url
        .strip_prefix("s3://")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
    let Some((bucket, key)) = named else {
        return Err(BucketError::InvalidUrl {
            url: url.to_owned(),
            detail: "it names no object; write s3://bucket/path/to/file.csv".to_owned(),
        });
    };
    let opened = location::open(&format!("s3://{bucket}"), options)?;
    let path = Path::parse(key).map_err(|error| BucketError::from_store(url, key, &error.into()))?;
    match opened.store.head(&path).await {
        Ok(found) => Ok(Some(Found {
            etag: found.e_tag,
            bytes: found.size,
            modified: Timestamp::from_millisecond(found.last_modified.timestamp_millis()).unwrap_or_default(),
        })),
        Err(error) if Trouble::of(&error) == Trouble::Missing => Ok(None),
        Err(error) => Err(BucketError::from_store(&opened.url, key, &error)),
    }
}
