//! Objects and blobs: created once, read back whole or not at all.

use std::fs;

use ratchet_artifacts::{BlobRef, Bucket, BucketError, Created};

use crate::support::{local, memory};

async fn check_objects(bucket: &Bucket) {
    assert_eq!(bucket.get("a/1.json").await.unwrap(), None);
    assert_eq!(bucket.list("a").await.unwrap(), Vec::<String>::new());
    assert_eq!(bucket.directories("a").await.unwrap(), Vec::<String>::new());

    for path in ["a/2.json", "a/10.json", "a/b/1.json", "ab/1.json"] {
        assert_eq!(bucket.create(path, path.into()).await.unwrap(), Created::New, "{path}");
    }
    assert_eq!(
        bucket.create("a/2.json", "other".into()).await.unwrap(),
        Created::Exists
    );
    assert_eq!(
        bucket.get("a/2.json").await.unwrap().unwrap(),
        "a/2.json",
        "nothing is overwritten"
    );
    assert_eq!(bucket.length("a/2.json").await.unwrap(), Some(8));
    assert_eq!(
        bucket.list("a").await.unwrap(),
        ["a/10.json", "a/2.json", "a/b/1.json"],
        "whole parts, sorted"
    );
    assert_eq!(bucket.directories("a").await.unwrap(), ["b"]);
    assert!(bucket.get("a/../b").await.unwrap_err().to_string().contains("a/../b"));
}

#[tokio::test]
async fn objects_are_created_once_and_listed_on_each_store() {
    check_objects(&memory()).await;
    let (_directory, bucket) = local().await;
    check_objects(&bucket).await;
}

#[tokio::test]
async fn a_blob_comes_back_as_it_went_in() {
    let (_directory, bucket) = local().await;
    let large = vec![7_u8; 3 << 20];
    for content in [Vec::new(), b"abc".to_vec(), large] {
        let blob = bucket.put_blob(content.clone().into()).await.unwrap();
        assert_eq!(blob, BlobRef::of(&content));
        assert_eq!(
            bucket.put_blob(content.clone().into()).await.unwrap(),
            blob,
            "again is the same"
        );
        assert_eq!(bucket.get_blob(&blob).await.unwrap(), content);
    }
    assert_eq!(bucket.list("blobs").await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_truncated_blob_is_found_on_reading_and_on_storing_it_again() {
    let (directory, bucket) = local().await;
    let blob = bucket.put_blob("some bundle".into()).await.unwrap();
    let file = directory.path().join(blob.path().unwrap());
    fs::write(&file, "some bun").unwrap();

    for error in [
        bucket.get_blob(&blob).await.unwrap_err(),
        bucket.put_blob("some bundle".into()).await.unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(
            matches!(error, BucketError::BlobDamaged { .. }) && !error.may_retry(),
            "{message}"
        );
        assert!(
            message.contains("8 bytes instead of 11") && message.contains(&blob.path().unwrap()),
            "{message}"
        );
        assert!(
            message.contains(bucket.url()) && message.contains("run the task again"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_changed_bit_is_found() {
    let (directory, bucket) = local().await;
    let blob = bucket.put_blob("some bundle".into()).await.unwrap();
    fs::write(directory.path().join(blob.path().unwrap()), "some bundlf").unwrap();
    let error = bucket.get_blob(&blob).await.unwrap_err();
    assert!(error.to_string().contains("its SHA-256 is"), "{error}");
}

#[tokio::test]
async fn a_missing_blob_and_a_reference_that_is_none_are_named() {
    let bucket = memory();
    let error = bucket.get_blob(&BlobRef::of(b"never stored")).await.unwrap_err();
    assert!(matches!(error, BucketError::BlobMissing { .. }), "{error}");
    let error = bucket
        .get_blob(&BlobRef {
            sha256: "../secret".to_owned(),
            bytes: 1,
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no SHA-256"), "{error}");
}

#[tokio::test]
async fn another_process_finds_the_bucket_by_its_url() {
    let (_directory, bucket) = local().await;
    let blob = bucket.put_blob("shared".into()).await.unwrap();
    let other = Bucket::open(bucket.url()).await.unwrap();
    assert_eq!(other.url(), bucket.url());
    assert_eq!(other.get_blob(&blob).await.unwrap(), "shared");
}

#[tokio::test]
async fn what_a_killed_writer_left_half_written_is_no_object() {
    let (directory, bucket) = local().await;
    assert_eq!(
        bucket
            .create("promotions/00000000000000000001.json", "{}".into())
            .await
            .unwrap(),
        Created::New
    );
    // The local store writes beside the final name and links it when the content is durable.
    fs::write(
        directory.path().join("promotions/00000000000000000002.json#1"),
        "{\"for",
    )
    .unwrap();
    assert_eq!(
        bucket.list("promotions").await.unwrap(),
        ["promotions/00000000000000000001.json"]
    );
    assert_eq!(
        bucket
            .create("promotions/00000000000000000002.json", "whole".into())
            .await
            .unwrap(),
        Created::New
    );
    assert_eq!(
        bucket
            .get("promotions/00000000000000000002.json")
            .await
            .unwrap()
            .unwrap(),
        "whole"
    );
}
