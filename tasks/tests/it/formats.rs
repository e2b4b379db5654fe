//! `extract.file` on everything that is not delimited text.

use polars::df;
use ratchet_core::plugin::{ColumnType, Table};
use ratchet_tasks::table::{self, About};
use rust_xlsxwriter::Workbook;
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
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_row(0, 0, ["city", "n"]).unwrap();
    sheet.write(1, 0, "Leeds").unwrap();
    sheet.write_column(1, 1, [1, 2]).unwrap();
    stage.file("a.workbook", workbook.save_to_buffer().unwrap());
    stage.file("a.csv.zst", zstd::encode_all(&b"city,n\nLeeds,1\n,2\n"[..], 3).unwrap());
    for name in ["a.ndjson", "a.json", "a.csv", "a.csv.zst", "a.bin", "a.workbook"] {
        let table = stage.table("extract.file", json!({ "from": name })).await;
        assert_eq!(table.files, written.files, "{name}");
    }
}

#[tokio::test]
async fn an_encoding_is_declared_and_the_whole_file_decides_types() {
    let stage = Stage::new();
    stage.file("a.csv", b"name,n\nCaf\xe9,1\n");
    let table = stage
        .table("extract.file", json!({ "from": "a.csv", "encoding": "windows-1252" }))
        .await;
    let frame = stage.frame(&table).await;
    assert_eq!(frame.column("name").unwrap().str().unwrap().get(0), Some("Caf\u{e9}"));

    // In each format the last of many rows decides as much as the first.
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "n").unwrap();
    let (mut csv, mut ndjson) = ("n\n".to_owned(), String::new());
    for row in 1..3000_u32 {
        sheet.write(row, 0, row).unwrap();
        csv.push_str(&format!("{row}\n"));
        ndjson.push_str(&format!("{{\"n\": {row}}}\n"));
    }
    sheet.write(3000, 0, "0x12").unwrap();
    stage.file("last.csv", csv + "0x12\n");
    stage.file("last.ndjson", ndjson + "{\"n\": \"0x12\"}\n");
    stage.file("last.xlsx", workbook.save_to_buffer().unwrap());
    for name in ["last.csv", "last.ndjson", "last.xlsx"] {
        let table = stage.table("extract.file", json!({ "from": name })).await;
        assert_eq!((table.rows, kind(&table, "n")), (3000, ColumnType::Text), "{name}");
    }
}

/// Each bad input has one message that names the thing and the place, and a remedy. None is retried, none panics.
#[tokio::test]
async fn bad_files_say_what_they_are_and_what_to_do() {
    let stage = Stage::new();
    let mut workbook = Workbook::new();
    workbook.add_worksheet().write(0, 0, "n").unwrap();
    let workbook = workbook.save_to_buffer().unwrap();
    stage.file("a.bin", b"PAR1 and then nothing");
    stage.file("zip.xlsx", b"PK\x03\x04 and then nothing");
    stage.file("cut.xlsx", [&workbook[..200], b"xl/workbook.xml"].concat());
    stage.file("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    stage.file("sheet.xlsx", &workbook);
    stage.file("cut.json", "[{\"a\": 1}");
    stage.file("empty.csv", "");
    stage.file("cut.csv.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75, 76]);
    stage.file("cut.csv.zst", &zstd::encode_all(&b"a,b\n1,2\n"[..], 3).unwrap()[..12]);
    stage.file("latin.csv", b"a\ncaf\xe9\n");
    stage.file("twice.csv", "a,a\n1,2\n");
    stage.file("infinite.csv", "a,b\ninf,1\n2,nan\n");
    let infinite = json!({ "from": "infinite.csv", "types": { "a": "number" } });
    let cases = [
        (json!({ "from": "a.bin" }), "cannot be read as Parquet"),
        (
            json!({ "from": "a.bin", "types": { "a": "text" } }),
            "says the types of its columns itself",
        ),
        (json!({ "from": "zip.xlsx" }), "is a zip archive"),
        (
            json!({ "from": "zip.xlsx", "format": "xlsx" }),
            "cannot be read as an Excel workbook",
        ),
        (json!({ "from": "cut.xlsx" }), "cannot be read as an Excel workbook"),
        (json!({ "from": "old.xls" }), "old Excel workbook"),
        (
            json!({ "from": "sheet.xlsx", "sheet": "Sheet2" }),
            "has no sheet `Sheet2`",
        ),
        (json!({ "from": "twice.csv", "sheet": "Sheet1" }), "is no workbook"),
        (json!({ "from": "cut.json" }), "is no JSON"),
        (json!({ "from": "cut.json", "format": "ndjson" }), "line 1 is no JSON"),
        (json!({ "from": "empty.csv" }), "is empty (0 bytes)"),
        (json!({ "from": "cut.csv.gz" }), "its gzip stream ends after 12 bytes"),
        (json!({ "from": "cut.csv.zst" }), "its zstd stream ends after 12 bytes"),
        (json!({ "from": "latin.csv" }), "is not UTF-8: line 2"),
        (json!({ "from": "twice.csv" }), "names `a` twice"),
        (infinite, "line 2: `inf` in column `a` is not a number"),
        (
            json!({ "from": "sheet.xlsx", "types": { "m": "text" } }),
            "has no column `m`, but `types` names it",
        ),
        (
            json!({ "from": "sheet.xlsx", "known": { "call": ["m"] } }),
            "has no column `m`, but `known` names it",
        ),
    ];
    for (with, expected) in cases {
        let error = stage.run("extract.file", with).await.unwrap_err();
        assert!(error.message.contains(expected) && !error.retryable, "{error}");
        assert!(error.to_string().contains("help"), "{error}");
    }
    // Where nothing is declared, what is no number makes text of its column and is no error.
    let table = stage.table("extract.file", json!({ "from": "infinite.csv" })).await;
    assert_eq!(
        (kind(&table, "a"), kind(&table, "b")),
        (ColumnType::Text, ColumnType::Text)
    );
    // A header alone is a table without rows, also in a workbook.
    let table = stage.table("extract.file", json!({ "from": "sheet.xlsx" })).await;
    assert_eq!((table.rows, table.columns.len()), (0, 1));
}

#[test]
fn a_file_that_cannot_be_is_refused_before_it_is_read() {
    let registry = ratchet_tasks::registry();
    let with = json!({ "from": "a.csv", "encoding": "latin-99", "sha256": "abc", "delimiter": ";;" });
    let problems = (registry.get("extract.file").unwrap().validate)(&with);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/delimiter", "/encoding", "/sha256"]);
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
