//! Who signed what: documents as they are registered and promoted, and what becomes of one that was altered.

use std::fs;
use std::path::Path;

use ratchet_artifacts::{
    Bucket, BucketError, Expected, PromotionEntry, PromotionLog, SignatureError, SigningKey, TrustedKeys, models,
};

use crate::support::{local, model, promotion};

/// The pair that RFC 8410, section 10, shows, and another one.
const OURS: [&str; 2] = [
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
];
const THEIRS: [&str; 2] = [
    "MC4CAQAwBQYDK2VwBCIEIPcmarNBkZIedaiJUebCwTxd1fiMTINS3cdfS4U8pSwE",
    "MCowBQYDK2VwAyEAP8sAPDEPZjD/oGny7VbfhcgXX7kdkQ9jqVOy1JTEtYQ=",
];

fn pem(directory: &Path, label: &str, content: &str) -> std::path::PathBuf {
    let path = directory.join(format!("{}.pem", label.replace(' ', "-")));
    fs::write(
        &path,
        format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n"),
    )
    .unwrap();
    path
}

fn signing(bucket: &Bucket, [private, _]: [&str; 2]) -> Bucket {
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::open(&pem(directory.path(), "PRIVATE KEY", private)).unwrap();
    bucket.clone().signing_with(Some(key))
}

fn trusting([_, public]: [&str; 2]) -> TrustedKeys {
    let directory = tempfile::tempdir().unwrap();
    TrustedKeys::open(&pem(directory.path(), "PUBLIC KEY", public)).unwrap()
}

async fn accepted(bucket: &Bucket, version: u64) -> Result<String, SignatureError> {
    let signed = models::get_signed(bucket, "m", version).await.unwrap().unwrap();
    trusting(OURS).accept(&signed).map(|key| key.to_string())
}

#[tokio::test]
async fn what_is_registered_and_promoted_through_a_key_carries_its_signature() {
    let (_directory, plain) = local().await;
    let bucket = signing(&plain, OURS);
    let manifest = models::register(&bucket, model("m", "one", "run1/train"))
        .await
        .unwrap();
    let log = PromotionLog::new(bucket.clone());
    log.promote(promotion(&manifest, Expected::Champion(None)))
        .await
        .unwrap();

    // Reading needs no key, and a signed document reads as one that is not.
    assert_eq!(models::get(&plain, "m", 1).await.unwrap(), Some(manifest));
    let key = accepted(&plain, 1).await.unwrap();
    let entry = PromotionLog::new(plain).signed_entry(1).await.unwrap().unwrap();
    assert_eq!(trusting(OURS).accept(&entry).unwrap().to_string(), key);
    assert_eq!(entry.document.version, 1);
}

#[tokio::test]
async fn a_registration_that_is_repeated_reads_its_signed_version_back() {
    let (_directory, plain) = local().await;
    let bucket = signing(&plain, OURS);
    let first = models::register(&bucket, model("m", "one", "run1/train"))
        .await
        .unwrap();
    assert_eq!(
        models::register(&bucket, model("m", "one", "run1/train"))
            .await
            .unwrap(),
        first
    );
    let log = PromotionLog::new(bucket);
    assert!(log.promote(promotion(&first, Expected::Any)).await.unwrap().new);
    assert!(!log.promote(promotion(&first, Expected::Any)).await.unwrap().new);
    assert_eq!(
        log.entries().await.unwrap().len(),
        1,
        "and the chain holds over signed entries"
    );
}

#[tokio::test]
async fn unsigned_altered_moved_and_foreign_documents_are_told_apart() {
    let (directory, plain) = local().await;
    models::register(&plain, model("m", "one", "k1")).await.unwrap();
    models::register(&signing(&plain, THEIRS), model("m", "two", "k2"))
        .await
        .unwrap();
    let ours = signing(&plain, OURS);
    models::register(&ours, model("m", "three", "k3")).await.unwrap();
    models::register(&ours, model("m", "four", "k4")).await.unwrap();

    assert!(matches!(accepted(&plain, 1).await, Err(SignatureError::Unsigned { path }) if path == "models/m/1.json"));
    assert!(matches!(accepted(&plain, 2).await, Err(SignatureError::Unknown { .. })));
    assert!(accepted(&plain, 3).await.is_ok());

    let file = |version: u64| directory.path().join(format!("models/m/{version}.json"));
    let text = fs::read_to_string(file(3)).unwrap();
    // A better metric than the one that was measured.
    fs::write(file(3), text.replace("72.9", "62.9")).unwrap();
    assert!(matches!(accepted(&plain, 3).await, Err(SignatureError::Altered { .. })));
    // The signature of version 3 on version 4.
    let other = fs::read_to_string(file(4)).unwrap();
    let (_, signature) = text.rsplit_once("\"signature\"").unwrap();
    let (body, _) = other.rsplit_once("\"signature\"").unwrap();
    fs::write(file(4), format!("{body}\"signature\"{signature}")).unwrap();
    assert!(matches!(accepted(&plain, 4).await, Err(SignatureError::Altered { .. })));
    // Version 3 as it was, in the place of version 4.
    fs::write(file(4), &text).unwrap();
    let error = models::get_signed(&plain, "m", 4).await.unwrap_err();
    assert!(matches!(error, BucketError::ManifestDamaged { .. }), "{error}");
}

#[tokio::test]
async fn who_gave_an_alias_is_found_behind_entries_of_others() {
    let (_directory, plain) = local().await;
    let ours = signing(&plain, OURS);
    let (first, second) = (
        models::register(&ours, model("m", "one", "k1")).await.unwrap(),
        models::register(&ours, model("n", "one", "k2")).await.unwrap(),
    );
    let log = PromotionLog::new(ours);
    log.promote(promotion(&first, Expected::Any)).await.unwrap();
    // Whoever signs this entry does not answer for what its table says of the other model.
    let mut unsigned = promotion(&second, Expected::Any);
    unsigned.key = "by hand".to_owned();
    PromotionLog::new(plain.clone()).promote(unsigned).await.unwrap();

    let number = |entry: Option<ratchet_artifacts::Signed<PromotionEntry>>| entry.map(|entry| entry.document.number);
    assert_eq!(number(log.giving("m", "champion", 2).await.unwrap()), Some(1));
    assert_eq!(number(log.giving("n", "champion", 2).await.unwrap()), Some(2));
    assert_eq!(number(log.giving("n", "champion", 1).await.unwrap()), None);
    assert_eq!(number(log.giving("m", "challenger", 2).await.unwrap()), None);
}
