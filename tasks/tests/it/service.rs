//! `extract.http`: a service that answers in JSON.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratchet_core::plugin::ColumnType;
use serde_json::{Value, json};

use crate::server::{Answer, Request, Server};
use crate::support::{Stage, real_records};

const KEY: &str = "a-key-of-tests";

/// Serves records by `page` and `size` to whoever has the key, in the shape of a weather service. The second request gets 429.
async fn weather(records: Vec<Value>) -> Server {
    let records = Arc::new(records);
    Server::start(move |request, before| {
        if request.header("x-api-key") != Some(KEY) {
            return Answer::new(401, "{\"message\": \"no key\"}");
        }
        if before == 1 {
            return Answer::new(429, "").with("retry-after", "0");
        }
        let number = |name: &str| request.parameter(name).unwrap().parse::<usize>().unwrap();
        let (page, size) = (number("page"), number("size"));
        let hours: Vec<&Value> = records.iter().skip((page - 1) * size).take(size).collect();
        Answer::new(200, json!({ "data": { "hours": hours }, "page": page }).to_string())
    })
    .await
}

fn hours() -> Vec<Value> {
    let hour = |number: i64| {
        json!({
            "time": format!("2026-01-01T{:02}:00:00Z", number),
            "main": { "temp": number as f64 / 2.0, "humidity": 60 + number },
            "wind": if number == 3 { json!({}) } else { json!({ "direction": "NW" }) },
        })
    };
    (0..7).map(hour).collect()
}

fn with(server: &Server) -> Value {
    json!({
        "url": format!("{}/v1/hourly", server.url),
        "query": { "station": 7, "size": 3 },
        "headers": { "X-Api-Key": KEY },
        "pages": { "number": { "parameter": "page" } },
        "records": "/data/hours",
        "columns": { "Hour": "/time", "TEMP": "/main/temp", "HUMI": "/main/humidity", "WIND": "/wind/direction" },
        "types": { "Hour": "timestamp" },
        "sort": ["Hour"],
    })
}

#[tokio::test]
async fn pages_behind_a_key_become_one_table_with_its_raw_answers() {
    let stage = Stage::new();
    let server = weather(hours()).await;
    let table = stage.table("extract.http", with(&server)).await;
    let columns: Vec<(&str, ColumnType, u64)> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind, column.nulls))
        .collect();
    let expected = [
        ("HUMI", ColumnType::Integer, 0),
        ("Hour", ColumnType::Timestamp, 0),
        ("TEMP", ColumnType::Number, 0),
        ("WIND", ColumnType::Text, 1),
    ];
    assert_eq!(columns, expected);
    assert_eq!((table.rows, table.raw.len()), (7, 4), "three pages and an empty one");
    assert_eq!(table.source, format!("{}/v1/hourly", server.url));
    assert!(table.collected.is_some());
    assert!(
        stage.log().contains("1 of 7 records") && stage.log().contains("429"),
        "{}",
        stage.log()
    );
    assert!(!stage.log().contains(KEY));
    let raw = ratchet_tasks::table::to_blob_ref(&table.raw[1]);
    let raw: Value = serde_json::from_slice(&stage.bucket().await.get_blob(&raw).await.unwrap()).unwrap();
    assert_eq!(raw["data"]["hours"][0]["time"], "2026-01-01T03:00:00Z");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.parameter("station").as_deref() == Some("7"))
    );
    // The same records again: the same bytes, whenever they are asked for.
    let again = stage.table("extract.http", with(&weather(hours()).await)).await;
    assert_eq!(again.files, table.files);
}

