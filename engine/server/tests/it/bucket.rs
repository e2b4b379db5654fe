//! Versions to ask for.

use std::collections::BTreeMap;

use ratchet_artifacts::{Bucket, Lineage, datasets, lookups, models};
use serde_json::{Value, json};

/// A dataset `trips`, two versions of the lookup `weather` and two of the model `eta`, which was trained with the first.
pub async fn fill(bucket: &Bucket) {
    let file = bucket.put_blob("rows".into()).await.unwrap();
    let dataset = datasets::NewDataset {
        name: "trips".to_owned(),
        files: vec![file],
        raw: Vec::new(),
        collected: None,
        rows: 3,
        columns: Vec::new(),
        lineage: Lineage::default(),
        key: "run/trips".to_owned(),
    };
    datasets::register(bucket, dataset).await.unwrap();
    for number in 1..=2 {
        let lookup = lookups::NewLookup {
            name: "weather".to_owned(),
            content: bucket.put_blob(format!("weather {number}").into()).await.unwrap(),
            rows: 20 + number,
            found_by: vec!["place".to_owned()],
            time: Some("at".to_owned()),
            columns: Vec::new(),
            lineage: Lineage::default(),
            key: format!("run{number}/weather"),
        };
        lookups::register(bucket, lookup).await.unwrap();
        let bundle = bucket.put_blob(format!("bundle {number}").into()).await.unwrap();
        let model = models::NewModel {
            name: "eta".to_owned(),
            bundle,
            metrics: BTreeMap::from([("mae".to_owned(), 70.0 + number as f64)]),
            rows: BTreeMap::from([("train".to_owned(), 10)]),
            parameters: json!({ "lookups": { "sky": { "name": "weather", "version": 1 } } }),
            report: Value::Null,
            lineage: Lineage::default(),
            key: format!("run{number}/train"),
        };
        models::register(bucket, model).await.unwrap();
    }
}
