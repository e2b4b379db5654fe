//! Lookups as they are published, and which models in production read them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_artifacts::{Bucket, PromotionError, PromotionLog, lookups, models};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One lookup: its newest version and its readers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedLookup {
    /// Name.
    pub name: String,
    /// The newest version, which serving reads.
    pub latest: u64,
    /// How many versions there are.
    pub versions: usize,
    /// Rows of the newest.
    pub rows: u64,
    /// Columns by which a row is found.
    pub found_by: Vec<String>,
    /// Column that says when a row is known, if rows of one key follow each other.
    pub time: Option<String>,
    /// Where the newest comes from.
    pub source: String,
    /// True if it holds simulated rows.
    pub simulated: bool,
    /// When the newest was published.
    pub created_at: Timestamp,
    /// Versions of models that hold an alias and read it.
    pub readers: Vec<LookupReader>,
}

/// A version of a model that reads a lookup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookupReader {
    /// Name of the model.
    pub model: String,
    /// Version.
    pub version: u64,
    /// The alias that it holds.
    pub alias: String,
    /// The version of the lookup that it was trained with.
    pub trained_with: u64,
}

/// All lookups, by name.
///
/// # Errors
///
/// If the bucket fails, or holds a damaged manifest or a damaged promotion log.
pub async fn published_lookups(bucket: &Bucket) -> Result<Vec<PublishedLookup>, PromotionError> {
    let mut readers = readers(bucket).await?;
    let mut published = Vec::new();
    for name in lookups::names(bucket).await? {
        let Some(newest) = lookups::latest(bucket, &name).await? else {
            continue;
        };
        published.push(PublishedLookup {
            latest: newest.version,
            versions: lookups::versions(bucket, &name).await?.len(),
            rows: newest.rows,
            found_by: newest.found_by,
            time: newest.time,
            source: newest.lineage.source,
            simulated: newest.lineage.simulated,
            created_at: newest.created_at,
            readers: readers.remove(&name).unwrap_or_default(),
            name,
        });
    }
    Ok(published)
}

/// Who reads each lookup.
async fn readers(bucket: &Bucket) -> Result<BTreeMap<String, Vec<LookupReader>>, PromotionError> {
    let head = PromotionLog::new(bucket.clone()).head().await?;
    let mut readers: BTreeMap<String, Vec<LookupReader>> = BTreeMap::new();
    for (model, aliases) in head.map(|entry| entry.table).unwrap_or_default() {
        for (alias, holder) in aliases {
            let manifest = models::get(bucket, &model, holder.version).await?;
            for (lookup, trained_with) in manifest.iter().flat_map(|manifest| joined(&manifest.parameters)) {
                readers.entry(lookup).or_default().push(LookupReader {
                    model: model.clone(),
                    version: holder.version,
                    alias: alias.clone(),
                    trained_with,
                });
            }
        }
    }
    Ok(readers)
}

/// The lookups that a model's training joined, with their versions, as it writes them into its parameters.
pub(crate) fn joined(parameters: &Value) -> Vec<(String, u64)> {
    let lookups = parameters["lookups"]
        .as_object()
        .into_iter()
        .flat_map(|lookups| lookups.values());
    lookups
        .filter_map(|lookup| Some((lookup["name"].as_str()?.to_owned(), lookup["version"].as_u64()?)))
        .collect()
}
