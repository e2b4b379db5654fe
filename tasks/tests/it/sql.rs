//! `transform.sql`.

use ratchet_core::plugin::{Known, Table};
use serde_json::{Value, json};

use crate::support::Stage;

async fn vehicles(stage: &Stage) -> Table {
    stage.file("a.csv", "id,hour,seconds\nb,1,10\na,2,20\nc,3,5\n");
    let known = json!({ "call": ["id", "hour"], "after": ["seconds"] });
    stage
        .table("extract.file", json!({ "from": "a.csv", "known": known }))
        .await
}

fn with(table: &Table, sql: &str, more: Value) -> Value {
    let mut with = json!({ "tables": { "rows": table }, "sql": sql, "sort": ["id"] });
    for (key, value) in more.as_object().unwrap() {
        with[key] = value.clone();
    }
    with
}

#[tokio::test]
async fn source_and_times_are_handed_on() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let sql = "SELECT id, hour, seconds * 2 AS twice FROM rows WHERE seconds > 5";
    let made = stage
        .table(
            "transform.sql",
            with(&table, sql, json!({ "known": { "after": ["twice"] } })),
        )
        .await;
    let known: Vec<Option<Known>> = made.columns.iter().map(|column| column.known).collect();
    assert_eq!(known, [Some(Known::Call), Some(Known::Call), Some(Known::After)]);
    assert_eq!((made.source.as_str(), made.rows), ("a.csv", 2));
    let frame = stage.frame(&made).await;
    assert_eq!(frame.column("id").unwrap().str().unwrap().get(0), Some("a"));
}

#[tokio::test]
async fn a_value_cannot_be_made_known_earlier() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let config = with(
        &table,
        "SELECT id, seconds FROM rows",
        json!({ "known": { "call": ["seconds"] } }),
    );
    let error = stage.run("transform.sql", config).await.unwrap_err();
    assert_eq!(
        error.message,
        "`known` calls column `seconds` `call`, but its table says `after`"
    );
}

#[tokio::test]
async fn the_result_of_a_query_does_not_depend_on_the_order_of_its_input() {
    let stage = Stage::new();
    stage.file("one.csv", "k,v\n1,a\n1,b\n2,a\n");
    stage.file("two.csv", "k,v\n2,a\n1,b\n1,a\n");
    let sql = "SELECT r.k, r.v, g.n FROM rows r JOIN (SELECT k, COUNT(*) AS n FROM rows GROUP BY k) g ON r.k = g.k";
    let mut digests = Vec::new();
    for name in ["one.csv", "two.csv"] {
        let table = stage.table("extract.file", json!({ "from": name })).await;
        let config = json!({ "tables": { "rows": table }, "sql": sql, "sort": ["k"] });
        digests.push(stage.table("transform.sql", config).await.files);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn no_query_brings_the_engine_down() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    for sql in [
        "SELECT",
        "SELECT * FROM nowhere",
        "SELECT * FROM rows WHERE",
        "SELECT missing FROM rows",
        "SELECT id FROM rows GROUP BY",
        "SELECT COUNT(*) FROM rows HAVING hour > 1",
        "SELECT id, id FROM rows",
        "SELECT no_such_function(id) FROM rows",
        "SELECT id + hour FROM rows",
        "SELECT CAST(id AS BIGINT) AS id FROM rows",
        "SELECT id, REGEXP_LIKE(id, '[') AS bad FROM rows",
        "SELECT id, SUBSTR(id, -1, -1) AS bad FROM rows",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT id FROM rows; SELECT id FROM rows",
        "CREATE TABLE x AS SELECT id FROM rows",
    ] {
        let error = stage
            .run("transform.sql", with(&table, sql, json!({})))
            .await
            .unwrap_err();
        assert!(
            !error.retryable && !error.message.contains("broke off"),
            "{sql}: {error}"
        );
        assert!(
            !error.message.contains("Ident {"),
            "{sql} shows the parser's insides: {error}"
        );
    }
}
