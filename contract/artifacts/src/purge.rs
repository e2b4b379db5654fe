//! Segments of record collections without the rows that were deleted.
//!
//! A tombstone takes a row away for whoever reads the feed; its content stays in the segment that brought it. [`purge`] writes such
//! segments once more without it, beside the old ones, and then removes these. Tombstones stay: they hold the key and nothing else.
//!
//! `<ulid>.ndjson.zst` becomes `<ulid>-1.ndjson.zst`, `-2` the next time, so that segments keep their order. Where two of one ULID
//! stand, the removal of the lower one was interrupted, and it goes now.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::collections::Collection;
use crate::{Bucket, BucketError, feeds};

/// What a purge did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Segments of the collection.
    pub segments: usize,
    /// Those of them that held deleted rows and were old enough.
    pub rewritten: usize,
    /// Lines with deleted rows that went.
    pub rows: usize,
}

/// A line, as far as this has to know it.
enum Line {
    Row(String),
    Tombstone(String),
    Other,
}

/// Removes the content of deleted rows from segments that were written before `before`: one that is younger may still be on its way.
///
/// # Errors
///
/// If a segment is damaged or the bucket fails. What was done stays done.
pub async fn purge(
    bucket: &Bucket,
    collection: &Collection,
    before: Timestamp,
    dry_run: bool,
) -> Result<Purged, BucketError> {
    let paths = feeds::list(bucket, &collection.name, None).await?;
    let mut purged = Purged::default();
    let mut newest: HashMap<&str, u32> = HashMap::new();
    for path in &paths {
        let (base, generation) = stem(path);
        let known = newest.entry(base).or_default();
        *known = generation.max(*known);
    }
    let (mut segments, replaced): (Vec<&String>, Vec<&String>) = paths.iter().partition(|path| {
        let (base, generation) = stem(path);
        newest.get(base) == Some(&generation)
    });
    if !dry_run {
        for path in replaced {
            bucket.remove(path).await?;
        }
    }
    // `-1` sorts before `.`: by their names alone segments of one millisecond could change places.
    segments.sort_by_key(|path| stem(path).0);
    purged.segments = segments.len();
    let mut deleted: HashMap<String, (usize, usize)> = HashMap::new();
    for (place, path) in segments.iter().enumerate() {
        for (number, line) in lines(&read(bucket, path).await?).enumerate() {
            if let Line::Tombstone(key) = kind(collection, line) {
                deleted.insert(key, (place, number));
            }
        }
    }
    for (place, path) in segments.iter().enumerate() {
        let old = bucket.object(path).await?.is_some_and(|found| found.modified < before);
        if !old || deleted.is_empty() {
            continue;
        }
        let content = read(bucket, path).await?;
        let mut kept = Vec::with_capacity(content.len());
        let mut gone = 0;
        for (number, line) in lines(&content).enumerate() {
            let dead = match kind(collection, line) {
                Line::Row(key) => deleted.get(&key).is_some_and(|last| (place, number) < *last),
                Line::Tombstone(_) | Line::Other => false,
            };
            if dead {
                gone += 1;
            } else {
                kept.extend_from_slice(line);
                kept.push(b'\n');
            }
        }
        if gone == 0 {
            continue;
        }
        purged.rewritten += 1;
        purged.rows += gone;
        if !dry_run {
            let (base, generation) = stem(path);
            let next = format!("{base}-{}{}", generation + 1, feeds::ENDING);
            let _ = feeds::write(bucket, &next, &kept).await?;
            bucket.remove(path).await?;
        }
    }
    Ok(purged)
}

