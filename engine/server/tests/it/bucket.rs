//! Versions to ask for.

use std::collections::BTreeMap;

use ratchet_artifacts::{Bucket, Lineage, datasets, models};
use serde_json::Value;

/// A dataset `trips` and two versions of the model `eta`.
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
        let bundle = bucket.put_blob(format!("bundle {number}").into()).await.unwrap();
        let model = models::NewModel {
            name: "eta".to_owned(),
            bundle,
            metrics: BTreeMap::from([("mae".to_owned(), 70.0 + f64::from(number))]),
            rows: BTreeMap::from([("train".to_owned(), 10)]),
            parameters: Value::Null,
            report: Value::Null,
            lineage: Lineage::default(),
            key: format!("run{number}/train"),
        };
        models::register(bucket, model).await.unwrap();
    }
}
