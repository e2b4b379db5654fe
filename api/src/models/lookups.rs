//! Lookups that models read: the newest version that loads and has what a model reads, at the start of a model and whenever
//! a newer one is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use ratchet_artifacts::{Bucket, LookupManifest, lookups};
use ratchet_model::Bundle;
use ratchet_model::features::{LookupError, LookupTable, LookupTables};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::follow::{Event, pause};
use super::load::{Problem, Reason};
use super::signatures;

/// Earlier versions that are looked through for one that can be used.
const VERSIONS_BACK: usize = 50;

/// A version of a lookup, as answers and listings name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LookupVersion {
    /// Name under which it is published.
    #[schema(example = "lfb-weather")]
    pub name: String,
    /// Number of the version.
    #[schema(example = 12)]
    pub version: u64,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub published_at: Timestamp,
}

/// A version that was read.
#[derive(Debug)]
pub struct LoadedLookup {
    /// Which one it is.
    pub version: LookupVersion,
    /// Its rows.
    pub table: Arc<LookupTable>,
}

/// Lookups by name.
pub type LoadedLookups = BTreeMap<String, Arc<LoadedLookup>>;

/// What the follower saw of a lookup.
#[derive(Debug)]
pub struct Sighting {
    /// Its name.
    pub lookup: String,
    /// A newer version, if there is one that can be read.
    pub loaded: Option<Arc<LoadedLookup>>,
    /// Why the newest one cannot be, if so.
    pub problem: Option<Problem>,
}

impl From<LookupError> for Problem {
    fn from(error: LookupError) -> Problem {
        let reason = match error {
            LookupError::Damaged(_) => Reason::Damaged,
            LookupError::UnknownFormat { .. } => Reason::Format,
        };
        Problem::new(reason, error.to_string())
    }
}

/// The model with tables for all lookups that it reads: of each the newest version that can be read and has what the model
/// reads. `held` are versions that need not be read again.
pub fn equip(
    handle: &Handle,
    bucket: &Bucket,
    bundle: &Bundle,
    held: &LoadedLookups,
) -> Result<(Bundle, LoadedLookups), Problem> {
    let names: BTreeSet<String> = bundle.lookups().map(|(_, lookup)| lookup.to_owned()).collect();
    let mut loaded = LoadedLookups::new();
    for name in names {
        let found = handle.block_on(newest(bucket, &name, bundle, held.get(&name)))?;
        loaded.insert(name, found);
    }
    let equipped = bundle.with_lookups(&tables(&loaded))?;
    Ok((equipped, loaded))
}

/// Tables by name, as a model takes them.
pub fn tables(loaded: &LoadedLookups) -> LookupTables {
    let tables = loaded.iter();
    tables
        .map(|(name, lookup)| (name.clone(), lookup.table.clone()))
        .collect()
}

async fn newest(
    bucket: &Bucket,
    name: &str,
    bundle: &Bundle,
    held: Option<&Arc<LoadedLookup>>,
) -> Result<Arc<LoadedLookup>, Problem> {
    let mut problem = None;
    for number in lookups::versions(bucket, name)
        .await?
        .into_iter()
        .rev()
        .take(VERSIONS_BACK)
    {
        let tried = match held.filter(|held| held.version.version == number) {
            Some(held) => Ok(held.clone()),
            None => read(bucket, name, number).await,
        };
        let tried = tried.and_then(|loaded| match bundle.accepts(name, &loaded.table) {
            Ok(()) => Ok(loaded),
            Err(unfit) => Err(Problem::new(Reason::Lookup, unfit)),
        });
        match tried {
            Ok(loaded) => return Ok(loaded),
            Err(failed) => {
                tracing::warn!(lookup = name, version = number, problem = %failed, "a version of a lookup is passed over");
                problem.get_or_insert((number, failed));
            }
        }
    }
    Err(match problem {
        Some((number, Problem { reason, message })) => {
            let message =
                format!("it reads the lookup {name}, of which no version can be used; {name}@{number}: {message}");
            Problem::new(reason, message)
        }
        None => Problem::new(
            Reason::Lookup,
            format!("it reads the lookup {name}, which was never published; run the DAG that publishes it"),
        ),
    })
}

