//! What a version says about itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Immutable content in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobRef {
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Where a version comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Run that made it.
    pub run: String,
    /// Its DAG.
    pub dag: String,
    /// Its task.
    pub task: String,
    /// `name@version` of the datasets that went in.
    pub inputs: Vec<String>,
    /// Address of the extract.
    #[serde(default)]
    pub source: String,
    /// True if any row was simulated.
    pub simulated: bool,
    /// Version of the engine that made it.
    pub engine: String,
    /// SHA-256 of the program that ran the task; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub build: String,
}

/// When raw bytes were collected, and the words by which their server tells whether it has others by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// When the source was asked.
    pub at: Timestamp,
    /// The server's word for this content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the server says that it was written, in its own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Of a service that answers page by page: what it said of each, in the order of the raw bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageTag>,
}

/// What a service said of one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageTag {
    /// SHA-256 of its address, which may hold a key.
    pub address: String,
    /// The service's word for its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the service says that it was written, in its own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A column of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnManifest {
    /// Name.
    pub name: String,
    /// `integer`, `number`, `text`, `boolean`, `date`, `timestamp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `call`, `dispatch`, `after`, if declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Number of null values.
    pub nulls: u64,
}

/// `datasets/<name>/<version>.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetManifest {
    /// 1.
    pub format: u32,
    /// Name.
    pub name: String,
    /// From 1.
    pub version: u64,
    /// Parquet files in row order.
    pub files: Vec<BlobRef>,
    /// The raw bytes before parsing, if it is an extract.
    #[serde(default)]
    pub raw: Vec<BlobRef>,
    /// When they were collected, if it is an extract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Collected>,
    /// Number of rows.
    pub rows: u64,
    /// Columns in file order.
    pub columns: Vec<ColumnManifest>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// When it was registered.
    pub created_at: Timestamp,
    /// `run/task`: registering the same key again reads this entry back.
    pub key: String,
}

/// `lookups/<name>/<version>.json`: a table that serving reads beside a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookupManifest {
    /// 1.
    pub format: u32,
    /// Name.
    pub name: String,
    /// From 1. The highest number is what serving reads.
    pub version: u64,
    /// The rows.
    pub content: BlobRef,
    /// Number of rows.
    pub rows: u64,
    /// Columns by which a row is found.
    pub found_by: Vec<String>,
    /// Column that says when a row is known, if rows of one key follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// All columns.
    pub columns: Vec<ColumnManifest>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// When it was published.
    pub created_at: Timestamp,
    /// `run/task`.
    pub key: String,
}

/// `models/<name>/<version>.json`, the version's passport.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelManifest {
    /// 1.
    pub format: u32,
    /// Name.
    pub name: String,
    /// From 1.
    pub version: u64,
    /// The bundle; its digest is the model's digest.
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
    /// When it was registered.
    pub created_at: Timestamp,
    /// `run/task`.
    pub key: String,
}
