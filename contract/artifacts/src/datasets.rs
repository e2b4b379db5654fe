//! Dataset versions: `datasets/<name>/<version>.json`.

use jiff::Timestamp;

use crate::versions::{self, Versioned, readers};
use crate::{BlobRef, Bucket, BucketError, Collected, ColumnManifest, DatasetManifest, Lineage};

/// A dataset before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDataset {
    /// Name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// Parquet files in row order.
    pub files: Vec<BlobRef>,
    /// The raw bytes before parsing, if it is an extract.
    pub raw: Vec<BlobRef>,
    /// When they were collected, if it is an extract.
    pub collected: Option<Collected>,
    /// Number of rows.
    pub rows: u64,
    /// Columns in file order.
    pub columns: Vec<ColumnManifest>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// `run/task`.
    pub key: String,
}

impl Versioned for DatasetManifest {
    const KIND: &'static str = "dataset";
    const DIRECTORY: &'static str = "datasets";

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

    fn repeats(&self, latest: &Self) -> bool {
        self.files == latest.files
            && self.raw == latest.raw
            && self.rows == latest.rows
            && self.columns == latest.columns
            && self.lineage.simulated == latest.lineage.simulated
    }
}

/// Registers a dataset.
///
/// The same key reads its version back. Content and columns equal to the latest version's return that version: data
/// that did not change take no number.
///
/// # Errors
///
/// If the name or the key is wrong, or the bucket fails.
pub async fn register(bucket: &Bucket, dataset: NewDataset) -> Result<DatasetManifest, BucketError> {
    let NewDataset {
        name,
        files,
        raw,
        collected,
        rows,
        columns,
        lineage,
        key,
    } = dataset;
    let created_at = Timestamp::now();
    let draft = DatasetManifest {
        format: 1,
        name,
        version: 0,
        files,
        raw,
        collected,
        rows,
        columns,
        lineage,
        created_at,
        key,
    };
    versions::register(bucket, draft).await
}

readers!(DatasetManifest);
