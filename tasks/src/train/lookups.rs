//! Lookups in training: which versions, and what features take from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_artifacts::{BlobRef, Bucket, lookups};
use ratchet_core::plugin::{Lookup, Replay, TaskContext, TaskError};
use ratchet_model::features::{JoinConfig, KeyConfig, LookupTable, LookupTables, StepConfig};
use ratchet_model::{Bundle, BundleError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use crate::table;
use crate::words::count;

/// A lookup that features read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupConfig {
    /// A version that this run published. Without it and without a `name`, features that read the lookup are left out.
    #[serde(default)]
    pub lookup: Option<Lookup>,
    /// Name of a lookup that another DAG publishes: its newest version is joined.
    #[serde(default)]
    pub name: String,
    /// Which version of that name, instead of the newest.
    #[serde(default)]
    pub version: Option<u64>,
    /// What finds a row, in the order of the lookup's key.
    #[serde(default)]
    pub key: Vec<KeyConfig>,
    /// The time as of which a lookup with a time is asked: a field of the request.
    #[serde(default)]
    pub at: String,
    /// Minutes after which the newest row is too old to be taken.
    #[serde(default)]
    pub tolerance_minutes: Option<u32>,
}

impl LookupConfig {
    /// What the types do not show: a pointer, a message and the remedy.
    pub fn problem(&self, name: &str) -> Option<(&'static str, String, &'static str)> {
        if !ratchet_model::is_model_name(name) {
            let message = format!("`{name}` is no name that features can call a lookup");
            return Some(("", message, "use lower-case letters, digits and `-`, a letter first"));
        }
        if self.lookup.is_some() && !self.name.is_empty() {
            let message = "`lookup` and `name` both say which lookup it is".to_owned();
            return Some((
                "",
                message,
                "`lookup` is one of this run, `name` one that another DAG publishes",
            ));
        }
        if self.version.is_some() && self.name.is_empty() {
            return Some((
                "/version",
                "a version of what?".to_owned(),
                "write the `name` beside it",
            ));
        }
        if self.key.is_empty() && self.at.is_empty() {
            let message = "nothing says how a request finds its row".to_owned();
            return Some((
                "",
                message,
                "write `key: [{ field: ... }]`, or `at` for a lookup with a time",
            ));
        }
        if self.tolerance_minutes.is_some() && self.at.is_empty() {
            let message = "`tolerance_minutes` needs an `at`".to_owned();
            return Some((
                "/tolerance_minutes",
                message,
                "only a lookup with a time has rows that grow old",
            ));
        }
        None
    }
}

/// A lookup that was read.
pub struct Found {
    /// Name under which it is published.
    pub name: String,
    /// Version; none in a run that registers nothing.
    pub version: Option<u64>,
    /// True if any row was simulated.
    pub simulated: bool,
    /// The rows.
    pub table: Arc<LookupTable>,
}

/// The lookups of a training that are given, by the name that features call them. Where a version is trained again the newest
/// is what was the newest then.
///
/// # Errors
/// One that was never published, or cannot be read.
pub async fn given(
    bucket: &Bucket,
    config: &TrainConfig,
    replay: &Replay,
) -> Result<BTreeMap<String, Found>, TaskError> {
    let mut given = BTreeMap::new();
    for (called, lookup) in &config.lookups {
        let found = match &lookup.lookup {
            Some(made) => Found {
                name: made.name.clone(),
                version: made.version,
                simulated: made.simulated,
                table: content(bucket, &made.name, &table::to_blob_ref(&made.content)).await?,
            },
            None if lookup.name.is_empty() => continue,
            None => {
                let then = replay.lookups.get(&lookup.name).copied();
                published(bucket, &lookup.name, lookup.version.or(then)).await?
            }
        };
        given.insert(called.clone(), found);
    }
    Ok(given)
}

async fn published(bucket: &Bucket, name: &str, version: Option<u64>) -> Result<Found, TaskError> {
    let manifest = match version {
        Some(version) => lookups::get(bucket, name, version).await,
        None => lookups::latest(bucket, name).await,
    };
    let manifest = manifest.map_err(table::from_bucket)?.ok_or_else(|| {
        let what = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
        TaskError::permanent(format!("there is no lookup `{what}` in the bucket"))
            .with_help("run the DAG that publishes it (`publish.lookup`) first")
    })?;
    Ok(Found {
        name: name.to_owned(),
        version: Some(manifest.version),
        simulated: manifest.lineage.simulated,
        table: content(bucket, name, &manifest.content).await?,
    })
}

async fn content(bucket: &Bucket, name: &str, blob: &BlobRef) -> Result<Arc<LookupTable>, TaskError> {
    let bytes = bucket.get_blob(blob).await.map_err(table::from_bucket)?;
    let table = LookupTable::read(&bytes)
        .map_err(|error| TaskError::permanent(format!("`{name}`: {error}")).with_help("publish it again"))?;
    Ok(Arc::new(table))
}

/// Tells which versions are joined.
pub fn say(given: &BTreeMap<String, Found>, context: &TaskContext) {
    for (called, lookup) in given {
        let rows = count(lookup.table.len() as u64);
        let version = lookup.version.map(|version| format!("@{version}")).unwrap_or_default();
        context.info(format!("lookup `{called}`: {}{version}, {rows} rows", lookup.name));
    }
}

/// The tables by the name under which they are published.
pub fn tables(given: &BTreeMap<String, Found>) -> LookupTables {
    let tables = given.values();
    tables.map(|found| (found.name.clone(), found.table.clone())).collect()
}

/// How requests find rows of the given lookups.
pub fn join_configs<'a>(config: &'a TrainConfig, given: &'a BTreeMap<String, Found>) -> Vec<JoinConfig<'a>> {
    let lookups = config.lookups.iter();
    lookups
        .filter_map(|(called, lookup)| {
            let found = given.get(called)?;
            Some(JoinConfig {
                name: called,
                lookup: &found.name,
                key: &lookup.key,
                at: Some(lookup.at.as_str()).filter(|at| !at.is_empty()),
                tolerance: lookup.tolerance_minutes.map(|minutes| i64::from(minutes) * 60),
                table: &found.table,
            })
        })
        .collect()
}

/// The features without what lookups would bring that are not given.
pub fn features(config: &TrainConfig, given: &BTreeMap<String, Found>) -> Vec<StepConfig> {
    let absent = |field: &str| {
        let missing = config.lookups.keys().filter(|called| !given.contains_key(*called));
        missing.into_iter().any(|called| {
            let rest = field.strip_prefix(called.as_str());
            rest.is_some_and(|rest| rest.starts_with('.'))
        })
    };
    let steps = config.features.iter();
    steps.filter_map(|step| step.without(absent)).collect()
}

/// A model with the newest version of each lookup that it reads, as serving has it.
///
/// # Errors
/// A lookup that is not there, cannot be read, or has not what the model reads any more.
pub async fn newest(bucket: &Bucket, bundle: Bundle) -> Result<Bundle, TaskError> {
    let mut tables = LookupTables::new();
    for (_, lookup) in bundle.lookups() {
        tables.insert(lookup.to_owned(), published(bucket, lookup, None).await?.table);
    }
    bundle.with_lookups(&tables).map_err(|error: BundleError| {
        TaskError::permanent(format!("{} cannot answer: {error}", bundle.name()))
            .with_help("publish the lookup with the columns that the model reads, or train the model again")
    })
}
