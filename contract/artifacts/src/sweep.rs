//! Which blobs are being removed right now, for those who write them at the same time.
//!
//! A store cannot remove an object 'only if it is still old'. So a sweep first says in the bucket which digests it is
//! about to remove, then looks at each one's age again, removes it if it is still old, and at last takes back what it
//! said. A writer who finds an old blob writes it once more, which makes it young, and then waits until no sweep names
//! it and looks whether it is still there. In whatever order the steps of the two fall, either the sweep sees a young
//! blob, or the writer sees that it is gone and writes it again.
//!
//! Only one sweep is under way at a time: it takes the next number by a create that fails where an object is.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::versions::{decode, encode};
use crate::{Bucket, BucketError, Created};

const DIRECTORY: &str = "sweeps";

/// A sweep removes nothing once so much time has passed since it said what it would remove.
const LIMIT: SignedDuration = SignedDuration::from_mins(10);

/// A sweep that was announced longer ago is over, whatever became of it. The difference to [`LIMIT`] is for clocks that
/// do not agree.
const OVER: SignedDuration = SignedDuration::from_mins(30);

/// How often a writer looks whether a sweep is over.
const LOOK: Duration = Duration::from_millis(100);

/// `sweeps/<20 digits>.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Announcement {
    format: u32,
    digests: Vec<String>,
}

/// A sweep that is under way. What it announced has to be taken back by [`Sweep::close`].
#[derive(Debug)]
pub(crate) struct Sweep {
    path: String,
    until: Timestamp,
}

impl Sweep {
    /// Says that these digests are about to be removed; none if another sweep is under way.
    pub(crate) async fn announce(bucket: &Bucket, digests: Vec<String>) -> Result<Option<Self>, BucketError> {
        let known = bucket.objects(DIRECTORY).await?;
        if known.iter().any(|found| !is_over(found.modified)) {
            return Ok(None);
        }
        let last = known.iter().filter_map(|found| number_in(&found.path)).max();
        let path = format!("{DIRECTORY}/{:020}.json", last.unwrap_or(0) + 1);
        let until = Timestamp::now() + LIMIT;
        let content = encode(bucket, &path, &Announcement { format: 1, digests })?;
        if bucket.create(&path, content).await? == Created::Exists {
            return Ok(None);
        }
        // Left by sweeps whose process was killed. Not before: the newest of them gave this one its number.
        for found in known {
            bucket.remove(&found.path).await?;
        }
        Ok(Some(Self { path, until }))
    }

    /// True while it may still remove what it announced.
    pub(crate) fn may_remove(&self) -> bool {
        Timestamp::now() < self.until
    }

    /// It removes nothing any more.
    pub(crate) async fn close(self, bucket: &Bucket) -> Result<(), BucketError> {
        bucket.remove(&self.path).await
    }
}

/// Waits until no sweep is under way that names the digest.
pub(crate) async fn wait(bucket: &Bucket, digest: &str) -> Result<(), BucketError> {
    while names(bucket, digest).await? {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn names(bucket: &Bucket, digest: &str) -> Result<bool, BucketError> {
    for found in bucket.objects(DIRECTORY).await? {
        if is_over(found.modified) {
            continue;
        }
        let content: Option<Bytes> = bucket.get(&found.path).await?;
        // Closed meanwhile.
        let Some(content) = content else { continue };
        let announcement: Announcement = decode(bucket, &found.path, &content)?;
        if announcement.digests.iter().any(|named| named == digest) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_over(announced: Timestamp) -> bool {
    announced.duration_until(Timestamp::now()) > OVER
}

fn number_in(path: &str) -> Option<u64> {
    path.strip_prefix(DIRECTORY)?
        .strip_prefix('/')?
        .strip_suffix(".json")?
        .parse()
        .ok()
}
