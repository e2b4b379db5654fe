//! The promotion log of one writer: what it holds, what it refuses, how it goes back.

use std::fs;

use ratchet_artifacts::{
    Action, Appended, Bucket, BucketError, Expected, Holder, ModelManifest, PromotionEntry, PromotionError,
    PromotionLog, models, sha256,
};

use crate::support::{champion, local, memory, model, promotion, register_models};

/// Versions 1 to `count` of `m`, promoted one after the other, each against the one before.
async fn promoted(bucket: &Bucket, count: u64) -> (PromotionLog, Vec<ModelManifest>) {
    let log = PromotionLog::new(bucket.clone());
    let models = register_models(bucket, count).await;
    for (index, manifest) in models.iter().enumerate() {
        let expected = index
            .checked_sub(1)
            .map_or(Expected::Champion(None), |before| champion(&models[before]));
        assert!(log.promote(promotion(manifest, expected)).await.unwrap().new);
    }
    (log, models)
}

async fn roll_back(log: &PromotionLog, key: &str) -> Result<Appended, PromotionError> {
    log.rollback("m", "champion", "nadia", "answers look wrong", key).await
}

async fn current(log: &PromotionLog) -> u64 {
    log.head()
        .await
        .unwrap()
        .unwrap()
        .holder("m", "champion")
        .unwrap()
        .version
}

#[tokio::test]
async fn an_empty_log_has_no_head() {
    let log = PromotionLog::new(memory());
    assert_eq!(log.head().await.unwrap(), None);
    assert_eq!(log.entries().await.unwrap(), []);
    assert_eq!(log.entry(0).await.unwrap(), None);
    assert_eq!(log.entry(1).await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_holds_the_state_after_it_and_what_led_to_it() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 2).await;
    let entry = log.head().await.unwrap().unwrap();
    assert_eq!((entry.number, entry.action, entry.version), (2, Action::Promote, 2));
    assert_eq!(
        entry.holder("m", "champion"),
        Some(&Holder::alone(2, &versions[1].bundle.sha256))
    );
    assert_eq!(entry.previous, Some(Holder::alone(1, &versions[0].bundle.sha256)));
    assert_eq!(entry.expected_champion.as_ref(), Some(&versions[0].bundle.sha256));
    assert_eq!(
        (entry.actor.as_str(), entry.reason.as_str()),
        ("run", "better on the holdout")
    );
    assert_eq!(entry.comparison["verdict"], "better");
    assert_eq!(log.entry(2).await.unwrap(), Some(entry));
    assert_eq!(log.entry(3).await.unwrap(), None);
}

#[tokio::test]
async fn each_entry_names_the_bytes_of_the_one_before() {
    let (_directory, bucket) = local().await;
    let (log, _) = promoted(&bucket, 3).await;
    let entries = log.entries().await.unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].predecessor, None);
    for entry in &entries[1..] {
        let before = bucket
            .get(&PromotionEntry::path(entry.number - 1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(entry.predecessor, Some(sha256(&before)));
    }
}

#[tokio::test]
async fn models_and_aliases_share_one_table() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 1).await;
    let other = models::register(&bucket, model("other", "x", "k")).await.unwrap();
    let mut second = promotion(&other, Expected::Champion(None));
    second.key = "other".to_owned();
    log.promote(second).await.unwrap();
    let mut staging = promotion(&versions[0], Expected::Any);
    (staging.alias, staging.key) = ("staging".to_owned(), "staging".to_owned());
    let entry = log.promote(staging).await.unwrap().entry;
    let holds = |model, alias| entry.holder(model, alias).map(|holder| holder.version);
    assert_eq!(
        (
            holds("m", "champion"),
            holds("m", "staging"),
            holds("other", "champion")
        ),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!(holds("other", "staging"), None);
}

#[tokio::test]
async fn a_promotion_whose_champion_no_longer_holds_is_refused() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 2).await;
    let late = models::register(&bucket, model("m", "late", "late/train"))
        .await
        .unwrap();
    for expected in [Expected::Champion(None), champion(&versions[0])] {
        let error = log.promote(promotion(&late, expected)).await.unwrap_err();
        let PromotionError::ChampionChanged { found, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(found.as_ref(), Some(&versions[1].bundle.sha256));
        assert!(error.to_string().contains("compare with the new holder"), "{error}");
        assert!(!error.may_retry());
    }
    assert_eq!(log.entries().await.unwrap().len(), 2, "a refusal leaves no trace");
    assert!(
        log.promote(promotion(&late, Expected::Any)).await.unwrap().new,
        "a person overrides"
    );
    assert_eq!(current(&log).await, 3);
}

