//! `transform.asof`: what was known, and nothing later.

use polars::prelude::DataFrame;
use ratchet_core::plugin::Table;
use serde_json::{Value, json};

use crate::support::Stage;

async fn table(stage: &Stage, name: &str, csv: &str, types: Value) -> Table {
    stage.file(name, csv);
    let header = csv.lines().next().unwrap();
    let known: Vec<&str> = header.split(',').filter(|column| *column != "known_at").collect();
    stage
        .table(
            "extract.file",
            json!({ "from": name, "types": types, "known": { "call": known } }),
        )
        .await
}

async fn calls(stage: &Stage) -> Table {
    let csv = "n,at,place\n3,2017-01-01 12:00:00,b\n1,2017-01-01 10:00:00,a\n2,2017-01-01 10:59:59,a\n4,,a\n5,2017-01-01 12:00:00,\n";
    table(stage, "calls.csv", csv, json!({ "at": "timestamp" })).await
}

async fn readings(stage: &Stage) -> Table {
    let csv = "known_at,place,value\n2017-01-01 11:00:00,a,30\n2017-01-01 09:00:00,a,10\n2017-01-01 10:00:00,a,20\n,a,99\n2017-01-01 09:00:00,b,5\n";
    table(stage, "readings.csv", csv, json!({ "known_at": "timestamp" })).await
}

fn with(left: &Table, right: &Table, more: Value) -> Value {
    let mut with = json!({
        "left": { "table": left, "time": "at" }, "right": { "table": right, "time": "known_at" },
        "by": ["place"], "sort": ["n"],
    });
    for (key, value) in more.as_object().unwrap() {
        with[key] = value.clone();
    }
    with
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().i64().unwrap().iter().collect()
}

#[tokio::test]
async fn each_row_gets_the_newest_that_was_known_at_its_time() {
    let stage = Stage::new();
    let (left, right) = (calls(&stage).await, readings(&stage).await);
    let joined = stage.table("transform.asof", with(&left, &right, json!({}))).await;
    let frame = stage.frame(&joined).await;
    assert_eq!(numbers(&frame, "n"), [1, 2, 3, 4, 5].map(Some));
    // 10:00 is known at 10:00; 11:00 is not yet at 10:59:59; without a time or a place nothing is.
    assert_eq!(numbers(&frame, "value"), [Some(20), Some(20), Some(5), None, None]);
    let names: Vec<&str> = joined.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["n", "at", "place", "known_at", "value"]);
    assert!(
        stage.log().contains("3 of 5 rows found one that was known"),
        "{}",
        stage.log()
    );
    assert_eq!(joined.source, "calls.csv + readings.csv");
}

#[tokio::test]
async fn what_is_too_old_is_left_out() {
    let stage = Stage::new();
    let (left, right) = (calls(&stage).await, readings(&stage).await);
    let settings = json!({ "tolerance_minutes": 60, "columns": ["value"], "prefix": "last_" });
    let joined = stage.table("transform.asof", with(&left, &right, settings)).await;
    let frame = stage.frame(&joined).await;
    assert_eq!(numbers(&frame, "last_value"), [Some(20), Some(20), None, None, None]);
}

#[tokio::test]
async fn the_order_of_the_rows_decides_nothing() {
    let stage = Stage::new();
    let left = calls(&stage).await;
    let ties = "known_at,place,value\n2017-01-01 09:00:00,a,1\n2017-01-01 09:00:00,a,2\n";
    let turned = "known_at,place,value\n2017-01-01 09:00:00,a,2\n2017-01-01 09:00:00,a,1\n";
    let types = || json!({ "known_at": "timestamp" });
    let first = table(&stage, "ties.csv", ties, types()).await;
    let second = table(&stage, "ties.csv", turned, types()).await;
    let one = stage.table("transform.asof", with(&left, &first, json!({}))).await;
    let other = stage.table("transform.asof", with(&left, &second, json!({}))).await;
    assert_eq!(one.files, other.files);
}

/// Against the definition: of the rows with the same key and a time not after this one's, the newest.
#[tokio::test]
async fn a_thousand_rows_agree_with_the_definition_and_no_later_row_shows() {
    let stage = Stage::new();
    let mut state = 7_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let moment = |minute: u64| {
        format!(
            "2017-01-{:02} {:02}:{:02}:00",
            1 + minute / 1440,
            minute / 60 % 24,
            minute % 60
        )
    };
    let asked: Vec<(u64, u64)> = (0..1000).map(|_| (below(5), below(4000))).collect();
    let mut known: Vec<(u64, u64)> = (0..300).map(|_| (below(5), below(4000))).collect();
    known.sort_unstable();
    known.dedup();
    let write = |rows: &[(u64, u64)], header: &str| {
        let rows = rows.iter().enumerate();
        let lines = rows.map(|(number, (place, minute))| format!("{},p{place},{number}\n", moment(*minute)));
        format!("{header}\n{}", lines.collect::<String>())
    };
    let (left, right) = (write(&asked, "at,place,n"), write(&known, "known_at,place,value"));
    let left = table(&stage, "left.csv", &left, json!({ "at": "timestamp" })).await;
    let right_table = table(&stage, "right.csv", &right, json!({ "known_at": "timestamp" })).await;
    let joined = stage
        .table("transform.asof", with(&left, &right_table, json!({})))
        .await;
    let found = numbers(&stage.frame(&joined).await, "value");
    for (number, (place, minute)) in asked.iter().enumerate() {
        let before = known.iter().enumerate();
        let before = before.filter(|(_, (other, at))| other == place && at <= minute);
        let newest = before.max_by_key(|(_, (_, at))| *at).map(|(number, _)| number as i64);
        assert_eq!(found[number], newest, "row {number}");
    }
}

#[tokio::test]
async fn what_cannot_be_joined_is_said_with_the_remedy() {
    let stage = Stage::new();
    let (left, right) = (calls(&stage).await, readings(&stage).await);
    let refused = async |with: Value| stage.run("transform.asof", with).await.unwrap_err().to_string();
    let message = refused(with(&left, &right, json!({ "columns": ["place"] }))).await;
    assert!(
        message.contains("both tables have a column `place`") && message.contains("prefix"),
        "{message}"
    );
    let message = refused(with(&left, &right, json!({ "by": ["plaec"] }))).await;
    assert!(
        message.contains("no column `plaec`") && message.contains("`place`"),
        "{message}"
    );
    let message = refused(with(
        &left,
        &right,
        json!({ "left": { "table": left, "time": "place" } }),
    ))
    .await;
    assert!(message.contains("has no civil time in row"), "{message}");
    let numbered = table(
        &stage,
        "n.csv",
        "known_at,place,value\n2017-01-01 09:00:00,7,1\n",
        json!({ "known_at": "timestamp" }),
    )
    .await;
    let message = refused(with(&left, &numbered, json!({}))).await;
    assert!(message.contains("give it one type"), "{message}");
    let message = refused(with(&left, &right, json!({ "known": { "call": ["valeu"] } }))).await;
    assert!(message.contains("`known` names it"), "{message}");
}
