//! Lookups: `lookups/<name>/<version>.json`, the tables that serving reads beside a request.

use jiff::Timestamp;

use crate::versions::{self, Versioned, readers};
use crate::{BlobRef, Bucket, BucketError, ColumnManifest, Lineage, LookupManifest};

/// A lookup before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLookup {
    /// Name, `[a-z][a-z0-9-]*`.
    pub name: String,
    /// The rows.
    pub content: BlobRef,
    /// Number of rows.
    pub rows: u64,
    /// Columns by which a row is found.
    pub found_by: Vec<String>,
    /// Column that says when a row is known.
    pub time: Option<String>,
    /// All columns.
    pub columns: Vec<ColumnManifest>,
    /// Where it comes from.
    pub lineage: Lineage,
    /// `run/task`.
    pub key: String,
}

impl Versioned for LookupManifest {
    const KIND: &'static str = "lookup";
    const DIRECTORY: &'static str = "lookups";

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
        self.content == latest.content && self.lineage.simulated == latest.lineage.simulated
    }
}

/// Publishes a lookup.
///
/// The same key reads its version back. Rows equal to the latest version's return that version: what did not change takes
/// no number, and nobody loads it again.
///
/// # Errors
///
/// If the name or the key is wrong, or the bucket fails.
pub async fn register(bucket: &Bucket, lookup: NewLookup) -> Result<LookupManifest, BucketError> {
    let NewLookup {
        name,
        content,
        rows,
        found_by,
        time,
        columns,
        lineage,
        key,
    } = lookup;
    let created_at = Timestamp::now();
    let draft = LookupManifest {
        format: 1,
        name,
        version: 0,
        content,
        rows,
        found_by,
        time,
        columns,
        lineage,
        created_at,
        key,
    };
    versions::register(bucket, draft).await
}

readers!(LookupManifest);