async fn read(bucket: &Bucket, name: &str, number: u64) -> Result<Arc<LoadedLookup>, Problem> {
    let missing = || {
        Problem::new(
            Reason::Missing,
            format!("{name}@{number} has no manifest in the bucket"),
        )
    };
    let manifest = signatures::lookup(bucket, name, number).await?.ok_or_else(missing)?;
    read_content(bucket, manifest).await
}

/// Reading a table takes as long as its rows: not on a thread that answers requests.
async fn read_content(bucket: &Bucket, manifest: LookupManifest) -> Result<Arc<LoadedLookup>, Problem> {
    let content = bucket.get_blob(&manifest.content).await?;
    let table = tokio::task::spawn_blocking(move || LookupTable::read(&content)).await;
    let table = table.map_err(|_| {
        Problem::new(
            Reason::Panic,
            "a check of the lookup panicked, which is a bug of this program",
        )
    })??;
    Ok(Arc::new(LoadedLookup {
        version: LookupVersion {
            name: manifest.name,
            version: manifest.version,
            published_at: manifest.created_at,
        },
        table: Arc::new(table),
    }))
}

/// Looks about each second for newer versions of the wanted lookups, given with the version that is held.
pub(super) async fn follow(
    bucket: Bucket,
    wanted: watch::Receiver<BTreeMap<String, u64>>,
    events: UnboundedSender<Event>,
) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut unreachable: BTreeSet<String> = BTreeSet::new();
    // What is wrong with the newest versions, to be told again after the bucket was away.
    let mut faults: BTreeMap<String, Problem> = BTreeMap::new();
    loop {
        pause().await;
        let wanted = wanted.borrow().clone();
        seen.retain(|name, _| wanted.contains_key(name));
        for (name, held) in wanted {
            let seen = seen.entry(name.clone()).or_default();
            *seen = held.max(*seen);
            let sighting = match look(&bucket, &name, *seen).await {
                Ok(Some((newest, sighting))) => {
                    *seen = newest;
                    unreachable.remove(&name);
                    faults.remove(&name);
                    faults.extend(sighting.problem.clone().map(|problem| (name, problem)));
                    sighting
                }
                Ok(None) if unreachable.remove(&name) => Sighting {
                    problem: faults.get(&name).cloned(),
                    lookup: name,
                    loaded: None,
                },
                Ok(None) => continue,
                Err(_) if unreachable.contains(&name) => continue,
                Err(problem) => {
                    unreachable.insert(name.clone());
                    Sighting {
                        lookup: name,
                        loaded: None,
                        problem: Some(problem),
                    }
                }
            };
            if events.send(Event::Looked(Box::new(sighting))).is_err() {
                return;
            }
        }
    }
}

/// Versions after `seen`: the newest number and what came of it; an error if the bucket does not answer.
async fn look(bucket: &Bucket, name: &str, seen: u64) -> Result<Option<(u64, Sighting)>, Problem> {
    let mut manifests = Vec::new();
    let mut problem = None;
    let mut number = seen + 1;
    loop {
        match signatures::lookup(bucket, name, number).await {
            Ok(None) => break,
            Ok(Some(manifest)) => manifests.push(manifest),
            Err(failed) if failed.reason == Reason::Unreachable => return Err(failed),
            Err(failed) => problem = Some(failed),
        }
        number += 1;
    }
    let newest = number - 1;
    if newest == seen {
        return Ok(None);
    }
    let mut sighting = Sighting {
        lookup: name.to_owned(),
        loaded: None,
        problem: problem.filter(|_| manifests.last().is_none_or(|manifest| manifest.version != newest)),
    };
    for manifest in manifests.into_iter().rev() {
        let version = manifest.version;
        match read_content(bucket, manifest).await {
            Ok(loaded) => {
                sighting.loaded = Some(loaded);
                break;
            }
            Err(failed) if failed.reason == Reason::Unreachable => return Err(failed),
            Err(failed) => {
                let message = format!("{name}@{version}: {failed}");
                sighting.problem.get_or_insert(Problem::new(failed.reason, message));
            }
        }
    }
    Ok(Some((newest, sighting)))
}