async fn read(bucket: &Bucket, path: &str) -> Result<Vec<u8>, BucketError> {
    Ok(feeds::read(bucket, path).await?.unwrap_or_default())
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn kind(collection: &Collection, line: &[u8]) -> Line {
    let Ok(Value::Object(mut line)) = serde_json::from_slice(line) else {
        return Line::Other;
    };
    let mut object = |name: &str| match line.remove(name) {
        Some(Value::Object(fields)) => Some::<Map<String, Value>>(fields),
        _ => None,
    };
    if let Some(row) = object("row") {
        return Line::Row(collection.key_of(&row));
    }
    match object("delete") {
        Some(key) => Line::Tombstone(collection.key_of(&key)),
        None => Line::Other,
    }
}

/// The path up to the ULID, and how often it was rewritten.
fn stem(path: &str) -> (&str, u32) {
    let path = path.strip_suffix(feeds::ENDING).unwrap_or(path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.split_once('-') {
        Some((ulid, generation)) => {
            let length = if directory.is_empty() { 0 } else { directory.len() + 1 };
            (&path[..length + ulid.len()], generation.parse().unwrap_or(0))
        }
        None => (path, 0),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: i64, minutes: i64) -> String {
        json!({"row": {"id": id, "minutes": minutes}, "at": "2026-01-01T00:00:00Z", "by": "ada"}).to_string() + "\n"
    }

    fn tombstone(id: i64) -> String {
        json!({"delete": {"id": id}, "at": "2026-01-01T00:00:00Z"}).to_string() + "\n"
    }

    async fn all(bucket: &Bucket) -> Vec<String> {
        let mut found = Vec::new();
        for path in feeds::list(bucket, "deliveries", None).await.unwrap() {
            let content = feeds::read(bucket, &path).await.unwrap().unwrap();
            found.extend(
                String::from_utf8(content)
                    .unwrap()
                    .lines()
                    .map(|line| format!("{line}\n")),
            );
        }
        found
    }

    #[tokio::test]
    async fn deleted_rows_go_and_what_came_after_the_tombstone_stays() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(directory.path().to_str().unwrap()).await.unwrap();
        let collection = Collection {
            name: "deliveries".to_owned(),
            key: vec!["id".to_owned()],
            schema: json!({}),
        };
        let segments = [
            row(1, 10) + &row(2, 20) + &row(3, 30),
            row(4, 40),
            tombstone(2) + &row(2, 25) + &tombstone(1),
        ];
        let mut paths = Vec::new();
        for segment in &segments {
            let path = feeds::new_path("deliveries").unwrap();
            let _ = feeds::write(&bucket, &path, segment.as_bytes()).await.unwrap();
            paths.push(path);
        }
        let (past, later) = (
            Timestamp::now() - jiff::SignedDuration::from_hours(1),
            Timestamp::now() + jiff::SignedDuration::from_hours(1),
        );
        let young = purge(&bucket, &collection, past, false).await.unwrap();
        assert_eq!(
            young,
            Purged {
                segments: 3,
                rewritten: 0,
                rows: 0
            }
        );
        let found = Purged {
            segments: 3,
            rewritten: 1,
            rows: 2,
        };
        assert_eq!(purge(&bucket, &collection, later, true).await.unwrap(), found);
        assert_eq!(all(&bucket).await.len(), 7, "a dry run leaves all as it is");
        assert_eq!(purge(&bucket, &collection, later, false).await.unwrap(), found);
        let expected = [row(3, 30), row(4, 40), tombstone(2), row(2, 25), tombstone(1)];
        assert_eq!(all(&bucket).await, expected);
        // As after a crash between the new segment and the removal of the old one.
        let _ = feeds::write(&bucket, &paths[0], segments[0].as_bytes()).await.unwrap();
        let again = purge(&bucket, &collection, later, false).await.unwrap();
        assert_eq!(
            again,
            Purged {
                segments: 3,
                rewritten: 0,
                rows: 0
            }
        );
        assert_eq!(all(&bucket).await, expected);
    }

    #[test]
    fn a_stem_is_the_path_up_to_the_ulid() {
        assert_eq!(
            stem("feeds/a/2026-01-02/01AB.ndjson.zst"),
            ("feeds/a/2026-01-02/01AB", 0)
        );
        assert_eq!(
            stem("feeds/a/2026-01-02/01AB-2.ndjson.zst"),
            ("feeds/a/2026-01-02/01AB", 2)
        );
    }
}
