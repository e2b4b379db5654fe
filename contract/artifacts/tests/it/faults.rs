//! Each fault of a conditional create leads to one version and one entry, never to two and never to none.

use std::sync::Arc;

use object_store::memory::InMemory;
use ratchet_artifacts::faults::Fault;
use ratchet_artifacts::{BucketError, Created, Expected, PromotionError, PromotionLog, models};

use crate::support::{champion, faulty, model, promotion, register_models};

const ALL: [Fault; 5] = [
    Fault::Conflict,
    Fault::PreconditionFailed,
    Fault::Unavailable,
    Fault::LostAnswer,
    Fault::ExistsByItself,
];

#[tokio::test]
async fn a_create_says_exists_only_of_what_is_there() {
    for fault in ALL {
        let (bucket, store) = faulty(&Arc::new(InMemory::new()), |store| store.on_creates([Some(fault)]));
        let created = bucket.create("a/1.json", "content".into()).await.unwrap();
        assert_eq!(store.injected(), 1);
        let was_written = matches!(fault, Fault::LostAnswer | Fault::ExistsByItself);
        assert_eq!(
            created,
            if was_written { Created::Exists } else { Created::New },
            "{fault:?}"
        );
        assert_eq!(bucket.get("a/1.json").await.unwrap().unwrap(), "content", "{fault:?}");
    }
}

#[tokio::test]
async fn a_registration_survives_each_fault() {
    for fault in ALL {
        let (bucket, _) = faulty(&Arc::new(InMemory::new()), |store| {
            store.on_creates([Some(fault), None, Some(fault)])
        });
        for key in ["run1/train", "run2/train"] {
            models::register(&bucket, model("m", "x", key)).await.unwrap();
        }
        assert_eq!(models::versions(&bucket, "m").await.unwrap(), [1, 2], "{fault:?}");
    }
}

#[tokio::test]
async fn a_promotion_survives_each_fault_and_knows_its_own_entry() {
    for fault in ALL {
        let inner = Arc::new(InMemory::new());
        let (calm, _) = faulty(&inner, |store| store);
        let versions = register_models(&calm, 2).await;
        let (bucket, store) = faulty(&inner, |store| store.on_creates([Some(fault), Some(fault)]));
        let log = PromotionLog::new(bucket);
        let first = log
            .promote(promotion(&versions[0], Expected::Champion(None)))
            .await
            .unwrap();
        let second = log
            .promote(promotion(&versions[1], champion(&versions[0])))
            .await
            .unwrap();
        assert!(first.new && second.new, "{fault:?}");
        assert_eq!(store.injected(), 2);
        assert_eq!(log.entries().await.unwrap(), [first.entry, second.entry], "{fault:?}");
    }
}

#[tokio::test]
async fn a_rollback_survives_each_fault_and_goes_back_one_step() {
    for fault in ALL {
        let inner = Arc::new(InMemory::new());
        let (calm, _) = faulty(&inner, |store| store);
        let versions = register_models(&calm, 3).await;
        for manifest in &versions {
            PromotionLog::new(calm.clone())
                .promote(promotion(manifest, Expected::Any))
                .await
                .unwrap();
        }
        let (bucket, _) = faulty(&inner, |store| store.on_creates([Some(fault)]));
        let log = PromotionLog::new(bucket);
        let rolled = log.rollback("m", "champion", "nadia", "", "back").await.unwrap();
        assert_eq!((rolled.new, rolled.entry.version), (true, 2), "{fault:?}");
        assert_eq!(log.entries().await.unwrap().len(), 4, "{fault:?}");
    }
}

#[tokio::test]
async fn a_promotion_that_gave_up_is_found_by_its_key() {
    let inner = Arc::new(InMemory::new());
    let (calm, _) = faulty(&inner, |store| store);
    let versions = register_models(&calm, 1).await;

    // Written, but neither that answer nor any later one arrives.
    let (bucket, _) = faulty(&inner, |store| {
        store
            .on_creates([Some(Fault::LostAnswer)])
            .on_creates_forever([Some(Fault::Unavailable)])
    });
    let attempt = promotion(&versions[0], Expected::Champion(None));
    let error = PromotionLog::new(bucket).promote(attempt.clone()).await.unwrap_err();
    assert!(
        matches!(error, PromotionError::Bucket(BucketError::Unavailable { .. })) && error.may_retry(),
        "{error}"
    );

    let log = PromotionLog::new(calm);
    let again = log.promote(attempt).await.unwrap();
    assert!(!again.new, "the first try was carried out");
    assert_eq!(log.entries().await.unwrap(), [again.entry]);
}

#[tokio::test]
async fn a_store_that_never_answers_is_an_error_that_may_be_retried() {
    let (bucket, _) = faulty(&Arc::new(InMemory::new()), |store| {
        store.on_creates_forever([Some(Fault::Unavailable)])
    });
    let error = models::register(&bucket, model("m", "x", "k")).await.unwrap_err();
    assert!(
        matches!(error, BucketError::Unavailable { .. }) && error.may_retry(),
        "{error}"
    );
    assert!(
        error.to_string().contains("models/m/1.json") && error.to_string().contains("503"),
        "{error}"
    );
    assert_eq!(models::versions(&bucket, "m").await.unwrap(), Vec::<u64>::new());
}

#[tokio::test]
async fn a_store_that_only_says_exists_is_an_error_and_no_endless_loop() {
    let (bucket, _) = faulty(&Arc::new(InMemory::new()), |store| {
        store.on_creates_forever([Some(Fault::Conflict)])
    });
    let error = bucket.create("a/1.json", "content".into()).await.unwrap_err();
    assert!(
        matches!(error, BucketError::Unstable { .. }) && error.may_retry(),
        "{error}"
    );
}

#[tokio::test]
async fn reads_are_tried_again() {
    let inner = Arc::new(InMemory::new());
    let (bucket, store) = faulty(&inner, |store| {
        store.on_reads([
            Some(Fault::Unavailable),
            Some(Fault::LostAnswer),
            None,
            Some(Fault::Unavailable),
        ])
    });
    assert_eq!(bucket.create("a/1.json", "content".into()).await.unwrap(), Created::New);
    assert_eq!(bucket.get("a/1.json").await.unwrap().unwrap(), "content");
    assert_eq!(bucket.length("a/1.json").await.unwrap(), Some(7));
    assert_eq!(store.injected(), 3);
}
