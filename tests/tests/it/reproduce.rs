//! A version is trained again from what its run kept, whatever the source holds by now.

use ratchet_artifacts::{Bucket, feeds};
use serde_json::json;

use crate::support::{copy_of, failure, ratchet, runtime, simulated_run};
use crate::trips::{Trips, table};

#[test]
fn a_version_comes_out_the_same_after_its_source_changed() {
    let trips = Trips::new("reproduce");
    trips.run(&[]);
    let log = std::fs::read_dir(trips.home.join("bucket/promotions")).unwrap().count();
    // The file is another one, then it is gone.
    trips.write(&table(2));
    let (status, document) = trips.ask(&["models", "reproduce", "trip-time@1"], &[]);
    assert_eq!(
        (status, &document["equal"], &document["same_build"]),
        (0, &json!(true), &json!(true)),
        "{document:#}"
    );
    assert_eq!(
        (&document["replayed"], &document["taken"]),
        (&json!(["trips"]), &json!([]))
    );
    std::fs::remove_file(trips.source()).unwrap();
    assert_eq!(trips.ask(&["models", "reproduce", "trip-time@1"], &[]).0, 0);

    // Nothing came of it but the answer.
    let (_, models) = trips.ask(&["models", "list"], &[]);
    assert_eq!(models[0]["latest"], 1, "{models:#}");
    let (_, runs) = trips.ask(&["runs", "list"], &[]);
    assert_eq!(runs.as_array().unwrap().len(), 1);
    assert_eq!(
        std::fs::read_dir(trips.home.join("bucket/promotions")).unwrap().count(),
        log
    );
    assert_eq!(std::fs::read_dir(trips.home.join("bucket/runs")).unwrap().count(), 1);
    assert_eq!(
        std::fs::read_dir(trips.home.join("tmp")).unwrap().count(),
        0,
        "its home is gone"
    );
}

/// Adds trips to the collection `trips`, each under its id.
fn add_to_collection(trips: &Trips, table: &str) {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let names = reader.headers().unwrap().clone();
    let lines = reader.records().map(|record| {
        let record = record.unwrap();
        let row: serde_json::Map<String, serde_json::Value> = names
            .iter()
            .zip(&record)
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    value.parse::<f64>().map_or(json!(value), |number| json!(number)),
                )
            })
            .collect();
        format!("{}\n", json!({ "row": row, "at": "2024-04-02T00:00:00Z", "by": "ada" }))
    });
    let lines: String = lines.collect();
    let path = feeds::new_path("trips").unwrap();
    runtime().block_on(async {
        let bucket = Bucket::open(trips.home.join("bucket").to_str().unwrap()).await.unwrap();
        let _ = feeds::write(&bucket, &path, lines.as_bytes()).await.unwrap();
    });
}

#[test]
fn what_a_collection_held_is_taken_as_it_is_recorded() {
    let trips = Trips::new("reproduce-records");
    let number = json!({ "type": "number" });
    let text = json!({ "type": "string" });
    let collection = trips.home.join("trips.json");
    let schema = json!({
        "name": "trips", "key": ["id"],
        "schema": { "type": "object", "required": ["id"], "properties": { "id": text, "at": text, "km": number, "zone": text, "minutes": number } },
    });
    std::fs::write(&collection, schema.to_string()).unwrap();
    let applied = trips
        .ratchet()
        .args(["collections", "apply"])
        .arg(&collection)
        .output()
        .unwrap();
    assert!(applied.status.success(), "{applied:?}");
    add_to_collection(&trips, &table(1));
    let dag = std::fs::read_to_string(trips.dag()).unwrap();
    let dag = dag
        .replace("extract.file", "extract.records")
        .replace("from: \"${{ params.trips }}\"", "collection: trips");
    std::fs::write(trips.dag(), dag).unwrap();
    trips.run(&[]);
    // Other trips under the same ids.
    add_to_collection(&trips, &table(2));
    let (status, document) = trips.ask(&["models", "reproduce", "trip-time@1"], &[]);
    assert_eq!(
        (status, &document["equal"], &document["replayed"], &document["taken"]),
        (0, &json!(true), &json!([]), &json!(["trips"])),
        "{document:#}"
    );
}

#[test]
fn a_bundle_that_is_not_what_the_lineage_gives_is_said_and_the_status_is_1() {
    let trips = Trips::new("not-reproduced");
    trips.run(&[]);
    let path = trips.home.join("bucket/models/trip-time/1.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (digest, build) = (
        manifest["bundle"]["sha256"].as_str().unwrap(),
        manifest["lineage"]["build"].as_str().unwrap(),
    );
    assert_eq!(build.len(), 64);
    std::fs::write(
        &path,
        text.replace(digest, &"0".repeat(64)).replace(build, &"1".repeat(64)),
    )
    .unwrap();
    let (status, document) = trips.ask(&["models", "reproduce", "trip-time"], &[]);
    assert_eq!(
        (status, &document["equal"], &document["same_build"]),
        (1, &json!(false), &json!(false)),
        "{document:#}"
    );
    assert_eq!(document["reproduced"], digest);
    let mut told = trips.ratchet();
    told.args(["models", "reproduce", "trip-time@1"]);
    let (status, page, _) = failure(told);
    assert_eq!(status, 1);
    assert!(page.contains("is NOT reproduced; another program trained it"), "{page}");
}

#[test]
fn without_the_run_or_its_raw_bytes_the_message_says_what_is_missing() {
    let trips = Trips::new("lost-lineage");
    trips.run(&[]);
    std::fs::remove_file(trips.home.join("engine.sqlite")).unwrap();
    let mut asked = trips.ratchet();
    asked.args(["models", "reproduce", "trip-time@1"]);
    let (status, _, said) = failure(asked);
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("trip-time@1 was trained by run") && said.contains("RATCHET_DATABASE_URL"),
        "{said}"
    );

    let trips = Trips::new("lost-raw");
    trips.run(&[]);
    let (_, dataset) = trips.ask(&["datasets", "show", "trips"], &[]);
    let digest = dataset["raw"][0]["sha256"].as_str().unwrap();
    std::fs::remove_file(
        trips
            .home
            .join("bucket/blobs/sha256")
            .join(&digest[..2])
            .join(&digest[2..]),
    )
    .unwrap();
    let mut asked = trips.ratchet();
    asked.args(["models", "reproduce", "trip-time@1"]);
    let (status, _, said) = failure(asked);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains("was not trained again") && said.contains("lacks the blob"),
        "{said}"
    );
}

#[test]
fn the_shipped_models_of_one_run_are_reproduced_each() {
    let home = copy_of(simulated_run(), "reproduce-shipped");
    for model in ["lfb-response-time", "lfb-over-target", "lfb-pumps"] {
        let output = ratchet(&home).args(["models", "reproduce", model]).output().unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{page}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(page.contains("is reproduced: the same bundle, byte for byte"), "{page}");
    }
}