#[tokio::test]
async fn what_serving_could_not_load_is_refused() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 1).await;
    let mut unknown = promotion(&versions[0], Expected::Any);
    unknown.version = 9;
    let error = log.promote(unknown).await.unwrap_err();
    assert!(
        matches!(error, PromotionError::UnknownVersion { version: 9, .. }),
        "{error}"
    );
    let mut other = promotion(&versions[0], Expected::Any);
    other.digest = sha256(b"something else");
    let error = log.promote(other).await.unwrap_err();
    assert!(matches!(error, PromotionError::OtherDigest { .. }), "{error}");
    let mut nowhere = promotion(&versions[0], Expected::Any);
    nowhere.alias = "The Champion".to_owned();
    let error = log.promote(nowhere).await.unwrap_err();
    assert!(
        matches!(
            error,
            PromotionError::Bucket(BucketError::InvalidName { what: "alias", .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_holder_is_not_promoted_again() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 1).await;
    let mut again = promotion(&versions[0], Expected::Any);
    again.key = "another key".to_owned();
    let error = log.promote(again).await.unwrap_err();
    assert!(
        matches!(error, PromotionError::AlreadyHolds { version: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_same_key_is_appended_once_whatever_came_after() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 2).await;
    let again = log
        .promote(promotion(&versions[0], Expected::Champion(None)))
        .await
        .unwrap();
    assert!(!again.new);
    assert_eq!(again.entry, log.entry(1).await.unwrap().unwrap());
    assert_eq!(log.entries().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_of_another_act_is_refused() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 2).await;
    let mut stolen = promotion(&versions[1], Expected::Any);
    stolen.key = "promote-1".to_owned();
    for error in [
        log.promote(stolen).await.unwrap_err(),
        roll_back(&log, "promote-1").await.unwrap_err(),
    ] {
        assert!(matches!(error, PromotionError::KeyTaken { number: 1, .. }), "{error}");
    }
    let error = roll_back(&log, "").await.unwrap_err();
    assert!(
        matches!(error, PromotionError::Bucket(BucketError::EmptyKey)),
        "{error}"
    );
}

#[tokio::test]
async fn rollbacks_go_back_step_by_step_and_bar_what_they_leave() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 3).await;
    let first = roll_back(&log, "back-1").await.unwrap();
    assert_eq!((first.entry.action, first.entry.version), (Action::Rollback, 2));
    assert_eq!(first.entry.digest, versions[1].bundle.sha256);
    assert_eq!(first.entry.previous.as_ref().map(|holder| holder.version), Some(3));
    assert_eq!(
        (first.entry.actor.as_str(), first.entry.reason.as_str()),
        ("nadia", "answers look wrong")
    );
    assert!(first.entry.is_barred("m", &versions[2].bundle.sha256));

    let repeated = roll_back(&log, "back-1").await.unwrap();
    assert_eq!(
        (repeated.new, &repeated.entry),
        (false, &first.entry),
        "the same key goes back one step only"
    );

    assert_eq!(roll_back(&log, "back-2").await.unwrap().entry.version, 1);
    let error = roll_back(&log, "back-3").await.unwrap_err();
    assert!(matches!(error, PromotionError::NothingToRollBackTo { .. }), "{error}");
    assert_eq!(current(&log).await, 1);
    assert_eq!(log.entries().await.unwrap().len(), 5);
}

#[tokio::test]
async fn an_alias_that_nobody_holds_has_nothing_to_go_back_to() {
    let bucket = memory();
    let (log, _) = promoted(&bucket, 1).await;
    for (model, alias) in [("m", "champion"), ("m", "staging"), ("n", "champion")] {
        let error = log.rollback(model, alias, "nadia", "", "key").await.unwrap_err();
        assert!(matches!(error, PromotionError::NothingToRollBackTo { .. }), "{error}");
        assert!(error.to_string().contains("ratchet models promote"), "{error}");
    }
}

#[tokio::test]
async fn only_a_person_promotes_what_was_rolled_back_and_lifts_the_bar() {
    let bucket = memory();
    let (log, versions) = promoted(&bucket, 2).await;
    roll_back(&log, "back").await.unwrap();

    // The same bundle, trained again by another run, is the same bundle.
    let twin = models::register(&bucket, model("m", "bundle 2", "twin/train"))
        .await
        .unwrap();
    let error = log.promote(promotion(&twin, champion(&versions[0]))).await.unwrap_err();
    assert!(matches!(error, PromotionError::Barred { version: 3, .. }), "{error}");
    assert!(error.to_string().contains("rolled back"), "{error}");

    let mut attended = promotion(&twin, Expected::Any);
    attended.attended = true;
    let entry = log.promote(attended).await.unwrap().entry;
    assert!(!entry.is_barred("m", &twin.bundle.sha256) && entry.barred.is_empty());

    let next = models::register(&bucket, model("m", "bundle 4", "next/train"))
        .await
        .unwrap();
    log.promote(promotion(&next, champion(&twin))).await.unwrap();
    assert_eq!(
        roll_back(&log, "back again").await.unwrap().entry.version,
        3,
        "it may be gone back to again"
    );
}

#[tokio::test]
async fn an_altered_entry_stops_promotions_and_the_head_still_serves() {
    let (directory, bucket) = local().await;
    let (log, versions) = promoted(&bucket, 3).await;
    let file = directory.path().join(PromotionEntry::path(2));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("better on the holdout", "because I say so")).unwrap();

    let error = log.entries().await.unwrap_err();
    assert!(
        matches!(error, PromotionError::BrokenChain { number: 3, .. }),
        "{error}"
    );
    let mut next = promotion(&versions[0], Expected::Any);
    next.key = "next".to_owned();
    assert!(matches!(
        log.promote(next).await.unwrap_err(),
        PromotionError::BrokenChain { .. }
    ));
    assert_eq!(current(&log).await, 3);
}

#[tokio::test]
async fn a_missing_and_a_truncated_entry_are_named() {
    let (directory, bucket) = local().await;
    let (log, _) = promoted(&bucket, 3).await;
    let file = directory.path().join(PromotionEntry::path(2));
    fs::write(&file, "{\"format\": 1, ").unwrap();
    let error = log.entries().await.unwrap_err();
    assert!(error.to_string().contains(&PromotionEntry::path(2)), "{error}");
    fs::remove_file(&file).unwrap();
    let error = log.entries().await.unwrap_err();
    assert!(
        matches!(error, PromotionError::MissingEntry { number: 2, .. }),
        "{error}"
    );
}
