//! Several writers at once: exactly one entry each, none lost, and no decision on a state that is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use object_store::memory::InMemory;
use ratchet_artifacts::faults::Fault;
use ratchet_artifacts::{Bucket, Expected, ModelManifest, PromotionEntry, PromotionError, PromotionLog, models};

use crate::support::{champion, faulty, local, model, promotion, register_models};

/// A bad day: no create passes at the first try.
const BAD_DAY: [Option<Fault>; 7] = [
    Some(Fault::Conflict),
    Some(Fault::LostAnswer),
    None,
    Some(Fault::Unavailable),
    Some(Fault::PreconditionFailed),
    Some(Fault::ExistsByItself),
    None,
];

/// What a run does: compare with the champion of the moment, promote, and compare again if it changed.
async fn compare_and_promote(bucket: Bucket, manifest: ModelManifest) -> PromotionEntry {
    let log = PromotionLog::new(bucket);
    loop {
        let head = log.head().await.unwrap();
        let met = head
            .as_ref()
            .and_then(|head| head.holder("m", "champion"))
            .map(|holder| holder.digest.clone());
        match log.promote(promotion(&manifest, Expected::Champion(met))).await {
            Ok(appended) => {
                assert!(appended.new, "a key of its own is new");
                return appended.entry;
            }
            Err(PromotionError::ChampionChanged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Lets each of `writers` promote a version of its own and checks the log that results.
async fn race(writers: Vec<Bucket>) {
    let versions = register_models(&writers[0], writers.len() as u64).await;
    let runs = writers
        .iter()
        .cloned()
        .zip(versions)
        .map(|(bucket, own)| tokio::spawn(compare_and_promote(bucket, own)));
    let mut appended: Vec<PromotionEntry> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
    appended.sort_by_key(|entry| entry.number);

    let log = PromotionLog::new(writers[0].clone()).entries().await.unwrap();
    assert_eq!(
        log, appended,
        "exactly one entry for each writer, none lost, and each writer saw its own"
    );
    for entry in &log {
        let before = entry.previous.as_ref().map(|holder| holder.digest.clone());
        assert_eq!(
            entry.expected_champion, before,
            "no entry rests on a champion that no longer held"
        );
    }
}

/// Lets all of `writers` promote on the same comparison: one of them gets through.
async fn race_on_one_comparison(writers: Vec<Bucket>) {
    let versions = register_models(&writers[0], writers.len() as u64).await;
    let runs = writers.iter().cloned().zip(versions).map(|(bucket, own)| {
        tokio::spawn(async move {
            PromotionLog::new(bucket)
                .promote(promotion(&own, Expected::Champion(None)))
                .await
        })
    });
    let results: Vec<_> = join_all(runs).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(error, PromotionError::ChampionChanged { .. }), "{error}");
    }
    assert_eq!(PromotionLog::new(writers[0].clone()).entries().await.unwrap().len(), 1);
}

async fn local_writers(count: usize) -> (tempfile::TempDir, Vec<Bucket>) {
    let (directory, first) = local().await;
    // Opened on their own, as by processes of their own.
    let opened = join_all((0..count).map(|_| Bucket::open(first.url()))).await;
    (directory, opened.into_iter().map(Result::unwrap).collect())
}

/// Each with faults of its own at other moments, on one store.
fn faulty_writers(count: usize) -> Vec<Bucket> {
    let inner = Arc::new(InMemory::new());
    (0..count)
        .map(|writer| {
            let pattern = (0..BAD_DAY.len()).map(move |at| BAD_DAY[(at + writer) % BAD_DAY.len()]);
            faulty(&inner, |store| store.on_creates_forever(pattern)).0
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn promoters_race_on_the_local_store() {
    for count in [2, 2, 2, 8, 8] {
        let (_directory, writers) = local_writers(count).await;
        race(writers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn promoters_race_on_a_store_that_fails() {
    for count in [2, 2, 2, 8, 8] {
        race(faulty_writers(count)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_promoters_with_one_comparison_one_gets_through() {
    for count in [2, 2, 2, 8, 8] {
        let (_directory, writers) = local_writers(count).await;
        race_on_one_comparison(writers).await;
        race_on_one_comparison(faulty_writers(count)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn registrations_race_for_numbers() {
    let (_directory, mut writers) = local_writers(4).await;
    for round in [&mut writers, &mut faulty_writers(4)] {
        let registered = join_all((0..16).map(|number| {
            let bucket = round[number % 4].clone();
            // Each key twice: a retry while the first try is still under way.
            let key = format!("run{}/train", number / 2);
            tokio::spawn(async move { models::register(&bucket, model("m", "x", &key)).await.unwrap() })
        }))
        .await;
        let seen: BTreeSet<(String, u64)> = registered
            .into_iter()
            .map(Result::unwrap)
            .map(|manifest| (manifest.key, manifest.version))
            .collect();
        assert_eq!(seen.len(), 8, "one version for each key: {seen:?}");
        assert_eq!(
            models::versions(&round[0], "m").await.unwrap(),
            (1..=8).collect::<Vec<_>>()
        );
    }
}

/// Versions 1 to 4 registered, 1 to 3 promoted; and a store on which `rival` comes first at the next create.
async fn with_rival<F, R>(rival: F) -> (PromotionLog, Vec<ModelManifest>)
where
    F: FnOnce(PromotionLog, Vec<ModelManifest>) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let inner = Arc::new(InMemory::new());
    let (calm, _) = faulty(&inner, |store| store);
    let log = PromotionLog::new(calm.clone());
    let versions = register_models(&calm, 4).await;
    for manifest in &versions[..3] {
        log.promote(promotion(manifest, Expected::Any)).await.unwrap();
    }
    let rival = rival(log, versions.clone());
    let (bucket, _) = faulty(&inner, |store| store.before_next_create(rival));
    (PromotionLog::new(bucket), versions)
}

#[tokio::test]
async fn a_promotion_overtaken_by_a_rollback_is_refused() {
    let (log, versions) = with_rival(|log, _| async move {
        log.rollback("m", "champion", "nadia", "", "rival").await.unwrap();
    })
    .await;
    let error = log
        .promote(promotion(&versions[3], champion(&versions[2])))
        .await
        .unwrap_err();
    assert!(matches!(error, PromotionError::ChampionChanged { .. }), "{error}");
    assert_eq!(log.head().await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_promotion_overtaken_on_another_alias_goes_on() {
    let (log, versions) = with_rival(|log, versions| async move {
        let mut staging = promotion(&versions[3], Expected::Any);
        (staging.alias, staging.key) = ("staging".to_owned(), "rival".to_owned());
        log.promote(staging).await.unwrap();
    })
    .await;
    let entry = log
        .promote(promotion(&versions[3], champion(&versions[2])))
        .await
        .unwrap()
        .entry;
    assert_eq!(entry.number, 5);
    assert_eq!(
        entry.holder("m", "staging"),
        entry.holder("m", "champion"),
        "the rival's alias is kept"
    );
    assert_eq!(log.entries().await.unwrap().len(), 5);
}

#[tokio::test]
async fn two_rollbacks_at_once_go_back_one_step() {
    let (log, _) = with_rival(|log, _| async move {
        log.rollback("m", "champion", "nadia", "", "rival").await.unwrap();
    })
    .await;
    let error = log.rollback("m", "champion", "omar", "", "mine").await.unwrap_err();
    assert!(matches!(error, PromotionError::ChampionChanged { .. }), "{error}");
    assert_eq!(log.head().await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_retry_overtaken_by_its_own_first_try_takes_that_entry() {
    let (log, versions) = with_rival(|log, versions| async move {
        log.promote(promotion(&versions[3], champion(&versions[2])))
            .await
            .unwrap();
    })
    .await;
    let appended = log
        .promote(promotion(&versions[3], champion(&versions[2])))
        .await
        .unwrap();
    assert!(!appended.new);
    assert_eq!(log.entries().await.unwrap().len(), 4);
}
