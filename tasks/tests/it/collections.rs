//! `extract.records`: what was added to a record collection, as a table.

use ratchet_artifacts::collections::{self, Collection};
use ratchet_artifacts::feeds;
use ratchet_core::plugin::{ColumnType, Known};
use serde_json::{Value, json};

use crate::support::Stage;

async fn apply(stage: &Stage) {
    let collection = Collection {
        name: "deliveries".to_owned(),
        key: vec!["day".to_owned(), "id".to_owned()],
        schema: json!({
            "type": "object",
            "required": ["id", "day"],
            "properties": {
                "id": { "type": "integer" }, "day": { "type": "string", "format": "date" },
                "minutes": { "type": ["number", "null"] }, "late": { "type": "boolean" }, "note": { "type": "string" },
            },
        }),
    };
    collections::apply(&stage.bucket().await, &collection).await.unwrap();
}

/// Writes one segment.
async fn segment(stage: &Stage, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let path = feeds::new_path("deliveries").unwrap();
    let _ = feeds::write(&stage.bucket().await, &path, text.as_bytes())
        .await
        .unwrap();
}

fn row(second: u8, id: impl Into<Value>, minutes: Value) -> Value {
    let id: Value = id.into();
    json!({
        "row": { "id": id, "day": "2026-01-01", "minutes": minutes, "late": false },
        "at": format!("2026-01-02T00:00:{second:02}Z"), "by": "ada",
    })
}

fn delete(second: u8, id: Value) -> Value {
    json!({ "delete": { "id": id, "day": "2026-01-01" }, "at": format!("2026-01-02T00:00:{second:02}Z") })
}

#[tokio::test]
async fn the_last_row_of_each_key_counts_and_what_was_deleted_is_gone() {
    let stage = Stage::new();
    apply(&stage).await;
    // Two replicas: the second segment holds what happened before the end of the first.
    segment(
        &stage,
        &[
            row(0, 3, json!(9)),
            row(1, 1, json!(5)),
            row(2, 2.0, json!(7)),
            row(30, 4, json!(1)),
            row(40, 1, json!(6.5)),
        ],
    )
    .await;
    segment(
        &stage,
        &[
            delete(20, json!(4)),
            delete(21, json!(1)),
            delete(50, json!(3.0)),
            row(51, 5, json!(null)),
        ],
    )
    .await;
    let with = json!({ "collection": "deliveries", "known": { "call": ["id"], "after": ["minutes"] } });
    let table = stage.table("extract.records", with.clone()).await;
    let columns: Vec<(&str, ColumnType, u64)> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind, column.nulls))
        .collect();
    let expected = [
        ("day", ColumnType::Date, 0),
        ("id", ColumnType::Integer, 0),
        ("late", ColumnType::Boolean, 0),
        ("minutes", ColumnType::Number, 1),
        ("note", ColumnType::Text, 4),
    ];
    assert_eq!(columns, expected);
    assert_eq!(table.columns[3].known, Some(Known::After));
    let frame = stage.frame(&table).await;
    let ids: Vec<Option<i64>> = frame.column("id").unwrap().i64().unwrap().iter().collect();
    let minutes: Vec<Option<f64>> = frame.column("minutes").unwrap().f64().unwrap().iter().collect();
    assert_eq!(
        ids,
        [Some(1), Some(2), Some(4), Some(5)],
        "deleted before it was added again, or added after"
    );
    assert_eq!(minutes, [Some(6.5), Some(7.0), Some(1.0), None]);
    assert_eq!((table.source.as_str(), table.raw.len()), ("feeds/deliveries", 0));
    assert!(
        table.collected.is_some() && stage.log().contains("9 lines of feeds/deliveries are 4 rows"),
        "{}",
        stage.log()
    );
    // The same lines in one segment are the same table.
    let again = stage.table("extract.records", with).await;
    assert_eq!(again.files, table.files);
}

#[tokio::test]
async fn a_collection_without_rows_has_its_columns_and_one_that_is_not_there_is_named() {
    let stage = Stage::new();
    apply(&stage).await;
    let table = stage
        .table("extract.records", json!({ "collection": "deliveries" }))
        .await;
    assert_eq!((table.rows, table.columns.len()), (0, 5));
    let error = stage
        .run("extract.records", json!({ "collection": "delivery" }))
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("no record collection `delivery`") && said.contains("did you mean `deliveries`?"),
        "{said}"
    );
    assert!(said.contains("`ratchet collections apply FILE`"), "{said}");
    segment(&stage, &[json!({ "answer": 7, "at": "2026-01-02T00:00:00Z" })]).await;
    let error = stage
        .run("extract.records", json!({ "collection": "deliveries" }))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("line 1 holds neither a row nor a deletion"),
        "{error}"
    );
}
