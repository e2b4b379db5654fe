//! Sends the log, the feedback and the record collections to the bucket's feeds, each row once.
//!
//! A segment closes when its oldest row is a minute old or ten thousand rows have come together, of eight mebibytes at most. Which rows
//! a segment holds and where it goes is written down first: who crashes in between makes the same object again. Of replicas on one
//! database one sends at a time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_artifacts::{Bucket, BucketError, feeds};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::keeper::StoreAt;
use super::logs::moment;
use super::store::{Feed, LoggedEntry, SEGMENT_ROWS, Store, StoreError, ToldTruth};
use crate::telemetry::Telemetry;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a row may wait for its segment, in milliseconds.
const AGE: i64 = 60_000;
/// How long another replica keeps away after the last look.
const LEASE: i64 = 120_000;
/// Rows read at once.
const PAGE: i64 = 500;

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// Sends what is new.
pub(super) struct Feeder {
    store: StoreAt,
    bucket: Bucket,
    telemetry: Arc<Telemetry>,
    owner: String,
}

impl Feeder {
    pub(super) fn new(store: StoreAt, bucket: Bucket, telemetry: Arc<Telemetry>) -> Feeder {
        Feeder {
            store,
            bucket,
            telemetry,
            owner: Uuid::now_v7().to_string(),
        }
    }

    /// Looks each second; once all is written, sends the rest and ends.
    pub(super) async fn run(self, mut all_written: watch::Receiver<bool>) {
        let mut trouble = None;
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep(PAUSE) => false,
                _ = all_written.wait_for(|written| *written) => true,
            };
            let outcome = self.look(last).await.map_err(|error| error.to_string()).err();
            if outcome != trouble {
                match &outcome {
                    Some(reason) => {
                        tracing::warn!(reason, "the feeds do not reach the bucket; what waits stays in the log")
                    }
                    None => tracing::info!("the feeds reach the bucket again"),
                }
            }
            self.telemetry.feeds_reachable(outcome.is_none());
            trouble = outcome;
            if last {
                return;
            }
        }
    }

    async fn look(&self, last: bool) -> Result<(), FeedError> {
        let store = self.store.get().await?;
        let collections = store.changed_collections().await?;
        let feeds = [Feed::Entries, Feed::Truths].into_iter();
        for feed in feeds.chain(collections.into_iter().map(Feed::Records)) {
            while self.send(&store, &feed, last).await? {}
            if last {
                store.release(&feed, &self.owner).await?;
            }
        }
        Ok(())
    }

    /// Sends one segment, if one is due. Whether more may follow.
    async fn send(&self, store: &Store, feed: &Feed, last: bool) -> Result<bool, FeedError> {
        let now = Timestamp::now().as_millisecond();
        let Some(claim) = store.claim(feed, &self.owner, now, now + LEASE).await? else {
            return Ok(false);
        };
        if let Some((until, path)) = claim.sending {
            let (lines, _) = self.lines(store, feed, claim.sent, until).await?;
            return self.write(store, feed, until, &path, lines).await;
        }
        let unfed = store.unfed(feed, claim.sent).await?;
        let full = unfed.rows >= SEGMENT_ROWS;
        if unfed.rows == 0 || !(full || last || now - unfed.oldest >= AGE) {
            return Ok(false);
        }
        let (lines, until) = self.lines(store, feed, claim.sent, i64::MAX).await?;
        let path = feeds::new_path(feed.collection())?;
        if !store.sending(feed, &self.owner, until, Some(&path)).await? {
            return Ok(false);
        }
        self.write(store, feed, until, &path, lines).await
    }

    async fn write(
        &self,
        store: &Store,
        feed: &Feed,
        until: i64,
        path: &str,
        lines: Vec<u8>,
    ) -> Result<bool, FeedError> {
        // What is there is this segment: an earlier try wrote it.
        let _ = feeds::write(&self.bucket, path, &lines).await?;
        self.telemetry.segment_sent();
        store.sending(feed, &self.owner, until, None).await?;
        if let Feed::Records(collection) = feed {
            store.forget_changes(collection, until).await?;
        }
        Ok(true)
    }

    /// The lines after `from`, up to `until` or until a segment is full, and the number of the last.
    async fn lines(&self, store: &Store, feed: &Feed, mut from: i64, until: i64) -> Result<(Vec<u8>, i64), StoreError> {
        let mut lines = Vec::new();
        // A segment that was begun has its end; a new one ends where it is full.
        while until != i64::MAX || lines.len() < feeds::SEGMENT_BYTES {
            let page: Vec<(i64, String)> = match feed {
                Feed::Entries => {
                    let page = store.entries_between(from, until, PAGE).await?;
                    page.iter().map(|entry| (entry.sequence, line_of(entry))).collect()
                }
                Feed::Truths => {
                    let page = store.truths_between(from, until, PAGE).await?;
                    let line = |told: ToldTruth| {
                        let line = json!({
                            "prediction_id": told.prediction, "truth": told.truth, "at": moment(told.at),
                            "caller": told.caller, "model": told.model, "version": told.version,
                        });
                        (told.sequence, line.to_string())
                    };
                    page.into_iter().map(line).collect()
                }
                Feed::Records(collection) => store.changes_between(collection, from, until, PAGE).await?,
            };
            let Some((last, _)) = page.last() else { break };
            from = *last;
            for (_, line) in &page {
                lines.extend_from_slice(line.as_bytes());
                lines.push(b'\n');
            }
        }
        Ok((lines, from))
    }
}

