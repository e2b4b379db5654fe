//! `publish.lookup`, and training with what it published.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_artifacts::lookups::{self, NewLookup};
use ratchet_artifacts::{BlobRef, Lineage};
use ratchet_core::plugin::{Lookup, Model, Output, Table};
use ratchet_model::Bundle;
use ratchet_model::features::{LookupTable, LookupTables};
use serde_json::{Value, json};

use crate::support::Stage;

/// Publishes as the engine does when a task has ended.
async fn publish(stage: &Stage, with: Value) -> Lookup {
    let outputs = stage
        .run("publish.lookup", with)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let Some(Output::Lookup(lookup)) = outputs.ports.get("lookup") else {
        panic!("{outputs:?}");
    };
    let new = NewLookup {
        name: lookup.name.clone(),
        content: BlobRef {
            sha256: lookup.content.sha256.clone(),
            bytes: lookup.content.bytes,
        },
        rows: lookup.rows,
        found_by: lookup.key.clone(),
        time: lookup.time.clone(),
        columns: Vec::new(),
        lineage: Lineage::default(),
        key: format!("{}/{}", lookup.content.sha256, lookup.name),
    };
    let manifest = lookups::register(&stage.bucket().await, new).await.unwrap();
    Lookup {
        version: Some(manifest.version),
        ..lookup.clone()
    }
}

async fn extract(stage: &Stage, name: &str, csv: &str, types: Value, known: &[&str]) -> Table {
    stage.file(name, csv);
    let with = json!({ "from": name, "types": types, "known": { "call": known } });
    stage.table("extract.file", with).await
}

/// A call each half hour for 100 days; the rain of the hour decides how long the crew takes, and the crew.
async fn calls(stage: &Stage) -> Table {
    let mut csv = "called_at,station,seconds\n".to_owned();
    for half_hour in 0..4800_u64 {
        let (day, minute) = (half_hour / 48, half_hour % 48 * 30);
        let date = jiff::civil::date(2017, 1, 1)
            .checked_add(jiff::Span::new().days(day as i64))
            .unwrap();
        let (station, slow) = if half_hour % 3 == 0 {
            ("SOHO", 60.0)
        } else {
            ("Euston", 0.0)
        };
        let seconds = 200.0 + slow + 10.0 * rain(half_hour / 2) + (half_hour * 7919 % 11) as f64;
        csv.push_str(&format!(
            "{date} {:02}:{:02}:00,{station},{seconds}\n",
            minute / 60,
            minute % 60
        ));
    }
    let known = ["called_at", "station"];
    let mut with = json!({ "from": "calls.csv", "types": {}, "known": { "call": known, "after": ["seconds"] } });
    with["types"] = json!({ "seconds": "number" });
    stage.file("calls.csv", &csv);
    stage.table("extract.file", with).await
}

fn rain(hour: u64) -> f64 {
    (hour * 31 % 13) as f64
}

/// The rain of each hour, known when it begins.
async fn weather(stage: &Stage, more: f64) -> Table {
    let mut csv = "known_at,rain\n".to_owned();
    for hour in 0..2400_u64 {
        let date = jiff::civil::date(2017, 1, 1)
            .checked_add(jiff::Span::new().days((hour / 24) as i64))
            .unwrap();
        csv.push_str(&format!("{date} {:02}:00:00,{}\n", hour % 24, rain(hour) + more));
    }
    let types = json!({ "known_at": "timestamp", "rain": "number" });
    extract(stage, "weather.csv", &csv, types, &["known_at", "rain"]).await
}

async fn stations(stage: &Stage) -> Table {
    let csv = "name,crew\nsoho,60\neuston,0\n";
    extract(
        stage,
        "stations.csv",
        csv,
        json!({ "crew": "number" }),
        &["name", "crew"],
    )
    .await
}

async fn published(stage: &Stage) -> (Lookup, Lookup) {
    let (weather, stations) = (weather(stage, 0.0).await, stations(stage).await);
    (
        publish(
            stage,
            json!({ "name": "weather", "table": weather, "time": "known_at" }),
        )
        .await,
        publish(stage, json!({ "name": "stations", "table": stations, "key": ["name"] })).await,
    )
}

fn configuration(table: &Table, weather: Value, stations: Value) -> Value {
    json!({
        "model": "times", "table": table, "predict_at": "call", "time": "called_at", "holdout_days": 20,
        "target": {"regression": {"column": "seconds", "answer": "seconds"}},
        "lookups": {
            "weather": weather.as_object().map(|weather| {
                let mut weather = weather.clone();
                weather.insert("at".to_owned(), json!("called_at"));
                weather.insert("tolerance_minutes".to_owned(), json!(120));
                weather
            }),
            "stations": stations.as_object().map(|stations| {
                let mut stations = stations.clone();
                stations.insert("key".to_owned(), json!([{"field": "station"}]));
                stations
            }),
        },
        "features": [
            {"calendar": {"field": "called_at", "parts": ["hour"]}},
            {"number": {"fields": ["weather.rain", "stations.crew"]}},
        ],
        "candidates": [{"linear": {}}],
    })
}

