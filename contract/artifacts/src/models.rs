//! Model versions: `models/<name>/<version>.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::versions::{self, Versioned, readers};
use crate::{BlobRef, Bucket, BucketError, Lineage, ModelManifest};

/// A model before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// Name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// The bundle.
    pub bundle: BlobRef,
    /// Holdout metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// Row counts: `train`, `validation`, `holdout`.
    pub rows: BTreeMap<String, u64>,
    /// Configuration of the training.
    pub parameters: Value,
    /// Candidates and what was learnt on the way.
    pub report: Value,
    /// Where it comes from.
    pub lineage: Lineage,
    /// `run/task`.
    pub key: String,
}

impl Versioned for ModelManifest {
    const KIND: &'static str = "model";
    const DIRECTORY: &'static str = "models";

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    fn key(&self) -> &str {
        &self.key
    }

    /// Each training is an event of its own, even where its bundle equals the one before.
    fn repeats(&self, _latest: &Self) -> bool {
        false
    }
}

/// Registers a model. It always gets a new number, except that the same key reads its version back.
///
/// # Errors
///
/// If the name or the key is wrong, a metric is not finite (JSON cannot hold it), or the bucket fails.
pub async fn register(bucket: &Bucket, model: NewModel) -> Result<ModelManifest, BucketError> {
    if let Some((metric, value)) = model.metrics.iter().find(|(_, value)| !value.is_finite()) {
        return Err(BucketError::Refused {
            url: bucket.url().to_owned(),
            path: format!("models/{}", model.name),
            detail: format!("the metric '{metric}' is {value}; leave it out where it cannot be computed"),
        });
    }
    let NewModel {
        name,
        bundle,
        metrics,
        rows,
        parameters,
        report,
        lineage,
        key,
    } = model;
    let created_at = Timestamp::now();
    let draft = ModelManifest {
        format: 1,
        name,
        version: 0,
        bundle,
        metrics,
        rows,
        parameters,
        report,
        lineage,
        created_at,
        key,
    };
    versions::register(bucket, draft).await
}

readers!(ModelManifest);
