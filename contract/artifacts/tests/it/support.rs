//! What the tests share.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::memory::InMemory;
use ratchet_artifacts::faults::FaultyStore;
use ratchet_artifacts::models::{self, NewModel};
use ratchet_artifacts::{BlobRef, Bucket, Expected, Lineage, ModelManifest, NewPromotion};
use serde_json::json;
use tempfile::TempDir;

/// A bucket in memory.
pub fn memory() -> Bucket {
    Bucket::from_store(Arc::new(InMemory::new()), "memory://test")
}

/// A bucket on `inner` that fails as `faults` says.
pub fn faulty(inner: &Arc<InMemory>, faults: impl FnOnce(FaultyStore) -> FaultyStore) -> (Bucket, Arc<FaultyStore>) {
    let store = Arc::new(faults(FaultyStore::new(inner.clone())));
    (Bucket::from_store(store.clone(), "memory://faulty"), store)
}

/// A bucket in a directory that goes away with the first value.
pub async fn local() -> (TempDir, Bucket) {
    let directory = tempfile::tempdir().unwrap();
    let bucket = Bucket::open(directory.path().to_str().unwrap()).await.unwrap();
    (directory, bucket)
}

/// A model whose bundle holds `content`; not in the bucket, for nothing here loads it.
pub fn model(name: &str, content: &str, key: &str) -> NewModel {
    NewModel {
        name: name.to_owned(),
        bundle: BlobRef::of(content.as_bytes()),
        metrics: BTreeMap::from([("mae".to_owned(), 72.9)]),
        rows: BTreeMap::from([("train".to_owned(), 100)]),
        parameters: json!({ "depth": 6 }),
        report: json!({}),
        lineage: Lineage::default(),
        key: key.to_owned(),
    }
}

/// Registers versions 1 to `count` of the model `m`, each with a bundle of its own.
pub async fn register_models(bucket: &Bucket, count: u64) -> Vec<ModelManifest> {
    let mut manifests = Vec::new();
    for number in 1..=count {
        let draft = model("m", &format!("bundle {number}"), &format!("run{number}/train"));
        manifests.push(models::register(bucket, draft).await.unwrap());
    }
    manifests
}

/// A promotion of `manifest` to champion by a run.
pub fn promotion(manifest: &ModelManifest, expected: Expected) -> NewPromotion {
    NewPromotion {
        model: manifest.name.clone(),
        version: manifest.version,
        digest: manifest.bundle.sha256.clone(),
        alias: "champion".to_owned(),
        expected,
        actor: "run".to_owned(),
        reason: "better on the holdout".to_owned(),
        comparison: json!({ "verdict": "better", "difference": 1.25 }),
        key: format!("promote-{}", manifest.version),
        attended: false,
    }
}

/// What a comparison with `manifest` expects.
pub fn champion(manifest: &ModelManifest) -> Expected {
    Expected::Champion(Some(manifest.bundle.sha256.clone()))
}