async fn train(stage: &Stage, with: Value) -> Model {
    let outputs = stage
        .run("train.model", with)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    match outputs.ports.get("model") {
        Some(Output::Model(model)) => (**model).clone(),
        other => panic!("{other:?}"),
    }
}

async fn bundle(stage: &Stage, model: &Model) -> Bundle {
    let blob = ratchet_tasks::table::to_blob_ref(&model.bundle);
    Bundle::read(&stage.bucket().await.get_blob(&blob).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_model_learns_from_lookups_and_asks_only_for_what_finds_their_rows() {
    let stage = Stage::new();
    let table = calls(&stage).await;
    let (weather, stations) = published(&stage).await;
    let with = configuration(&table, json!({ "lookup": weather }), json!({ "lookup": stations }));
    let model = train(&stage, with).await;
    // What is left is the noise of 0 to 10.
    assert!(model.metrics["mae"] < 3.0, "{:?}", model.metrics);
    let bundle = bundle(&stage, &model).await;
    let fields: Vec<&str> = bundle.schema().fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["called_at", "station"]);
    assert_eq!(bundle.check_golden_rows().unwrap(), 64);
    assert_eq!(
        bundle.lookups().collect::<Vec<_>>(),
        [("stations", "stations"), ("weather", "weather")]
    );
    assert_eq!(model.parameters["lookups"]["weather"]["version"], 1);
    assert_eq!(model.report["unmatched_rows"], json!({ "stations": 0, "weather": 0 }));
    assert!(
        stage.log().contains("lookup `weather`: weather@1, 2,400 rows"),
        "{}",
        stage.log()
    );
}

#[tokio::test]
async fn a_lookup_that_another_dag_publishes_is_taken_by_name_or_version_with_the_same_result() {
    let stage = Stage::new();
    let table = calls(&stage).await;
    let (weather, stations) = published(&stage).await;
    let first = train(
        &stage,
        configuration(&table, json!({ "lookup": weather }), json!({ "lookup": stations })),
    )
    .await;
    let by_name = train(
        &stage,
        configuration(&table, json!({ "name": "weather" }), json!({ "name": "stations" })),
    )
    .await;
    assert_eq!(first.bundle, by_name.bundle);
    let wetter = self::weather(&stage, 1.0).await;
    let wetter = publish(
        &stage,
        json!({ "name": "weather", "table": wetter, "time": "known_at" }),
    )
    .await;
    assert_eq!(wetter.version, Some(2));
    let pinned = json!({ "name": "weather", "version": 1 });
    let again = train(&stage, configuration(&table, pinned, json!({ "name": "stations" }))).await;
    assert_eq!(first.bundle, again.bundle);
    let newest = train(
        &stage,
        configuration(&table, json!({ "name": "weather" }), json!({ "name": "stations" })),
    )
    .await;
    assert_ne!(first.bundle, newest.bundle);
    assert_eq!(newest.parameters["lookups"]["weather"]["version"], 2);
}

#[tokio::test]
async fn features_of_a_lookup_that_is_not_given_are_left_out() {
    let stage = Stage::new();
    let table = calls(&stage).await;
    let model = train(
        &stage,
        configuration(&table, json!({ "lookup": null }), json!({ "name": "" })),
    )
    .await;
    let bundle = bundle(&stage, &model).await;
    assert_eq!(bundle.content().pipeline.features(), ["hour(called_at)"]);
    assert_eq!(bundle.lookups().count(), 0);
    let fields: Vec<&str> = bundle.schema().fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["called_at"]);
}

#[tokio::test]
async fn golden_rows_hold_whatever_is_published_later_and_answers_follow_it() {
    let stage = Stage::new();
    let table = calls(&stage).await;
    let (weather, stations) = published(&stage).await;
    let model = train(
        &stage,
        configuration(&table, json!({ "lookup": weather }), json!({ "lookup": stations })),
    )
    .await;
    let bundle = bundle(&stage, &model).await;
    let table_of = async |name: &str, version: u64| {
        let manifest = lookups::get(&stage.bucket().await, name, version)
            .await
            .unwrap()
            .unwrap();
        let content = stage.bucket().await.get_blob(&manifest.content).await.unwrap();
        Arc::new(LookupTable::read(&content).unwrap())
    };
    let mut tables = LookupTables::from([
        ("weather".to_owned(), table_of("weather", 1).await),
        ("stations".to_owned(), table_of("stations", 1).await),
    ]);
    let record = json!({ "called_at": "2017-02-01 12:10:00", "station": "Soho" });
    let ask = |tables: &LookupTables| {
        let bundle = bundle.with_lookups(tables).unwrap();
        let rows = bundle.parse(record.as_object().unwrap()).unwrap();
        bundle.check_golden_rows().unwrap();
        bundle.predict(&rows)[0].value
    };
    let before = ask(&tables);
    let wetter = self::weather(&stage, 3.0).await;
    publish(
        &stage,
        json!({ "name": "weather", "table": wetter, "time": "known_at" }),
    )
    .await;
    tables.insert("weather".to_owned(), table_of("weather", 2).await);
    let after = ask(&tables);
    assert!(
        (after - before - 30.0).abs() < 1.0,
        "{before} and {after}: three more of what takes ten seconds each"
    );
    tables.remove("stations");
    let error = bundle.with_lookups(&tables).unwrap_err().to_string();
    assert_eq!(
        error,
        "the lookup `stations` is not there; publish it with `publish.lookup`"
    );
}

