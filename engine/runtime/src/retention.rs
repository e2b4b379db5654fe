//! What is kept, and what goes: runs that ended long ago with their logs, and blobs that nothing refers to.
//!
//! Three things are never touched: what a version or a promotion refers to, what is younger than a day, and what a run
//! wrote that has not ended. A run is removed from the bucket first and from the database last, so that whoever is
//! interrupted finds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::collect::{self, StoredBlob};
use ratchet_core::state::RunStatus;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::store::EndedRun;

/// Nothing younger goes.
pub const LEAST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the clocks of the engine and of the bucket may differ.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// What is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collect {
    /// Runs that ended longer ago, at least a day; none keeps all.
    pub runs_older_than: Option<Duration>,
    /// Blobs also where the bucket holds runs that this database does not know.
    pub whole_bucket: bool,
    /// Nothing goes; what would go is told.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// Runs with what they left in the bucket.
    pub runs: Vec<CollectedRun>,
    /// Runs that are old enough and stay because a version or a promotion names them.
    pub named_runs: usize,
    /// Blobs that nothing refers to.
    pub blobs: Vec<StoredBlob>,
    /// Runs in the bucket that this database does not know: another engine may be writing blobs that nothing here
    /// refers to yet. Unless the whole bucket was asked for, no blob goes then.
    pub foreign_runs: usize,
    /// Another process removes blobs at the moment, so that none went.
    pub busy: bool,
}

/// A run that goes.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectedRun {
    /// Its id.
    pub run: String,
    /// Its DAG.
    pub dag: String,
    /// How it ended.
    pub status: RunStatus,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Objects under `runs/` in the bucket: logs, curves, reports, outputs.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Collected {
    /// Bytes of the bucket that go.
    pub fn bytes(&self) -> u64 {
        let runs: u64 = self.runs.iter().map(|run| run.bytes).sum();
        runs + self.blobs.iter().map(|stored| stored.blob.bytes).sum::<u64>()
    }
}

impl Engine {
    /// Removes what is to go, or tells what would. Of each DAG the newest run and the newest that succeeded stay
    /// whatever their age: parts of a DAG are run on what these left.
    ///
    /// # Errors
    ///
    /// If the database or the bucket fails. What was removed by then is whole: a run without its logs is found again.
    pub async fn collect(&self, what: &Collect) -> Result<Collected, EngineError> {
        let mut collected = Collected::default();
        if let Some(age) = what.runs_older_than {
            self.collect_runs(age, what.dry_run, &mut collected).await?;
        }
        self.collect_blobs(what, &mut collected).await?;
        Ok(collected)
    }

    async fn collect_runs(&self, age: Duration, dry_run: bool, collected: &mut Collected) -> Result<(), EngineError> {
        let before = Timestamp::now() - SignedDuration::try_from(age.max(LEAST_AGE)).unwrap_or(SignedDuration::MAX);
        let ended = self.store().ended_runs().await?;
        let needed = newest(&ended);
        let named = collect::references(self.bucket(), &BTreeSet::new()).await?.runs;
        for run in ended
            .iter()
            .filter(|run| run.finished_at < before && !needed.contains(&run.id))
        {
            if named.contains(&run.id) {
                collected.named_runs += 1;
                continue;
            }
            let (objects, bytes) = collect::run_documents(self.bucket(), &run.id).await?;
            if !dry_run {
                collect::remove_run_documents(self.bucket(), &run.id).await?;
                if !self.store().remove_run(&run.id).await? {
                    continue;
                }
            }
            collected.runs.push(CollectedRun {
                run: run.id.clone(),
                dag: run.dag.clone(),
                status: run.status,
                finished_at: run.finished_at,
                objects,
                bytes,
            });
        }
        Ok(())
    }

    /// The order of the looks is that of [`ratchet_artifacts::collect`]: candidates, then what is referred to.
    async fn collect_blobs(&self, what: &Collect, collected: &mut Collected) -> Result<(), EngineError> {
        let known = self.store().run_ids().await?;
        for run in self.bucket().directories("runs").await? {
            // On a file system a removed run leaves its empty directories.
            if !known.contains(&run) && collect::run_documents(self.bucket(), &run).await?.0 > 0 {
                collected.foreign_runs += 1;
            }
        }
        if collected.foreign_runs > 0 && !what.whole_bucket {
            return Ok(());
        }
        let day_ago = Timestamp::now() - SignedDuration::try_from(LEAST_AGE).unwrap_or(SignedDuration::MAX);
        // Whatever an unfinished run stored, it stored after it was made.
        let unfinished = self.store().oldest_unfinished().await?.map(|made| made - SKEW);
        let before = unfinished.map_or(day_ago, |made| made.min(day_ago));
        let mut blobs = collect::old_blobs(self.bucket(), before).await?;
        if blobs.is_empty() {
            return Ok(());
        }
        // What goes with its run refers to nothing any more; in a dry run it is still there.
        let gone: BTreeSet<String> = collected.runs.iter().map(|run| run.run.clone()).collect();
        let mut referenced = collect::references(self.bucket(), &gone).await?.digests;
        referenced.extend(self.store().referenced_digests(&gone).await?);
        blobs.retain(|stored| !referenced.contains(&stored.blob.sha256));
        if what.dry_run {
            collected.blobs = blobs;
            return Ok(());
        }
        match collect::remove(self.bucket(), &blobs, before).await? {
            Some(removed) => collected.blobs = removed,
            None => collected.busy = true,
        }
        Ok(())
    }
}

/// Of each DAG the newest run, and the newest that succeeded. `ended` begins with the oldest.
fn newest(ended: &[EndedRun]) -> BTreeSet<String> {
    let mut kept: BTreeMap<(&str, bool), &str> = BTreeMap::new();
    for run in ended {
        kept.insert((&run.dag, false), &run.id);
        if run.status == RunStatus::Succeeded {
            kept.insert((&run.dag, true), &run.id);
        }
    }
    kept.into_values().map(str::to_owned).collect()
}
