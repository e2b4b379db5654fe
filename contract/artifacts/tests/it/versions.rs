//! Datasets and models: one number for each registration, one registration for each key.

use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::{BlobRef, Bucket, BucketError, ColumnManifest, Created, Lineage, models};

use crate::support::{local, memory, model, register_models};

fn dataset(content: &str, key: &str) -> NewDataset {
    NewDataset {
        name: "incidents".to_owned(),
        files: vec![BlobRef::of(content.as_bytes())],
        raw: Vec::new(),
        collected: None,
        rows: 3,
        columns: vec![ColumnManifest {
            name: "Hour".to_owned(),
            kind: "integer".to_owned(),
            known: None,
            nulls: 0,
        }],
        lineage: Lineage {
            run: key.to_owned(),
            ..Lineage::default()
        },
        key: key.to_owned(),
    }
}

async fn numbered(bucket: &Bucket, dataset: NewDataset) -> u64 {
    datasets::register(bucket, dataset).await.unwrap().version
}

#[tokio::test]
async fn the_same_key_reads_its_version_back_even_after_others() {
    let (_directory, bucket) = local().await;
    let first = datasets::register(&bucket, dataset("january", "run1/extract"))
        .await
        .unwrap();
    assert_eq!(numbered(&bucket, dataset("february", "run2/extract")).await, 2);
    let again = datasets::register(&bucket, dataset("january", "run1/extract"))
        .await
        .unwrap();
    assert_eq!(again, first, "with the time and lineage of the first try");
    assert_eq!(datasets::versions(&bucket, "incidents").await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn data_that_did_not_change_take_no_number() {
    let bucket = memory();
    assert_eq!(numbered(&bucket, dataset("a", "run1/extract")).await, 1);
    assert_eq!(numbered(&bucket, dataset("a", "run2/extract")).await, 1);
    assert_eq!(numbered(&bucket, dataset("b", "run3/extract")).await, 2);
    assert_eq!(
        numbered(&bucket, dataset("a", "run4/extract")).await,
        3,
        "back to earlier content is a change"
    );

    let mut renamed = dataset("a", "run5/extract");
    renamed.columns[0].name = "HourOfCall".to_owned();
    assert_eq!(numbered(&bucket, renamed).await, 4, "columns are part of it");
    let mut raw = dataset("a", "run6/extract");
    raw.raw = vec![BlobRef::of(b"raw")];
    assert_eq!(numbered(&bucket, raw).await, 5, "so are the raw bytes");
}

#[tokio::test]
async fn each_training_is_a_version_but_for_the_same_key() {
    let bucket = memory();
    for (key, version) in [("run1/train", 1), ("run2/train", 2), ("run1/train", 1)] {
        assert_eq!(
            models::register(&bucket, model("m", "same bundle", key))
                .await
                .unwrap()
                .version,
            version,
            "{key}"
        );
    }
}

#[tokio::test]
async fn versions_are_found_by_number_and_name() {
    let (_directory, bucket) = local().await;
    let registered = register_models(&bucket, 11).await;
    models::register(&bucket, model("another", "x", "k")).await.unwrap();
    assert_eq!(models::names(&bucket).await.unwrap(), ["another", "m"]);
    assert_eq!(
        models::versions(&bucket, "m").await.unwrap(),
        (1..=11).collect::<Vec<_>>(),
        "10 comes after 9"
    );
    assert_eq!(models::latest(&bucket, "m").await.unwrap().as_ref(), registered.last());
    assert_eq!(
        models::get(&bucket, "m", 3).await.unwrap().as_ref(),
        Some(&registered[2])
    );
    for absent in [0, 12] {
        assert_eq!(models::get(&bucket, "m", absent).await.unwrap(), None);
    }
    assert_eq!(models::latest(&bucket, "nobody").await.unwrap(), None);
    assert_eq!(datasets::names(&bucket).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn wrong_names_keys_and_metrics_are_refused_before_anything_is_written() {
    let bucket = memory();
    for name in ["", "Big", "../up", "a b"] {
        let error = models::register(&bucket, model(name, "x", "k")).await.unwrap_err();
        assert!(
            matches!(error, BucketError::InvalidName { what: "model", .. }),
            "{error}"
        );
    }
    let error = models::register(&bucket, model("m", "x", "")).await.unwrap_err();
    assert!(matches!(error, BucketError::EmptyKey), "{error}");
    let mut endless = model("m", "x", "k");
    endless.metrics.insert("r2".to_owned(), f64::NAN);
    let error = models::register(&bucket, endless).await.unwrap_err();
    assert!(error.to_string().contains("'r2' is NaN"), "{error}");
    assert_eq!(models::names(&bucket).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn damaged_and_newer_manifests_are_named() {
    let bucket = memory();
    let good = models::register(&bucket, model("m", "x", "k")).await.unwrap();
    let text = serde_json::to_string(&good).unwrap();
    let cases = [
        (2, text[..text.len() / 2].to_owned(), "damaged"),
        (3, text.clone(), "says that it is m@1"),
        (
            4,
            text.replace("\"format\":1", "\"format\":2"),
            "install a newer Ratchet",
        ),
    ];
    for (version, content, said) in cases {
        let path = format!("models/m/{version}.json");
        assert_eq!(bucket.create(&path, content.into()).await.unwrap(), Created::New);
        let message = models::get(&bucket, "m", version).await.unwrap_err().to_string();
        assert!(message.contains(said) && message.contains(&path), "{message}");
    }
}

#[tokio::test]
async fn a_manifest_of_a_newer_ratchet_with_the_same_format_is_read() {
    let bucket = memory();
    let good = models::register(&bucket, model("m", "x", "k")).await.unwrap();
    let mut json = serde_json::to_value(&good).unwrap();
    json["version"] = 2.into();
    json["signature"] = "added later".into();
    assert_eq!(
        bucket.create("models/m/2.json", json.to_string().into()).await.unwrap(),
        Created::New
    );
    assert_eq!(models::latest(&bucket, "m").await.unwrap().unwrap().version, 2);
}