#[tokio::test]
async fn the_time_of_collection_is_a_column_for_whoever_wants_it() {
    let stage = Stage::new();
    let server = weather(hours()).await;
    let mut with = with(&server);
    with["collected_as"] = json!("collected_at");
    let table = stage.table("extract.http", with.clone()).await;
    let at = table.collected.as_ref().unwrap().at;
    let frame = stage.frame(&table).await;
    let shown = frame.column("collected_at").unwrap().get(0).unwrap().to_string();
    assert_eq!(shown, at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    with["collected_as"] = json!("TEMP");
    let error = stage.run("extract.http", with).await.unwrap_err();
    assert!(error.message.contains("has a column `TEMP` already"), "{error}");
}

#[tokio::test]
async fn no_more_is_asked_in_a_second_than_the_service_allows() {
    let stage = Stage::new();
    let server = weather(hours()).await;
    let mut with = with(&server);
    with["requests_per_second"] = json!(20);
    let start = Instant::now();
    stage.table("extract.http", with).await;
    // Five requests, the refused one among them, have four pauses of 50 ms between them.
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(server.requests().len(), 5);
}

/// What a service answers, the configuration, and what is said: the problem and the remedy.
type Case = (fn(&Request, usize) -> Answer, Value, &'static str, &'static str);

#[tokio::test]
async fn what_a_service_answers_wrongly_is_named_with_the_remedy() {
    let stage = Stage::new();
    let service = |answer: fn(&Request, usize) -> Answer| async move { Server::start(answer).await };
    let base = |server: &Server| json!({ "url": format!("{}/v1", server.url), "records": "/data" });
    let cases: [Case; 8] = [
        (
            |_, _| Answer::new(403, ""),
            json!({}),
            "answers 403 Forbidden",
            "check the key",
        ),
        (
            |_, _| Answer::new(200, "<html>Sign in</html>").with("content-type", "text/html"),
            json!({}),
            "page 1 of URL is no JSON (the server calls it text/html)",
            "raw answer",
        ),
        (
            |_, _| Answer::new(200, "{\"date\": []}"),
            json!({}),
            "page 1 of URL has nothing at `/data`",
            "did you mean `date`?",
        ),
        (
            |_, _| Answer::new(200, "{\"data\": {\"a\": 1}}"),
            json!({}),
            "page 1 of URL holds an object where `records` (`/data`) expects a list",
            "keys of the answer",
        ),
        (
            |_, _| Answer::new(200, "{\"data\": [1]}"),
            json!({}),
            "record 0 of page 1 of URL is a number, not an object",
            "",
        ),
        (
            |_, _| Answer::new(200, "{\"data\": [{\"temp\": 1}]}"),
            json!({ "columns": { "TEMP": "/temperature" } }),
            "no record of URL has a value at `/temperature`, where column `TEMP` is read",
            "did you mean `temp`?",
        ),
        (
            |_, _| Answer::new(200, "{\"data\": [{\"a\": 1}], \"next\": \"x\"}"),
            json!({ "pages": { "cursor": { "parameter": "after", "next": "/next" } } }),
            "names a page as its next one that it gave already",
            "`pages`",
        ),
        (
            |_, _| Answer::new(302, "").with("location", "http://127.0.0.2:9/v1?key=secret"),
            json!({}),
            "redirects to another server, http://127.0.0.2:9/v1, which is not meant",
            "final address",
        ),
    ];
    for (answer, more, message, help) in cases {
        let server = service(answer).await;
        let mut with = base(&server);
        for (name, value) in more.as_object().unwrap() {
            with[name] = value.clone();
        }
        let error = stage.run("extract.http", with).await.unwrap_err();
        let said = error.to_string().replace(&format!("{}/v1", server.url), "URL");
        assert!(
            said.contains(message) && said.contains(help) && !error.retryable,
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_service_that_recovers_is_read_and_one_that_goes_on_and_on_is_not() {
    let stage = Stage::new();
    let server = Server::start(|_, before| match before {
        0 => Answer::new(500, ""),
        _ => Answer::new(200, "[{\"a\": 1}]"),
    })
    .await;
    let mut with = json!({ "url": server.url });
    assert_eq!(stage.table("extract.http", with.clone()).await.rows, 1);
    with["pages"] = json!({ "number": { "parameter": "page" } });
    with["most_pages"] = json!(3);
    let error = stage.run("extract.http", with).await.unwrap_err();
    assert!(
        error.message.contains("has more than 3 pages") && error.to_string().contains("`most_pages`"),
        "{error}"
    );
}

#[tokio::test]
async fn no_records_are_a_table_without_rows_and_with_its_columns() {
    let stage = Stage::new();
    let server = weather(Vec::new()).await;
    let table = stage.table("extract.http", with(&server)).await;
    assert_eq!((table.rows, table.columns.len()), (0, 4));
}

#[tokio::test]
async fn the_published_weather_comes_by_a_service_as_it_comes_by_a_file() {
    let stage = Stage::new();
    let Some(path) = real_records("hourly_weather_beijing_2010_2014.csv.gz") else {
        return;
    };
    let read = json!({ "from": path, "null_values": ["", "NA"] });
    let table = stage.table("extract.file", read).await;
    let rows = ratchet_tasks::rows::rows(&stage.bucket().await, &table).await.unwrap();
    let server = weather(rows.into_iter().map(Value::Object).collect()).await;
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let columns: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("/{name}"))))
        .collect();
    let with = json!({
        "url": server.url,
        "query": { "size": 1000 },
        "headers": { "X-Api-Key": KEY },
        "pages": { "number": { "parameter": "page" } },
        "records": "/data/hours",
        "columns": columns,
    });
    let served = stage.table("extract.http", with).await;
    assert_eq!((served.rows, served.raw.len()), (43_824, 45));
    // One has its columns in the order of the file, the other in that of their names.
    let expected = stage.frame(&table).await;
    let found = stage.frame(&served).await.select(names.iter().copied()).unwrap();
    assert!(found.equals_missing(&expected));
}

#[test]
fn a_configuration_that_cannot_be_is_refused_before_anything_is_asked() {
    let registry = ratchet_tasks::registry();
    let with = json!({
        "url": "ftp://example.com",
        "query": { "a": [1] },
        "headers": { "X Key": "a" },
        "records": "data",
        "columns": { "a": "b" },
        "requests_per_second": 0,
    });
    let problems = (registry.get("extract.http").unwrap().validate)(&with);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    let expected = [
        "/url",
        "/query/a",
        "/headers/X Key",
        "/columns/a",
        "/records",
        "/requests_per_second",
    ];
    assert_eq!(pointers, expected);
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_fetched_again() {
    let stage = Stage::new();
    let server = Server::start(|request, before| {
        let page: usize = request.parameter("page").unwrap().parse().unwrap();
        // The second page grows between the two runs.
        let tag = format!("\"{page}.{}\"", usize::from(page == 2 && before > 2));
        if request.header("if-none-match") == Some(&tag) {
            return Answer::new(304, "");
        }
        let records = match (page, before > 2) {
            (1, _) => json!([{ "id": 1 }, { "id": 2 }]),
            (2, false) => json!([{ "id": 3 }]),
            (2, true) => json!([{ "id": 3 }, { "id": 4 }]),
            _ => json!([]),
        };
        Answer::new(200, records.to_string()).with("etag", tag)
    })
    .await;
    let with = json!({ "url": server.url, "pages": { "number": { "parameter": "page" } } });
    let first = stage.table("extract.http", with.clone()).await;
    stage.register(&first).await;
    let again = stage.table("extract.http", with.clone()).await;
    assert_eq!((first.rows, again.rows), (3, 4));
    assert_eq!(
        (&again.raw[0], &again.raw[2]),
        (&first.raw[0], &first.raw[2]),
        "the first page and the empty one are those that were kept"
    );
    let asked: Vec<Option<String>> = server
        .requests()
        .iter()
        .map(|request| request.header("if-none-match").map(str::to_owned))
        .collect();
    let tags = ["\"1.0\"", "\"2.0\"", "\"3.0\""].map(|tag| Some(tag.to_owned()));
    assert_eq!((&asked[..3], &asked[3..]), (&[None, None, None][..], &tags[..]));
    assert!(stage.log().contains("2 of 3 pages have not changed"), "{}", stage.log());

    // The same page of another address is another page.
    let mut other = with;
    other["query"] = json!({ "station": 8 });
    stage.table("extract.http", other).await;
    assert_eq!(server.requests()[6].header("if-none-match"), None);
}

#[tokio::test]
async fn what_a_service_answered_is_read_again_without_asking_it() {
    let stage = Stage::new();
    let server = weather(hours()).await;
    let mut with = with(&server);
    with["collected_as"] = json!("collected_at");
    let table = stage.table("extract.http", with.clone()).await;
    let asked = server.requests().len();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let again = stage.replaying(&table).table("extract.http", with).await;
    assert_eq!(again, table, "to the second in which it was collected");
    assert_eq!(server.requests().len(), asked);
}
