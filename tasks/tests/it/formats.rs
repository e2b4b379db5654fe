//! `extract.file` on everything that is not delimited text.

use polars::df;
use ratchet_core::plugin::{ColumnType, Table};
use ratchet_tasks::table::{self, About};
use serde_json::json;

use crate::support::{Stage, real_records};

fn kind(table: &Table, name: &str) -> ColumnType {
    table.columns.iter().find(|column| column.name == name).unwrap().kind
}

#[tokio::test]
async fn one_table_in_every_format_is_one_table() {
    let stage = Stage::new();
    stage.file(
        "a.ndjson",
        "{\"city\": \"Leeds\", \"n\": 1}\n{\"city\": null, \"n\": 2}\n",
    );
    stage.file("a.json", "[{\"city\": \"Leeds\", \"n\": 1}, {\"n\": 2}]");
    stage.file("a.csv", "city,n\nLeeds,1\n,2\n");
    let frame = df!("city" => [Some("Leeds"), None], "n" => [1_i64, 2]).unwrap();
    let bucket = stage.bucket().await;
    let written = table::write(&bucket, frame, About::default()).await.unwrap();
    let parquet = bucket.get_blob(&table::to_blob_ref(&written.files[0])).await.unwrap();
    stage.file("a.bin", &parquet);
    for name in ["a.ndjson", "a.json", "a.csv", "a.bin"] {
        let table = stage.table("extract.file", json!({ "from": name })).await;
        assert_eq!(table.files, written.files, "{name}");
    }
}

#[tokio::test]
async fn damaged_files_say_what_they_are_and_what_to_do() {
    let stage = Stage::new();
    stage.file("a.bin", b"PAR1 and then nothing");
    stage.file("a.xlsx", b"PK\x03\x04 and then nothing");
    stage.file("cut.json", "[{\"a\": 1}");
    let cases = [
        (json!({ "from": "a.bin" }), "cannot be read as Parquet"),
        (json!({ "from": "a.xlsx" }), "Excel workbook"),
        (json!({ "from": "cut.json" }), "is no JSON"),
        (json!({ "from": "cut.json", "format": "ndjson" }), "line 1 is no JSON"),
    ];
    for (with, expected) in cases {
        let error = stage.run("extract.file", with).await.unwrap_err();
        assert!(error.message.contains(expected) && !error.retryable, "{error}");
        assert!(error.to_string().contains("help"), "{error}");
    }
}

#[tokio::test]
async fn the_samples_of_2009_parse_with_their_own_dates() {
    let stage = Stage::new();
    let Some(path) = real_records("lfb_incidents_2009_sample20.csv") else {
        return;
    };
    let types = json!({ "DateOfCall": "date" });
    let table = stage
        .table("extract.file", json!({ "from": path, "types": types }))
        .await;
    assert_eq!((table.rows, kind(&table, "DateOfCall")), (20, ColumnType::Date));
    assert_eq!(
        table
            .columns
            .iter()
            .find(|column| column.name == "DateOfCall")
            .unwrap()
            .nulls,
        0
    );
    let Some(path) = real_records("lfb_mobilisations_2009_sample20.csv") else {
        return;
    };
    let types = json!({ "DateAndTimeMobilised": "timestamp", "DateAndTimeArrived": "timestamp" });
    let table = stage
        .table("extract.file", json!({ "from": path, "types": types }))
        .await;
    let frame = stage.frame(&table).await;
    let first = frame
        .column("DateAndTimeMobilised")
        .unwrap()
        .get(0)
        .unwrap()
        .to_string();
    assert!(first.starts_with("2009-01-01 00:02:27"), "{first}");
}