#[tokio::test]
async fn what_cannot_be_published_is_said_with_the_remedy() {
    let stage = Stage::new();
    let refused = async |csv: &str, more: Value| {
        let table = extract(&stage, "t.csv", csv, json!({}), &[]).await;
        let mut with = json!({ "name": "places", "table": table, "key": ["name"] });
        for (key, value) in more.as_object().unwrap() {
            with[key] = value.clone();
        }
        let error = stage.run("publish.lookup", with).await.unwrap_err();
        assert!(!error.retryable);
        error.to_string()
    };
    let message = refused("name,x\na,1\nA ,2\n", json!({})).await;
    assert!(
        message.contains("rows 0 and 1 both have `name` \"a\"") && message.contains("transform.sql"),
        "{message}"
    );
    let message = refused("name,x\na,1\n,2\n", json!({})).await;
    assert!(message.contains("row 1 has no `name`"), "{message}");
    let message = refused("name,x\na,1\n", json!({ "key": ["nmae"] })).await;
    assert!(message.contains("`nmae`"), "{message}");
    let message = refused("name,x\na,1\n", json!({ "columns": ["z"] })).await;
    assert!(message.contains("no column `z`"), "{message}");
    let message = refused("name,x\na,1\n", json!({ "time": "x" })).await;
    assert!(message.contains("column `x`"), "{message}");
    let registry = ratchet_tasks::registry();
    let plugin = registry.get("publish.lookup").unwrap();
    let table = extract(&stage, "t.csv", "name,x\na,1\n", json!({}), &[]).await;
    let problems = (plugin.validate)(&json!({ "name": "Places", "table": table }));
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        ["`Places` is no name of a lookup", "nothing says how a row is found"]
    );
}

#[tokio::test]
async fn what_training_cannot_join_is_said_with_the_remedy() {
    let stage = Stage::new();
    let table = calls(&stage).await;
    let (weather, stations) = published(&stage).await;
    let good = || configuration(&table, json!({ "lookup": weather }), json!({ "lookup": stations }));
    let refused = async |with: Value| stage.run("train.model", with).await.unwrap_err().to_string();
    let mut with = good();
    with["features"][1]["number"]["fields"][0] = json!("weather.snow");
    let message = refused(with).await;
    assert!(
        message.contains("lookup `weather` has no column `snow`; it has `known_at`, `rain`"),
        "{message}"
    );
    let with = configuration(&table, json!({ "name": "tides" }), json!({ "lookup": stations }));
    let message = refused(with).await;
    assert!(
        message.contains("there is no lookup `tides` in the bucket") && message.contains("publish.lookup"),
        "{message}"
    );
    let mut with = good();
    with["lookups"]["stations"]["key"] = json!([{ "date": "called_at" }]);
    let message = refused(with).await;
    assert!(
        message.contains("lookup `stations` has text in `name`, not a date and time"),
        "{message}"
    );
    let mut with = good();
    with["unused"] = json!([{ "name": "station", "type": "text" }]);
    let message = refused(with).await;
    assert!(
        message.contains("`unused` names `station`, which a feature of `times` reads"),
        "{message}"
    );
    let registry = ratchet_tasks::registry();
    let problems = |with: Value| {
        let problems = (registry.get("train.model").unwrap().validate)(&with);
        problems
            .into_iter()
            .map(|problem| (problem.pointer, problem.message))
            .collect::<BTreeMap<_, _>>()
    };
    let mut with = good();
    with["lookups"]["weather"]["at"] = json!("");
    with["lookups"]["stations"]["name"] = json!("stations");
    with["features"] = json!([
        {"history": {"lookup": "weather", "column": "rain", "lags": [1]}},
        {"history": {"lookup": "rivers", "column": "level", "lags": [1]}},
        {"clip": {"fields": ["x"], "lower": 0.9, "upper": 0.1}},
        {"product": {"fields": ["x"]}},
        {"ordinal": {"field": "x", "order": []}},
    ]);
    let found = problems(with);
    assert_eq!(found["/lookups/weather"], "nothing says how a request finds its row");
    assert_eq!(
        found["/lookups/stations"],
        "`lookup` and `name` both say which lookup it is"
    );
    assert_eq!(found["/features/0/history"], "the lookup `weather` has no `at`");
    assert_eq!(
        found["/features/1/history"],
        "there is no lookup `rivers` under `lookups`"
    );
    assert_eq!(
        found["/features/2/clip"],
        "bounds 0.9 and 0.1 are no two ascending shares from 0 to 1"
    );
    assert_eq!(found["/features/3/product"], "has fewer than two fields");
    assert_eq!(found["/features/4/ordinal"], "names no category in `order`");
}
