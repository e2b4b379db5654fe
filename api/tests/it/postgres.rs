//! The log in Postgres: what the other tests say of the file holds there too, and replicas share it.
//!
//! Ignored unless asked for: `make test-postgres` names a directory with a server's programs in `RATCHET_TEST_POSTGRES`.

use std::time::Duration;

use ratchet_api::Options;
use ratchet_api::record::RecordOptions;
use ratchet_api::record::store::{DeadRecord, Filter, GivenTruth, NewRecord, Store, Verdict};
use ratchet_artifacts::feeds;
use ratchet_database::Address;
use ratchet_database::test_server::PostgresServer;
use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, row};

#[tokio::test]
#[ignore = "needs a Postgres server: make test-postgres"]
async fn postgres_keeps_the_log_for_replicas_that_share_it() {
    let mut postgres = PostgresServer::start().await;
    let url = postgres.database("replicas").await;
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    let options = Options {
        record: RecordOptions {
            database: Some(url.clone()),
            ..RecordOptions::default()
        },
        ..house.options()
    };
    let one = house.serve_with(options.clone()).await;
    let other = house.serve_with(options).await;
    let address = Address::parse(&url).unwrap();
    let store = Store::open(&address).await.unwrap();
    let logged = async |count: usize| {
        for _ in 0..400 {
            match store.entries(&Filter::default(), 1000).await {
                Ok(entries) if entries.len() == count => return entries,
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        panic!("there are no {count} entries");
    };
    let mut ids = Vec::new();
    for server in [&one, &other] {
        server.wait_for_version("alpha", 1).await;
        let rows: Vec<Value> = (0..90).map(|easting| row(f64::from(easting))).collect();
        let (status, answers) = server.post("/predict/alpha", &json!(rows)).await;
        assert_eq!(status, 200);
        ids.extend(
            answers["predictions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| answer["prediction_id"].clone()),
        );
        // No text of Postgres holds this character.
        server.post("/predict/alpha", &json!({"a\u{0}b": "\u{0}"})).await;
    }
    logged(182).await;
    // The one takes feedback for what the other answered.
    let truths: Vec<Value> = ids
        .iter()
        .map(|id| json!({"prediction_id": id, "truth": 1.0}))
        .collect();
    assert_eq!(one.post("/feedback", &json!(truths)).await.1["joined"], 180);
    assert_eq!(other.post("/feedback", &json!(truths)).await.1["repeated"], 180);
    let given = GivenTruth {
        prediction: ids[0].as_str().unwrap().to_owned(),
        truth: 2.0,
    };
    let verdicts = store.tell(&[given], false, 1, "test").await.unwrap();
    assert_eq!(verdicts, [Verdict::Contradicted]);
    let covered = store.coverage(0).await.unwrap();
    assert_eq!(covered, [("alpha".to_owned(), 1, "champion".to_owned(), 180, 180)]);
    assert_eq!(
        store.labeled(("alpha", 1, "champion"), 0, 1000).await.unwrap().len(),
        180
    );
    // The database goes away; predictions do not, and what waited is written when it is back.
    postgres.stop();
    for second in 0..30 {
        assert_eq!(one.post("/predict/alpha", &row(f64::from(second))).await.0, 200);
        assert_eq!(one.get("/health").await.0, 200, "predictions do not need the log");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(
        one.text("/metrics/prometheus")
            .await
            .contains("ratchet_api_record_reachable 0")
    );
    postgres.start_again().await;
    logged(212).await;
    one.stop().await;
    other.stop().await;
    let mut sent = Vec::new();
    for path in feeds::list(&house.bucket, "predictions", None).await.unwrap() {
        let content = feeds::read(&house.bucket, &path).await.unwrap().unwrap();
        for line in String::from_utf8(content).unwrap().lines() {
            sent.push(
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    let all = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!((all, sent.len()), (212, 212), "each goes once");
    assert!(store.trim(i64::MAX, u64::MAX).await.unwrap() == 212);
    records(&store).await;
    assert_eq!(store.size().await.unwrap(), 0);
}

/// Rows of a collection, as on SQLite.
async fn records(store: &Store) {
    let new = |id: i64, minutes: i64| NewRecord {
        key: format!("[{id}]"),
        content: format!("{{\"id\":{id},\"minutes\":{minutes}}}"),
        line: "{}".to_owned(),
    };
    let rows: Vec<NewRecord> = (0..20).map(|id| new(id, id)).collect();
    let kept = store.keep_records("rides", &rows, 1, "ada").await.unwrap();
    assert_eq!((kept.added, kept.replaced, kept.unchanged), (20, 0, 0));
    let kept = store
        .keep_records("rides", &[new(3, 3), new(4, 40), new(30, 1)], 2, "ada")
        .await
        .unwrap();
    assert_eq!((kept.added, kept.replaced, kept.unchanged), (1, 1, 1));
    let mut found = Vec::new();
    while let page = store
        .records("rides", found.last().map_or("", String::as_str), 8)
        .await
        .unwrap()
        && !page.is_empty()
    {
        found.extend(page.into_iter().map(|record| record.key));
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 21);
    let dead = |id, minutes| DeadRecord {
        key: new(id, minutes).key,
        content: new(id, minutes).content,
        line: "{}".to_owned(),
    };
    let gone = store
        .drop_records("rides", &[dead(4, 4), dead(4, 40), dead(5, 5)], 3)
        .await
        .unwrap();
    assert_eq!(gone, 2, "what changed meanwhile stays");
    assert_eq!(store.record_counts().await.unwrap()["rides"], 19);
}
