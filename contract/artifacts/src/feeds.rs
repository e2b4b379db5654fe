//! `feeds/<collection>/<date>/<ulid>.ndjson.zst`: what serving saw and was told, for the next training.
//!
//! A feed is a collection of segments: a JSON object on each line, compressed. A replica collects lines and writes them as one segment
//! when a minute has passed or eight mebibytes have come together. A segment is written once and never changed. Whoever writes it
//! chooses its path first and keeps it, so that writing it again after a crash makes the same object and not a second one.
//!
//! The day in the path is that on which the segment was begun, and the ULID begins with the millisecond: paths in alphabetical order
//! are segments in the order of time.

use std::io::Read;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::monitoring::ulid;
use crate::names::check_name;
use crate::{Bucket, BucketError, Created};

/// Directory in the bucket.
const DIRECTORY: &str = "feeds";
/// What a segment's name ends with.
pub(crate) const ENDING: &str = ".ndjson.zst";
/// Lines that come together before a segment is written, in bytes before compression.
pub const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// Longest segment that is read, in bytes after decompression: what a small file may unfold to has to end somewhere.
const READ_BYTES: u64 = 256 * 1024 * 1024;
/// zstd's usual level: a tenth of the size in a millisecond for each megabyte.
const LEVEL: i32 = 3;

/// A path for a segment of `collection` that is begun now.
///
/// # Errors
///
/// If the collection's name is none.
pub fn new_path(collection: &str) -> Result<String, BucketError> {
    check_name("collection", collection)?;
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date();
    Ok(format!(
        "{DIRECTORY}/{collection}/{day}/{}{ENDING}",
        ulid(Uuid::now_v7())
    ))
}

/// Writes a segment. What is there already was written by an earlier try.
///
/// # Errors
///
/// If it cannot be compressed or the bucket fails.
pub async fn write(bucket: &Bucket, path: &str, lines: &[u8]) -> Result<Created, BucketError> {
    let content = zstd::encode_all(lines, LEVEL).map_err(|error| refused(bucket, path, &error.to_string()))?;
    bucket.create(path, Bytes::from(content)).await
}

/// Paths of a collection's segments that were begun on the day `since` or later (none: all), oldest first.
///
/// # Errors
///
/// If the collection's name is none or the bucket fails.
pub async fn list(bucket: &Bucket, collection: &str, since: Option<Date>) -> Result<Vec<String>, BucketError> {
    check_name("collection", collection)?;
    let mut paths = Vec::new();
    for day in bucket.directories(&format!("{DIRECTORY}/{collection}")).await? {
        let wanted = |day: Date| since.is_none_or(|since| day >= since);
        if day.parse::<Date>().is_ok_and(wanted) {
            let listed = bucket.list(&format!("{DIRECTORY}/{collection}/{day}")).await?;
            paths.extend(listed.into_iter().filter(|path| path.ends_with(ENDING)));
        }
    }
    Ok(paths)
}

/// The lines of a segment; `None` if there is none at `path`.
///
/// # Errors
///
/// If it is damaged or unfolds to more than 256 MiB, or the bucket fails.
pub async fn read(bucket: &Bucket, path: &str) -> Result<Option<Vec<u8>>, BucketError> {
    let Some(content) = bucket.get(path).await? else {
        return Ok(None);
    };
    let damaged = |error: std::io::Error| refused(bucket, path, &format!("the segment is damaged: {error}"));
    let mut lines = Vec::new();
    let reader = zstd::Decoder::new(content.as_ref()).map_err(damaged)?;
    reader.take(READ_BYTES + 1).read_to_end(&mut lines).map_err(damaged)?;
    if lines.len() as u64 > READ_BYTES {
        return Err(refused(bucket, path, "the segment unfolds to more than 256 MiB"));
    }
    Ok(Some(lines))
}

fn refused(bucket: &Bucket, path: &str, detail: &str) -> BucketError {
    BucketError::Refused {
        url: bucket.url().to_owned(),
        path: path.to_owned(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_segment_comes_back_and_writing_it_again_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(directory.path().to_str().unwrap()).await.unwrap();
        let (first, second) = (new_path("predictions").unwrap(), new_path("predictions").unwrap());
        assert!(first < second && first.starts_with("feeds/predictions/20"));
        let lines = b"{\"a\":1}\n{\"a\":2}\n".repeat(1000);
        assert_eq!(write(&bucket, &first, &lines).await.unwrap(), Created::New);
        assert_eq!(write(&bucket, &first, &lines).await.unwrap(), Created::Exists);
        assert_eq!(write(&bucket, &second, b"").await.unwrap(), Created::New);
        assert_eq!(
            list(&bucket, "predictions", None).await.unwrap(),
            [first.clone(), second.clone()]
        );
        let tomorrow = Timestamp::now().to_zoned(TimeZone::UTC).date().tomorrow().unwrap();
        assert!(list(&bucket, "predictions", Some(tomorrow)).await.unwrap().is_empty());
        assert_eq!(read(&bucket, &first).await.unwrap().unwrap(), lines);
        assert!(bucket.length(&first).await.unwrap().unwrap() < 1000);
        assert_eq!(read(&bucket, &second).await.unwrap().unwrap(), b"");
        assert_eq!(read(&bucket, "feeds/predictions/none").await.unwrap(), None);
        let _ = bucket
            .create("feeds/predictions/broken", "no zstd".into())
            .await
            .unwrap();
        let message = read(&bucket, "feeds/predictions/broken").await.unwrap_err().to_string();
        assert!(message.contains("damaged"), "{message}");
        assert!(new_path("No Name").is_err());
    }
}
