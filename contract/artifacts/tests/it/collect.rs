//! What nothing refers to goes, and nothing else, whoever writes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use proptest::prelude::*;
use ratchet_artifacts::collect::{StoredBlob, old_blobs, references, remove, remove_run_documents, run_documents};
use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::faults::FaultyStore;
use ratchet_artifacts::models;
use ratchet_artifacts::{BlobRef, Bucket, Expected, Lineage, PromotionLog};
use tempfile::TempDir;

use crate::support::{faulty, local, memory, model, promotion};

fn dataset(name: &str, files: Vec<BlobRef>, raw: Vec<BlobRef>, key: &str) -> NewDataset {
    NewDataset {
        name: name.to_owned(),
        files,
        raw,
        collected: None,
        rows: 1,
        columns: Vec::new(),
        lineage: Lineage::default(),
        key: key.to_owned(),
    }
}

async fn exists(bucket: &Bucket, blob: &BlobRef) -> bool {
    bucket.length(&blob.path().unwrap()).await.unwrap().is_some()
}

/// All that is older than now and that nothing in the bucket names.
async fn unreferenced(bucket: &Bucket, before: Timestamp) -> Vec<StoredBlob> {
    let mut old = old_blobs(bucket, before).await.unwrap();
    let named = references(bucket, &BTreeSet::new()).await.unwrap();
    old.retain(|stored| !named.digests.contains(&stored.blob.sha256));
    old
}

/// After every write so far, also where clocks count in milliseconds.
async fn later() -> Timestamp {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Timestamp::now()
}

#[tokio::test]
async fn what_any_document_names_is_kept_and_the_rest_goes() {
    let (_directory, bucket) = local().await;
    let put = |text: &'static str| {
        let bucket = bucket.clone();
        async move { bucket.put_blob(text.into()).await.unwrap() }
    };
    let (table, raw, report, orphan) = (
        put("table").await,
        put("raw").await,
        put("report").await,
        put("x").await,
    );
    let bundle = put("bundle 1").await;
    datasets::register(&bucket, dataset("d", vec![table.clone()], vec![raw.clone()], "r/t"))
        .await
        .unwrap();
    let version = models::register(&bucket, model("m", "bundle 1", "r/train"))
        .await
        .unwrap();
    let log = PromotionLog::new(bucket.clone());
    log.promote(promotion(&version, Expected::Champion(None)))
        .await
        .unwrap();
    let said = format!("{{\"message\":\"{}\"}}", orphan.sha256);
    for (path, content) in [
        (
            "runs/r/t/1/outputs.json",
            format!("{{\"report\":\"{}\"}}", report.sha256),
        ),
        ("runs/r/t/1/log.ndjson", said),
        ("feeds/rows/schema.json", "not even JSON".to_owned()),
    ] {
        let _ = bucket.create(path, content.into()).await.unwrap();
    }

    let before = later().await;
    let found = unreferenced(&bucket, before).await;
    assert_eq!(found.iter().map(|stored| &stored.blob).collect::<Vec<_>>(), [&orphan]);
    let removed = remove(&bucket, &found, before).await.unwrap().unwrap();
    assert_eq!(removed, found);
    assert!(!exists(&bucket, &orphan).await);
    for kept in [&table, &raw, &report, &bundle] {
        bucket.get_blob(kept).await.unwrap();
    }
    assert_eq!(
        bucket.list("sweeps").await.unwrap(),
        Vec::<String>::new(),
        "nothing is announced any more"
    );

    assert_eq!(run_documents(&bucket, "r").await.unwrap().0, 2);
    remove_run_documents(&bucket, "r").await.unwrap();
    let before = later().await;
    let found = unreferenced(&bucket, before).await;
    assert_eq!(found.iter().map(|stored| &stored.blob).collect::<Vec<_>>(), [&report]);
}

#[tokio::test]
async fn what_is_young_is_no_candidate_and_storing_it_again_makes_it_young() {
    let (_directory, on_disk) = local().await;
    for bucket in [memory(), on_disk] {
        let bucket = bucket.with_fresh(SignedDuration::ZERO);
        bucket.put_blob("again".into()).await.unwrap();
        let before = later().await;
        assert_eq!(old_blobs(&bucket, before).await.unwrap().len(), 1);
        let found = unreferenced(&bucket, before).await;
        // The clock of a file system may be a tick of the kernel behind.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let blob = bucket.put_blob("again".into()).await.unwrap();
        assert_eq!(old_blobs(&bucket, before).await.unwrap(), []);
        // Found old, and young when it is looked at again.
        assert_eq!(remove(&bucket, &found, before).await.unwrap(), Some(Vec::new()));
        assert!(exists(&bucket, &blob).await);
    }
}

#[tokio::test]
async fn an_hour_passes_before_content_is_written_again() {
    let bucket = memory();
    bucket.put_blob("once".into()).await.unwrap();
    let before = later().await;
    bucket.put_blob("once".into()).await.unwrap();
    assert_eq!(
        old_blobs(&bucket, before).await.unwrap().len(),
        1,
        "the first one is fresh enough"
    );
}