/// An entry as the feed tells it, without the inputs and the answer.
#[derive(Serialize)]
struct Head<'a> {
    id: &'a str,
    request: &'a str,
    at: String,
    microseconds: i64,
    path: &'a str,
    caller: Option<&'a str>,
    status: i64,
    error: Option<&'a str>,
    model: Option<&'a str>,
    version: Option<i64>,
    digest: Option<&'a str>,
    alias: Option<&'a str>,
    beside: Option<&'a str>,
}

/// An entry as the feed tells it. Inputs and answer are JSON already and go along as they are.
fn line_of(entry: &LoggedEntry) -> String {
    let head = Head {
        id: &entry.id,
        request: &entry.request,
        at: moment(entry.at),
        microseconds: entry.microseconds,
        path: &entry.path,
        caller: entry.caller.as_deref(),
        status: entry.status,
        error: entry.error.as_deref(),
        model: entry.model.as_deref(),
        version: entry.version,
        digest: entry.digest.as_deref(),
        alias: entry.alias.as_deref(),
        beside: entry.beside.as_deref(),
    };
    // A struct of texts and numbers can always be written.
    let mut line = serde_json::to_string(&head).unwrap_or_default();
    // Reopens the object.
    line.pop();
    line.push_str(",\"inputs\":");
    line.push_str(entry.inputs.as_deref().unwrap_or("null"));
    line.push_str(",\"answer\":");
    line.push_str(entry.answer.as_deref().unwrap_or("null"));
    line.push('}');
    line
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use ratchet_database::Address;

    use super::super::store::NewRow;
    use super::*;

    fn row(number: usize) -> NewRow {
        NewRow {
            id: format!("row-{number}"),
            status: 200,
            at: 1_000,
            ..NewRow::default()
        }
    }

    async fn lines(bucket: &Bucket, collection: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for path in feeds::list(bucket, collection, None).await.unwrap() {
            let content = feeds::read(bucket, &path).await.unwrap().unwrap();
            lines.extend(String::from_utf8(content).unwrap().lines().map(str::to_owned));
        }
        lines
    }

    #[tokio::test]
    async fn a_crash_after_the_segment_was_written_sends_nothing_twice() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(directory.path().join("bucket").to_str().unwrap())
            .await
            .unwrap();
        let store = Store::open(&Address::file(&directory.path().join("api.sqlite")))
            .await
            .unwrap();
        let at = StoreAt::of(store.clone());
        let crashed = Feeder::new(at.clone(), bucket.clone(), Arc::default());
        let rows: Vec<NewRow> = (0..100).map(row).collect();
        store.append(&rows[..60]).await.unwrap();
        // What the one that crashes does, up to the last step.
        let now = Timestamp::now().as_millisecond();
        store
            .claim(&Feed::Entries, &crashed.owner, now, now - 1)
            .await
            .unwrap()
            .unwrap();
        let (text, until) = crashed.lines(&store, &Feed::Entries, 0, i64::MAX).await.unwrap();
        let path = feeds::new_path("predictions").unwrap();
        assert!(
            store
                .sending(&Feed::Entries, &crashed.owner, until, Some(&path))
                .await
                .unwrap()
        );
        let _ = feeds::write(&bucket, &path, &text).await.unwrap();
        store.append(&rows[60..]).await.unwrap();
        let next = Feeder::new(at, bucket.clone(), Arc::default());
        next.look(false).await.unwrap();
        let sent = lines(&bucket, "predictions").await;
        assert_eq!(sent.len(), 100);
        for (number, line) in sent.iter().enumerate() {
            assert!(line.contains(&format!("\"row-{number}\"")), "{line}");
        }
        let other = store.sending(&Feed::Entries, &crashed.owner, 1, None).await.unwrap();
        assert!(!other, "whoever lost the right moves nothing back");
        assert!(lines(&bucket, "feedback").await.is_empty());
    }

    #[tokio::test]
    async fn a_segment_waits_until_it_is_old_or_full_or_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let bucket = Bucket::open(directory.path().join("bucket").to_str().unwrap())
            .await
            .unwrap();
        let store = Store::open(&Address::file(&directory.path().join("api.sqlite")))
            .await
            .unwrap();
        let feeder = Feeder::new(StoreAt::of(store.clone()), bucket.clone(), Arc::default());
        let young = |number| NewRow {
            at: Timestamp::now().as_millisecond(),
            inputs: Some(format!("\"{}\"", "x".repeat(1000))),
            ..row(number)
        };
        store.append(&[young(0)]).await.unwrap();
        feeder.look(false).await.unwrap();
        assert!(lines(&bucket, "predictions").await.is_empty());
        let many: Vec<NewRow> = (1..12_000).map(young).collect();
        store.append(&many).await.unwrap();
        feeder.look(false).await.unwrap();
        let sent = lines(&bucket, "predictions").await.len();
        assert!(
            (5000..12_000).contains(&sent),
            "a full one goes, the rest waits: {sent}"
        );
        feeder.look(true).await.unwrap();
        assert_eq!(lines(&bucket, "predictions").await.len(), 12_000);
    }
}
