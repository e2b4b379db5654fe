//! `profile.report`.

use std::time::Instant;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::{ColumnManifest, Lineage};
use ratchet_core::plugin::{Output, Table};
use ratchet_tasks::table::{self, About};
use serde_json::json;

use crate::support::{Stage, keep_page, real_records};

async fn profile(stage: &Stage, table: &Table) -> String {
    let outputs = stage.run("profile.report", json!({ "table": table })).await.unwrap();
    let Some(Output::Report(page)) = outputs.ports.get("page") else {
        panic!("no page in {outputs:?}");
    };
    let blob = table::to_blob_ref(&page.blob);
    String::from_utf8(stage.bucket().await.get_blob(&blob).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_of_real_records_shows_every_column_and_stays_small() {
    let stage = Stage::new();
    let Some(path) = real_records("california_housing.csv.gz") else {
        return;
    };
    let table = stage.table("extract.file", json!({ "from": path })).await;
    let page = profile(&stage, &table).await;
    keep_page("profile.html", &page);
    for column in &table.columns {
        assert!(
            page.contains(&format!("<h2><code>{}</code>", column.name)),
            "{}",
            column.name
        );
    }
    assert!(page.contains("207 of 20,640 values are missing"));
    assert!(page.contains("<svg") && page.contains("&lt;1H OCEAN") && !page.contains("<1H"));
    assert!(page.contains("total_bedrooms and households"));
    assert!(
        !page.contains("<script") && !page.contains("://"),
        "nothing is fetched and nothing runs"
    );
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[tokio::test]
async fn a_hundred_thousand_rows_of_twenty_columns_give_a_small_page() {
    let stage = Stage::new();
    let rows = 100_000_u64;
    let spread = |row: u64, column: u64| {
        (row + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(column as u32 * 3)
            >> 40
    };
    let columns = (0..20_u64).map(|column| {
        let name = format!("column {column}").into();
        Column::from(if column < 14 {
            Series::new(
                name,
                (0..rows)
                    .map(|row| spread(row, column) as f64 / 7.0)
                    .collect::<Vec<_>>(),
            )
        } else {
            Series::new(
                name,
                (0..rows)
                    .map(|row| format!("value {}", spread(row, column) % 5_000))
                    .collect::<Vec<_>>(),
            )
        })
    });
    let frame = DataFrame::new(rows as usize, columns.collect()).unwrap();
    let table = table::write(&stage.bucket().await, frame, About::default())
        .await
        .unwrap();
    let start = Instant::now();
    let page = profile(&stage, &table).await;
    println!(
        "profile.report of 100,000 x 20: {:.2} s, {} bytes",
        start.elapsed().as_secs_f64(),
        page.len()
    );
    assert!(page.len() < 300_000);
    assert_eq!(page.matches("<svg").count(), 14);
}

#[tokio::test]
async fn what_changed_since_the_version_before_is_said() {
    let stage = Stage::new();
    let lines = |factor: usize| -> String {
        let rows = (0..400).map(|row| format!("{},{},{}\n", row * 7 % 401 * factor, ["a", "b"][row % 2], row));
        format!("n,t,id\n{}", rows.collect::<String>())
    };
    let mut versions = Vec::new();
    for (name, factor) in [("then.csv", 1), ("now.csv", 3)] {
        stage.file(name, lines(factor));
        let table = stage.table("extract.file", json!({ "from": name })).await;
        let new = NewDataset {
            name: "numbers".to_owned(),
            files: table.files.iter().map(table::to_blob_ref).collect(),
            raw: Vec::new(),
            collected: None,
            rows: table.rows,
            columns: [("n", "integer"), ("t", "text"), ("id", "integer")]
                .map(|(name, kind)| ColumnManifest {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    known: None,
                    nulls: 0,
                })
                .into(),
            lineage: Lineage::default(),
            key: format!("run/{name}"),
        };
        let manifest = datasets::register(&stage.bucket().await, new).await.unwrap();
        versions.push(Table {
            dataset: manifest.name,
            version: Some(manifest.version),
            ..table
        });
    }
    let run = async |with: serde_json::Value| {
        let outputs = stage.run("profile.report", with).await.unwrap();
        let Some(Output::Report(page)) = outputs.ports.get("page") else {
            panic!("no page in {outputs:?}");
        };
        let blob = table::to_blob_ref(&page.blob);
        String::from_utf8(stage.bucket().await.get_blob(&blob).await.unwrap().to_vec()).unwrap()
    };
    let [then, now] = versions.as_slice() else {
        unreachable!()
    };
    let page = run(json!({ "table": now, "compare_with": "numbers" })).await;
    keep_page("profile-compared.html", &page);
    assert!(page.contains("Compared with numbers@1") && page.contains("n is distributed otherwise than in numbers@1"));
    assert!(!page.contains("id is distributed otherwise"));
    assert_eq!(page, run(json!({ "table": now, "compare_with": "numbers@1" })).await);
    assert_eq!(page, run(json!({ "table": now, "earlier": then })).await);
    let first = run(json!({ "table": then, "compare_with": "numbers" })).await;
    assert!(!first.contains("Compared with"), "the first version has none before it");
}

#[tokio::test]
async fn the_same_table_gives_the_same_page_and_an_empty_one_gives_one_too() {
    let stage = Stage::new();
    stage.file("a.csv", "id,n\na,1\n<i>,2\n<i>,2\n");
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let page = profile(&stage, &table).await;
    assert_eq!(page, profile(&stage, &table).await);
    assert!(page.contains("1 rows repeat an earlier one") && !page.contains("<i>"));
    stage.file("none.csv", "id,n\n");
    let table = stage.table("extract.file", json!({ "from": "none.csv" })).await;
    assert!(profile(&stage, &table).await.contains("the table has no rows"));
}
