//! `extract.sql`.

use ratchet_core::plugin::{ColumnType, Table};
use ratchet_database::test_server::PostgresServer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::Stage;

fn kinds(table: &Table) -> Vec<(&str, ColumnType, u64)> {
    let columns = table.columns.iter();
    columns
        .map(|column| (column.name.as_str(), column.kind, column.nulls))
        .collect()
}

/// A file with a table `orders` in the working directory.
async fn sqlite(stage: &Stage) {
    let path = stage.context.working_directory.join("orders.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display()))
        .await
        .unwrap();
    let script = "CREATE TABLE orders (id INTEGER, price REAL, code TEXT, day TEXT, photo BLOB, mixed);
         INSERT INTO orders VALUES (2, 2.5, '007', '2026-01-02', x'00', 1), (1, NULL, '12', '2026-01-01', NULL, 'a'),
                                   (3, 4, NULL, '2026-01-03', NULL, NULL)";
    sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn with(sql: &str) -> Value {
    json!({ "database": "sqlite://orders.db", "sql": sql, "sort": ["id"] })
}

#[tokio::test]
async fn rows_of_sqlite_come_sorted_and_with_the_types_of_all_their_values() {
    let stage = Stage::new();
    sqlite(&stage).await;
    let mut with = with("SELECT id, price, code, day, mixed FROM orders WHERE id > $1 ORDER BY price");
    with["parameters"] = json!([0]);
    with["types"] = json!({ "day": "date" });
    let table = stage.table("extract.sql", with.clone()).await;
    let expected = [
        ("id", ColumnType::Integer, 0),
        ("price", ColumnType::Number, 1),
        ("code", ColumnType::Text, 1),
        ("day", ColumnType::Date, 0),
        ("mixed", ColumnType::Text, 1),
    ];
    assert_eq!(kinds(&table), expected);
    let frame = stage.frame(&table).await;
    let ids: Vec<Option<i64>> = frame.column("id").unwrap().i64().unwrap().iter().collect();
    assert_eq!(ids, [Some(1), Some(2), Some(3)]);
    assert_eq!(frame.column("code").unwrap().str().unwrap().get(1), Some("007"));
    assert!(table.source.starts_with("sqlite:///") && table.source.ends_with("/work/orders.db"));
    assert!(table.collected.is_some() && table.raw.len() == 1);
    let raw = ratchet_tasks::table::to_blob_ref(&table.raw[0]);
    let raw = stage.bucket().await.get_blob(&raw).await.unwrap();
    let lines = String::from_utf8(zstd::decode_all(raw.as_ref()).unwrap()).unwrap();
    assert_eq!(
        lines.lines().take(2).collect::<Vec<_>>(),
        [
            "{\"columns\":[\"id\",\"price\",\"code\",\"day\",\"mixed\"]}",
            "{\"code\":\"12\",\"day\":\"2026-01-01\",\"id\":1,\"mixed\":\"a\",\"price\":null}"
        ]
    );
    // The rows of then, whatever the database holds by now.
    std::fs::remove_file(stage.context.working_directory.join("orders.db")).unwrap();
    assert_eq!(stage.replaying(&table).table("extract.sql", with).await, table);
}

#[tokio::test]
async fn what_a_database_refuses_is_said_with_the_remedy() {
    let stage = Stage::new();
    sqlite(&stage).await;
    let cases = [
        (
            "SELECT id, photo FROM orders",
            "row 0: column `photo` holds bytes",
            "hex(photo)",
        ),
        ("SELECT id, id FROM orders", "returns two columns `id`", "AS"),
        ("SELECT amount FROM orders", "no such column: amount", "try the query"),
        (
            "SELECT code FROM orders",
            "has no column `id`, but `sort` names it",
            "`code`",
        ),
        (
            "WITH new AS (SELECT 1 AS id) INSERT INTO orders (id) SELECT id FROM new RETURNING id",
            "attempt to write a readonly database",
            "",
        ),
    ];
    for (sql, message, help) in cases {
        let error = stage.run("extract.sql", with(sql)).await.unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(message) && said.contains(help) && !error.retryable,
            "{said}"
        );
    }
    let mut missing = with("SELECT 1 AS id");
    missing["database"] = json!("sqlite://none.db");
    let error = stage.run("extract.sql", missing).await.unwrap_err();
    assert!(error.message.contains("/work/none.db cannot be opened"), "{error}");
    let mut wrong = with("SELECT day AS id FROM orders");
    wrong["types"] = json!({ "id": "integer" });
    let error = stage.run("extract.sql", wrong).await.unwrap_err();
    assert!(
        error
            .message
            .contains("row 0: \"2026-01-02\" in column `id` is not an integer"),
        "{error}"
    );
    assert!(
        !stage.context.working_directory.join("none.db").exists(),
        "reading makes no file"
    );
}

#[test]
fn a_query_that_cannot_be_is_refused_before_anything_is_asked() {
    let registry = ratchet_tasks::registry();
    let with = json!({
        "database": "mysql://ada:hush@localhost/a", "sql": "DELETE FROM a", "sort": [], "parameters": [[1]],
    });
    let problems = (registry.get("extract.sql").unwrap().validate)(&with);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/database", "/sql", "/sort", "/parameters/0"]);
    assert!(problems.iter().all(|problem| !problem.message.contains("hush")));
}

#[tokio::test]
#[ignore = "starts a Postgres server: make test-postgres"]
async fn postgres_gives_its_types_and_is_only_read() {
    let stage = Stage::new();
    let server = PostgresServer::start().await;
    let database = server.database("orders").await;
    let mut connection = PgConnection::connect(&database).await.unwrap();
    let script =
        "CREATE TABLE orders (id bigint, small smallint, price numeric, rate double precision, code text, paid boolean,
           day date, at timestamp, since timestamptz, tags jsonb);
         INSERT INTO orders VALUES
           (2, 1, 2.50, 0.1, '007', true, '2026-01-02', '2026-01-02 03:04:05.25', '2026-07-01 00:00:00+02', '[1]'),
           (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
    sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
    let with = |sql: &str, parameters: Value| json!({ "database": database, "sql": sql, "parameters": parameters, "sort": ["id"] });
    let table = stage
        .table(
            "extract.sql",
            with(
                "SELECT * FROM orders WHERE day IS NULL OR day >= $1::date;",
                json!(["2026-01-01"]),
            ),
        )
        .await;
    let expected = [
        ("id", ColumnType::Integer, 0),
        ("small", ColumnType::Integer, 1),
        ("price", ColumnType::Number, 1),
        ("rate", ColumnType::Number, 1),
        ("code", ColumnType::Text, 1),
        ("paid", ColumnType::Boolean, 1),
        ("day", ColumnType::Date, 1),
        ("at", ColumnType::Timestamp, 1),
        ("since", ColumnType::Timestamp, 1),
        ("tags", ColumnType::Text, 1),
    ];
    assert_eq!(kinds(&table), expected);
    let frame = stage.frame(&table).await;
    let second: Vec<String> = frame
        .columns()
        .iter()
        .map(|column| column.get(1).unwrap().to_string())
        .collect();
    let expected = [
        "2",
        "1",
        "2.5",
        "0.1",
        "\"007\"",
        "true",
        "2026-01-02",
        "2026-01-02 03:04:05.250",
        "2026-06-30 22:00:00",
        "\"[1]\"",
    ];
    assert_eq!(second, expected);
    assert!(
        table.source.starts_with("postgres://127.0.0.1:") && table.source.ends_with("/orders"),
        "{}",
        table.source
    );

    let cases = [
        (
            with("SELECT id FROM orders WHERE day >= $1", json!(["2026-01-01"])),
            "operator does not exist",
            "$1::date",
        ),
        (
            with("SELECT nothing AS id FROM orders", json!([])),
            "column \"nothing\" does not exist",
            "try the query",
        ),
        (
            with("SELECT id FROM orders WHERE id = nextval('none')", json!([])),
            "does not exist",
            "",
        ),
        (
            with("SELECT setval('s', 1) AS id", json!([])),
            "read-only transaction",
            "",
        ),
        (
            with("SELECT 'NaN'::float8 AS id", json!([])),
            "\"NaN\" in column `id` is not a number",
            "",
        ),
    ];
    sqlx::raw_sql(AssertSqlSafe("CREATE SEQUENCE s"))
        .execute(&mut connection)
        .await
        .unwrap();
    for (with, message, help) in cases {
        let error = stage.run("extract.sql", with).await.unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(message) && said.contains(help) && !error.retryable,
            "{said}"
        );
        assert!(!said.contains("secret") && !said.contains("ada"), "{said}");
    }
    let mut wrong = with("SELECT 1 AS id", json!([]));
    wrong["database"] = json!(database.replace("ada:", "eve:"));
    let error = stage.run("extract.sql", wrong).await.unwrap_err();
    assert!(
        error.message.contains("cannot be opened") && !error.to_string().contains("secret"),
        "{error}"
    );
    assert!(!stage.log().contains("secret"));

    // The rows and the types of then, although the table is gone.
    sqlx::raw_sql("DROP TABLE orders")
        .execute(&mut connection)
        .await
        .unwrap();
    let again = with(
        "SELECT * FROM orders WHERE day IS NULL OR day >= $1::date;",
        json!(["2026-01-01"]),
    );
    assert_eq!(stage.replaying(&table).table("extract.sql", again).await, table);
}
