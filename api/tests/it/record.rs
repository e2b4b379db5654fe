//! The log of requests, feedback, live accuracy, and their way into the bucket.

use std::time::Duration;

use ratchet_api::Options;
use ratchet_api::record::RecordOptions;
use ratchet_artifacts::{Bucket, feeds};
use ratchet_identity::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bundles::TestBundle;
use crate::server::{House, PASSWORD, Server, row};

struct Desk {
    house: House,
    server: Server,
    operator: String,
}

async fn desk_with(record: RecordOptions) -> Desk {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    let olga = house.identity.add_user("olga", PASSWORD, Role::Operator).await.unwrap();
    let operator = house.identity.issue_token(&olga).unwrap().token;
    let options = Options {
        record,
        ..house.options()
    };
    let server = house.serve_with(options).await;
    server.wait_for_version("alpha", 1).await;
    Desk {
        house,
        server,
        operator,
    }
}

impl Desk {
    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self
            .server
            .client
            .get(self.server.url(path))
            .bearer_auth(&self.operator);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The newest entries, once there are as many.
    async fn logs(&self, query: &str, count: usize) -> Vec<Value> {
        let mut page = Value::Null;
        for _ in 0..200 {
            page = self.get(&format!("/logs/100{query}")).await.1;
            let entries = page["entries"].as_array().cloned().unwrap_or_default();
            if entries.len() == count {
                return entries;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{query}: {page:#}");
    }
}

pub async fn lines(bucket: &Bucket, collection: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    for path in feeds::list(bucket, collection, None).await.unwrap() {
        let content = feeds::read(bucket, &path).await.unwrap().unwrap();
        let text = String::from_utf8(content).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

#[tokio::test]
async fn answered_and_refused_requests_are_logged_with_masked_fields_and_can_be_found() {
    let desk = desk_with(RecordOptions {
        masked: vec!["alpha.station".to_owned(), "beta.easting".to_owned()],
        ..RecordOptions::default()
    })
    .await;
    let server = &desk.server;
    let (_, answer) = server.post("/predict/alpha", &row(50.5)).await;
    server.post("/predict/alpha", &json!([row(1.0), row(500.0)])).await;
    server.post("/predict/alpha", &json!({"easting": "secret"})).await;
    let anonymous = server.client.post(server.url("/predict/alpha")).json(&row(1.0));
    assert_eq!(anonymous.send().await.unwrap().status(), 401);
    let stream = "{\"easting\": 1.0, \"station\": \"Soho\", \"called_at\": \"1970-01-01 00:30:00\"}\n{\"a\": 1}\n";
    let request = server
        .client
        .post(server.url("/predict/alpha"))
        .bearer_auth(&server.token);
    let streamed = request
        .header("content-type", "application/x-ndjson")
        .body(stream)
        .send()
        .await
        .unwrap();
    assert_eq!(streamed.text().await.unwrap().lines().count(), 2);
    let tensors = json!({"inputs": [
        {"name": "easting", "shape": [1], "datatype": "FP64", "data": [2.0]},
        {"name": "station", "shape": [1], "datatype": "BYTES", "data": ["Soho"]},
        {"name": "called_at", "shape": [1], "datatype": "BYTES", "data": ["1970-01-01 00:30:00"]}]});
    assert_eq!(server.post("/v2/models/alpha/infer", &tensors).await.0, 200);
    let all = desk.logs("", 8).await;
    let count = |status: i64| all.iter().filter(|entry| entry["status"] == status).count();
    assert_eq!((count(200), count(422), count(401)), (5, 2, 1));
    let id = answer["prediction_id"].as_str().unwrap();
    let found = desk.logs(&format!("?id={id}"), 1).await.remove(0);
    assert_eq!(found["inputs"]["station"], "(masked)");
    assert_eq!(
        found["inputs"]["easting"], 50.5,
        "the mask of another model does not count"
    );
    assert_eq!(found["answer"], answer, "the answer is kept as it was given");
    assert_eq!(
        (&found["caller"], &found["model"], &found["version"]),
        (&json!("ada"), &json!("alpha"), &json!(1))
    );
    assert!(found["milliseconds"].as_f64().unwrap() > 0.0);
    let refused = desk.logs("?status=422&caller=ada", 2).await;
    for entry in &refused {
        let error = entry["error"].as_str().unwrap();
        assert!(error.contains("/station") && !error.contains("secret"), "{error}");
    }
    assert!(desk.logs("?status=401", 1).await[0]["caller"].is_null());
    assert!(desk.logs("?model=beta", 0).await.is_empty());
    assert!(desk.logs("?until=2020-01-01T00:00:00Z", 0).await.is_empty());
    assert_eq!(desk.logs("?since=2020-01-01T00:00:00Z&version=1", 8).await.len(), 8);
    // Pages follow each other without a gap.
    let mut ids = Vec::new();
    let mut next = String::new();
    loop {
        let page = desk.get(&format!("/logs/3{next}")).await.1;
        ids.extend(
            page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["id"].clone()),
        );
        match page["next"].as_i64() {
            Some(before) => next = format!("?before={before}"),
            None => break,
        }
    }
    assert_eq!(ids, all.iter().map(|entry| entry["id"].clone()).collect::<Vec<_>>());
    for wrong in [
        "/logs/0",
        "/logs/x",
        "/logs/1001",
        "/logs/1?since=now",
        "/logs/1?color=red",
    ] {
        assert_eq!(desk.get(wrong).await.0, 422, "{wrong}");
    }
    assert_eq!(server.get("/logs/1").await.0, 401);
}

#[tokio::test]
async fn feedback_joins_once_and_tells_how_good_the_answers_were() {
    let desk = desk_with(RecordOptions::default()).await;
    let server = &desk.server;
    // The model answers 0.5 more than the easting.
    let rows: Vec<Value> = (0..20).map(|easting| row(f64::from(easting))).collect();
    let (_, answers) = server.post("/predict/alpha", &json!(rows)).await;
    desk.logs("", 20).await;
    let ids: Vec<String> = answers["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["prediction_id"].as_str().unwrap().to_owned())
        .collect();
    let truths: Vec<Value> = (0..15)
        .map(|index| json!({"prediction_id": ids[index], "truth": index as f64}))
        .collect();
    let kept = server.post("/feedback", &json!(truths)).await;
    assert_eq!(kept, (200, json!({"joined": 15, "unknown": 0, "repeated": 0})));
    let again = server.post("/feedback", &truths[3]).await;
    assert_eq!(again, (200, json!({"joined": 0, "unknown": 0, "repeated": 1})));
    let other = json!({"prediction_id": ids[3], "truth": 100.0});
    let mixed = json!([{"prediction_id": ids[16], "truth": 1.0}, other]);
    assert_eq!(
        server.post("/feedback", &mixed).await.0,
        409,
        "all of a list or nothing"
    );
    let (_, accuracy) = desk.get("/accuracy?hours=1").await;
    let alpha = &accuracy["models"][0];
    assert_eq!(
        (&alpha["rows"], &alpha["labels"]),
        (&json!(20), &json!(15)),
        "{accuracy}"
    );
    assert_eq!(alpha["label_coverage"], 0.75);
    assert_eq!(alpha["metrics"]["mae"], 0.5);
    let corrected = server.post("/feedback?replace=true", &other).await;
    assert_eq!(corrected.0, 200);
    let (_, accuracy) = desk.get("/accuracy").await;
    let mae = accuracy["models"][0]["metrics"]["mae"].as_f64().unwrap();
    assert!((mae - (14.0 * 0.5 + 96.5) / 15.0).abs() < 1e-9, "{mae}");
    let stranger = json!({"prediction_id": uuid::Uuid::now_v7().to_string(), "truth": true});
    assert_eq!(server.post("/feedback", &stranger).await.1["unknown"], 1);
    let (status, problem) = server
        .post("/feedback", &json!([{"prediction_id": "x", "truth": "y", "z": 1}, 3]))
        .await;
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        (status, pointers),
        (422, vec!["/0/prediction_id", "/0/truth", "/0/z", "/1"])
    );
    let empty = json!({"prediction_id": "", "truth": 1});
    assert_eq!(server.post("/feedback", &empty).await.0, 422);
    assert_eq!(desk.get("/accuracy?hours=0").await.0, 422);
}

#[tokio::test]
async fn everything_reaches_the_feeds_once_also_over_a_restart() {
    let desk = desk_with(RecordOptions::default()).await;
    let (_, answer) = desk.server.post("/predict/alpha", &row(1.0)).await;
    let truth = json!({"prediction_id": answer["prediction_id"], "truth": 1.0});
    desk.logs("", 1).await;
    assert_eq!(desk.server.post("/feedback", &truth).await.0, 200);
    desk.server.stop().await;
    let predictions = lines(&desk.house.bucket, "predictions").await;
    assert_eq!(predictions.len(), 1);
    assert_eq!(predictions[0]["answer"], answer);
    assert_eq!(predictions[0]["inputs"], row(1.0));
    let told = lines(&desk.house.bucket, "feedback").await;
    assert_eq!(
        (told.len(), &told[0]["truth"], &told[0]["model"], &told[0]["version"]),
        (1, &json!(1.0), &json!("alpha"), &json!(1))
    );
    let identity = ratchet_identity::Identity::open_with_secret(desk.house.home.path(), None, None)
        .await
        .unwrap();
    let house = House { identity, ..desk.house };
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    server.post("/predict/alpha", &json!([row(2.0), row(3.0)])).await;
    server.stop().await;
    let eastings: Vec<f64> = lines(&house.bucket, "predictions")
        .await
        .iter()
        .map(|line| line["inputs"]["easting"].as_f64().unwrap())
        .collect();
    assert_eq!(eastings, [1.0, 2.0, 3.0]);
    assert_eq!(lines(&house.bucket, "feedback").await.len(), 1);
}

#[tokio::test]
async fn a_share_of_zero_keeps_what_was_refused_alone() {
    let desk = desk_with(RecordOptions {
        share: 0.0,
        feeds: false,
        ..RecordOptions::default()
    })
    .await;
    desk.server.post("/predict/alpha", &row(1.0)).await;
    desk.server.post("/predict/alpha", &json!({})).await;
    assert_eq!(desk.logs("", 1).await[0]["status"], 422);
    desk.server.stop().await;
    assert!(lines(&desk.house.bucket, "predictions").await.is_empty());
}

#[tokio::test]
async fn without_its_database_predictions_go_on_and_the_log_says_so() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    // A directory is no database.
    std::fs::create_dir(house.home.path().join("api.sqlite")).unwrap();
    let olga = house.identity.add_user("olga", PASSWORD, Role::Operator).await.unwrap();
    let operator = house.identity.issue_token(&olga).unwrap().token;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.0, 200);
    let request = server.client.get(server.url("/logs/1")).bearer_auth(&operator);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    for _ in 0..200 {
        if server
            .text("/metrics/prometheus")
            .await
            .contains("ratchet_api_record_reachable 0")
        {
            // It comes back as soon as the way is free, with what waited.
            std::fs::remove_dir(house.home.path().join("api.sqlite")).unwrap();
            let desk = Desk {
                house,
                server,
                operator,
            };
            assert_eq!(desk.logs("", 1).await.len(), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the metrics say nothing");
}

#[tokio::test]
async fn a_request_that_runs_into_its_time_out_stands_in_the_log() {
    let desk = desk_with(RecordOptions::default()).await;
    let mut stalled = tokio::net::TcpStream::connect(desk.server.address).await.unwrap();
    let head = format!(
        "POST /predict/alpha HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        desk.server.token
    );
    stalled.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stalled.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let entries = desk.logs("?status=408", 1).await;
    let (model, waited) = (&entries[0]["model"], entries[0]["milliseconds"].as_f64().unwrap());
    assert!(
        model == "alpha" && (29_900.0..31_000.0).contains(&waited),
        "{entries:?}"
    );
}