/// The worst moment: the sweep has seen an old blob, and its writer stores it again before it is removed.
#[tokio::test]
async fn a_blob_that_is_stored_between_the_last_look_and_the_removal_is_not_lost() {
    let inner = Arc::new(InMemory::new());
    let writer = Bucket::from_store(inner.clone(), "memory://writer").with_fresh(SignedDuration::ZERO);
    let blob = writer.put_blob("content".into()).await.unwrap();
    let before = later().await;

    let (told, heard) = tokio::sync::oneshot::channel();
    let rival = async move {
        let stored = tokio::spawn(async move { writer.put_blob("content".into()).await });
        // Its write is done, and it waits for the sweep that this very removal belongs to.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(
            !stored.is_finished(),
            "nobody is told that it is there before the sweep is over"
        );
        told.send(stored).unwrap();
    };
    let (sweeper, _) = faulty(&inner, |store: FaultyStore| store.before_next_delete(rival));
    let found = unreferenced(&sweeper, before).await;
    let removed = remove(&sweeper, &found, before).await.unwrap().unwrap();
    assert_eq!(removed.len(), 1, "it was removed, although it was young by then");

    let stored = heard.await.unwrap().await.unwrap().unwrap();
    assert_eq!(stored, blob);
    assert_eq!(sweeper.get_blob(&blob).await.unwrap(), "content", "and is there again");
}

#[tokio::test]
async fn one_sweep_at_a_time() {
    let inner = Arc::new(InMemory::new());
    let bucket = Bucket::from_store(inner.clone(), "memory://b");
    for content in ["a", "b"] {
        bucket.put_blob(content.into()).await.unwrap();
    }
    let before = later().await;
    let found = unreferenced(&bucket, before).await;
    let (second, rest) = (bucket.clone(), found.clone());
    let rival = async move { assert_eq!(remove(&second, &rest, before).await.unwrap(), None) };
    let (first, _) = faulty(&inner, |store| store.before_next_delete(rival));
    assert_eq!(remove(&first, &found, before).await.unwrap().unwrap().len(), 2);
}

/// As the engine has it, but for the lengths: what is younger than `KEPT` is left alone, what is older than `FRESH` is
/// written again, and a manifest follows within `KEPT`.
const KEPT: Duration = Duration::from_millis(400);
const FRESH: SignedDuration = SignedDuration::from_millis(40);

/// One writer: which content it stores, how long before it registers it, how long it rests then.
type Plan = Vec<(u8, u64, u64)>;

async fn write(bucket: Bucket, number: usize, plan: Plan, registered: Arc<AtomicU64>) {
    for (turn, (content, before, after)) in plan.into_iter().enumerate() {
        let key = format!("run{number}/{turn}");
        loop {
            let started = std::time::Instant::now();
            let blob = bucket.put_blob(vec![content; 100].into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(before)).await;
            // A writer who was asleep for longer than blobs are kept has no claim; the engine's has a day.
            if started.elapsed() < KEPT / 4 {
                let name = format!("table-{content}");
                datasets::register(&bucket, dataset(&name, vec![blob], Vec::new(), &key))
                    .await
                    .unwrap();
                registered.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(after)).await;
    }
}

/// Collects again and again; returns how many blobs went.
async fn collect(bucket: Bucket, end: Arc<AtomicBool>, pause: u64) -> usize {
    let mut gone = 0;
    while !end.load(Ordering::Relaxed) {
        let before = Timestamp::now() - SignedDuration::try_from(KEPT).unwrap();
        let found = unreferenced(&bucket, before).await;
        gone += remove(&bucket, &found, before).await.unwrap().unwrap_or_default().len();
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    gone
}

async fn nothing_reachable_is_lost(bucket: Bucket, plans: Vec<Plan>, orphans: u8, pause: u64) {
    let bucket = bucket.with_fresh(FRESH);
    // Old content that nobody refers to, some of which the writers are about to store again.
    for content in 0..orphans {
        bucket.put_blob(vec![content; 100].into()).await.unwrap();
    }
    tokio::time::sleep(KEPT).await;
    let (end, registered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sweeper = tokio::spawn(collect(bucket.clone(), end.clone(), pause));
    let writers: Vec<_> = plans
        .into_iter()
        .enumerate()
        .map(|(number, plan)| tokio::spawn(write(bucket.clone(), number, plan, registered.clone())))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    end.store(true, Ordering::Relaxed);
    sweeper.await.unwrap();

    let mut reachable = BTreeMap::new();
    for name in datasets::names(&bucket).await.unwrap() {
        for version in datasets::versions(&bucket, &name).await.unwrap() {
            for file in datasets::get(&bucket, &name, version).await.unwrap().unwrap().files {
                bucket
                    .get_blob(&file)
                    .await
                    .unwrap_or_else(|error| panic!("{name}@{version}: {error}"));
                reachable.insert(file.sha256.clone(), file);
            }
        }
    }
    assert!(registered.load(Ordering::Relaxed) > 0 && !reachable.is_empty());
    // And what is not reachable does go.
    let before = later().await;
    let found = unreferenced(&bucket, before).await;
    remove(&bucket, &found, before).await.unwrap().unwrap();
    let left = old_blobs(&bucket, later().await).await.unwrap();
    assert_eq!(left.len(), reachable.len());
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let turn = (0..8_u8, 0..20_u64, 0..60_u64);
    prop::collection::vec(prop::collection::vec(turn, 3..12), 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn whoever_writes_meanwhile_loses_nothing(plans in plans(), orphans in 0..12_u8, pause in 0..10_u64, on_disk: bool) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let directory: TempDir = tempfile::tempdir().unwrap();
            let bucket = if on_disk {
                Bucket::open(directory.path().to_str().unwrap()).await.unwrap()
            } else {
                memory()
            };
            nothing_reachable_is_lost(bucket, plans, orphans, pause).await;
        });
    }
}
