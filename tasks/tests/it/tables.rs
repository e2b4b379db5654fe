//! `extract.file`, and what a table in the bucket promises.

use ratchet_core::plugin::{ColumnType, Known};
use serde_json::json;

use crate::support::Stage;

#[tokio::test]
async fn a_file_becomes_a_table_and_comes_back_the_same() {
    let stage = Stage::new();
    stage.file("a.csv", "id;size;name\n007;1.5;Flat \n012;;\n");
    let with = json!({ "from": "a.csv", "dataset": "a", "known": { "call": ["id"], "after": ["size"] } });
    let table = stage.table("extract.file", with).await;
    let columns: Vec<(&str, ColumnType, Option<Known>, u64)> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind, column.known, column.nulls))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", ColumnType::Text, Some(Known::Call), 0),
            ("size", ColumnType::Number, Some(Known::After), 1),
            ("name", ColumnType::Text, None, 1),
        ]
    );
    assert_eq!(
        (table.rows, table.source.as_str(), table.simulated),
        (2, "a.csv", false)
    );
    let frame = stage.frame(&table).await;
    assert_eq!(frame.column("name").unwrap().str().unwrap().get(0), Some("Flat "));

    let raw = &table.raw[0];
    let saved = stage
        .bucket()
        .await
        .get_blob(&ratchet_tasks::table::to_blob_ref(raw))
        .await
        .unwrap();
    assert_eq!(saved, "id;size;name\n007;1.5;Flat \n012;;\n");
}

#[tokio::test]
async fn the_same_rows_have_the_same_digest() {
    let stage = Stage::new();
    stage.file("a.csv", "x,y\n1,2\n3,4\n");
    stage.file("b.csv", "x;y\r\n1;2\r\n3;4");
    let first = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let second = stage.table("extract.file", json!({ "from": "b.csv" })).await;
    assert_eq!(first.files, second.files);
    assert_ne!(first.raw, second.raw);
}

#[tokio::test]
async fn the_raw_bytes_are_saved_even_if_they_cannot_be_parsed() {
    let stage = Stage::new();
    stage.file("bad.csv", "a,b\n1,2\n3\n");
    let error = stage
        .run("extract.file", json!({ "from": "bad.csv" }))
        .await
        .unwrap_err();
    assert_eq!(error.message, "`bad.csv`, line 3: 1 fields where the header has 2");
    let blobs = stage.bucket().await.list("blobs/").await.unwrap();
    assert_eq!(blobs.len(), 1, "{blobs:?}");
}

#[tokio::test]
async fn what_is_not_there_is_named_with_the_remedy() {
    let stage = Stage::new();
    let error = stage
        .run("extract.file", json!({ "from": "data/none.csv" }))
        .await
        .unwrap_err();
    let tried = stage.context.working_directory.join("data/none.csv");
    assert!(
        error.message.contains("`data/none.csv` is not there") && error.message.contains(&*tried.to_string_lossy())
    );
    assert!(
        error.to_string().contains("-p NAME=PATH") && !error.retryable,
        "{error}"
    );

    stage.file("a.csv", "DateOfCall,b\n1,2\n");
    let error = stage
        .run(
            "extract.file",
            json!({ "from": "a.csv", "known": { "call": ["DateofCall"] } }),
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("`known` names it") && error.to_string().contains("`DateOfCall`"),
        "{error}"
    );

    let error = stage
        .run("extract.file", json!({ "from": "ftp://a/b" }))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("with/from") && error.message.contains("`ftp://`"),
        "{error}"
    );
    let error = stage.run("extract.file", json!({ "from": "" })).await.unwrap_err();
    assert_eq!(error.message, "`from` of task `task`: the address is empty");
    let error = stage
        .run("extract.file", json!({ "from": "a.csv", "delimeter": ";" }))
        .await
        .unwrap_err();
    assert!(error.message.contains("delimeter"), "{error}");
}

#[tokio::test]
async fn a_damaged_blob_and_a_lying_manifest_are_noticed() {
    let stage = Stage::new();
    stage.file("a.csv", "x\n1\n2\n");
    let table = stage
        .table("extract.file", json!({ "from": "a.csv", "dataset": "a" }))
        .await;
    let bucket = stage.bucket().await;
    let mut lying = table.clone();
    lying.rows = 3;
    let error = ratchet_tasks::table::read(&bucket, &lying).await.unwrap_err();
    assert!(error.message.contains("2 rows instead of 3"), "{error}");
    let mut elsewhere = table.clone();
    elsewhere.files[0] = table.raw[0].clone();
    let error = ratchet_tasks::table::read(&bucket, &elsewhere).await.unwrap_err();
    assert!(error.message.contains("cannot be read as Parquet"), "{error}");
    let mut gone = table;
    gone.files[0].sha256 = "0".repeat(64);
    assert!(ratchet_tasks::table::read(&bucket, &gone).await.is_err());
}
