//! `ratchet gc`, and the same once a day beside `ratchet serve`.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::purge::Purged;
use ratchet_artifacts::{Bucket, collections, purge};
use ratchet_core::plugin::Registry;
use ratchet_runtime::{Collect, Collected, Engine};
use serde_json::json;

use crate::arguments::{Format, Gc};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::{Retention, Settings};

/// The first time after the start of a service, and from then on.
const FIRST: Duration = Duration::from_secs(15 * 60);
/// A segment that is younger may still be on its way.
const PURGE_AFTER: SignedDuration = SignedDuration::from_hours(1);
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes what is to go and says what went.
pub async fn gc(arguments: Gc, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let engine = settings.open_engine(registry).await?;
    let what = Collect {
        runs_older_than: arguments
            .runs_older_than
            .or(settings.retention.as_ref().and_then(|kept| kept.runs)),
        whole_bucket: arguments.whole_bucket,
        dry_run: arguments.dry_run,
    };
    let collected = engine.collect(&what).await?;
    let purged = match arguments.purge {
        true => purge(engine.bucket(), what.dry_run).await?,
        false => Vec::new(),
    };
    match arguments.listing.format {
        Format::Json => output::document(&document(&what, &collected, &purged))?,
        Format::Text => {
            say(&what, &collected);
            say_purged(&what, &purged);
        }
    }
    if collected.busy {
        return Err(
            Failure::service("another process removes blobs from the bucket at the moment").help("try again later"),
        );
    }
    Ok(())
}

/// Deleted rows of every collection.
async fn purge(bucket: &Bucket, dry_run: bool) -> Result<Vec<(String, Purged)>, Failure> {
    let mut purged = Vec::new();
    for collection in collections::list(bucket).await? {
        let done = purge::purge(bucket, &collection, Timestamp::now() - PURGE_AFTER, dry_run).await?;
        purged.push((collection.name, done));
    }
    Ok(purged)
}

fn say_purged(what: &Collect, purged: &[(String, Purged)]) {
    for (collection, done) in purged {
        output::line(&format!(
            "{} {} of {collection} from {} of {}",
            if what.dry_run { "would purge" } else { "purged" },
            counted(done.rows, "deleted row"),
            done.rewritten,
            counted(done.segments, "segment")
        ));
    }
}

fn say(what: &Collect, collected: &Collected) {
    let mut rows = Listing::new(&["what", "name", "of", "size", "last"]);
    for run in &collected.runs {
        let last = describe::instant(run.finished_at);
        rows.row([
            "run".to_owned(),
            run.run.clone(),
            run.dag.clone(),
            describe::bytes(run.bytes),
            last,
        ]);
    }
    for stored in &collected.blobs {
        let last = describe::instant(stored.modified);
        let size = describe::bytes(stored.blob.bytes);
        rows.row(["blob".to_owned(), stored.blob.sha256.clone(), String::new(), size, last]);
    }
    table::print(&rows, "there is nothing to remove");
    if !rows.is_empty() {
        output::line(&format!(
            "\n{} {} and {}, {}",
            if what.dry_run { "would remove" } else { "removed" },
            counted(collected.runs.len(), "run"),
            counted(collected.blobs.len(), "blob"),
            describe::bytes(collected.bytes())
        ));
    }
    if collected.named_runs > 0 {
        output::line(&format!(
            "{} of that age stay: versions or promotions name them",
            counted(collected.named_runs, "run")
        ));
    }
    if collected.foreign_runs > 0 && !what.whole_bucket {
        output::error(&format!(
            "warning: the bucket holds {} that this database does not know, so no blob is removed; if no other engine \
             writes to it, add --whole-bucket",
            counted(collected.foreign_runs, "run")
        ));
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn document(what: &Collect, collected: &Collected, purged: &[(String, Purged)]) -> serde_json::Value {
    let purged: Vec<_> = purged
        .iter()
        .map(|(collection, done)| {
            json!({ "collection": collection, "rows": done.rows, "rewritten": done.rewritten, "segments": done.segments })
        })
        .collect();
    let runs: Vec<_> = collected
        .runs
        .iter()
        .map(|run| {
            json!({
                "run": run.run,
                "dag": run.dag,
                "status": run.status,
                "finished_at": run.finished_at,
                "objects": run.objects,
                "bytes": run.bytes,
            })
        })
        .collect();
    let blobs: Vec<_> = collected
        .blobs
        .iter()
        .map(|stored| json!({ "sha256": stored.blob.sha256, "bytes": stored.blob.bytes, "modified": stored.modified }))
        .collect();
    json!({
        "dry_run": what.dry_run,
        "runs": runs,
        "blobs": blobs,
        "bytes": collected.bytes(),
        "named_runs": collected.named_runs,
        "foreign_runs": collected.foreign_runs,
        "busy": collected.busy,
        "purged": purged,
    })
}

/// Collects once a day until it is dropped. A failure is told, and the next day tries again.
pub async fn daily(engine: Engine, retention: Retention) {
    let what = Collect {
        runs_older_than: retention.runs,
        ..Collect::default()
    };
    tokio::time::sleep(FIRST).await;
    loop {
        match engine.collect(&what).await {
            Ok(collected) => tracing::info!(
                runs = collected.runs.len(),
                blobs = collected.blobs.len(),
                bytes = collected.bytes(),
                "removed what is no longer kept"
            ),
            Err(error) => tracing::warn!(%error, "what is no longer kept could not be removed"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
