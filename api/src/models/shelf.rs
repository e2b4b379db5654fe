//! The newest versions of the lookups that models read, as this replica holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::load::{Problem, Reason};
use super::lookups::{self, LoadedLookup, LoadedLookups};
use super::registry::{Lookup, Served};

/// Lookups by name. Whoever follows the bucket is told which ones are wanted, with the version that is held.
pub(super) struct Shelf {
    lookups: BTreeMap<String, Lookup>,
    wanted: watch::Sender<BTreeMap<String, u64>>,
}

impl Shelf {
    /// With nothing on it.
    pub fn new(wanted: watch::Sender<BTreeMap<String, u64>>) -> Shelf {
        Shelf {
            lookups: BTreeMap::new(),
            wanted,
        }
    }

    /// All that is held, with what is wrong with newer versions.
    pub fn all(&self) -> &BTreeMap<String, Lookup> {
        &self.lookups
    }

    /// The versions that are held.
    pub fn held(&self) -> LoadedLookups {
        let held = self.lookups.iter();
        held.map(|(name, lookup)| (name.clone(), lookup.newest.clone()))
            .collect()
    }

    /// Keeps a version if it is the newest of its lookup.
    pub fn keep(&mut self, loaded: Arc<LoadedLookup>) {
        let name = loaded.version.name.clone();
        let held = self.lookups.get(&name).map(|held| held.newest.version.version);
        if held.is_none_or(|held| held < loaded.version.version) {
            let newest = Lookup {
                newest: loaded,
                problem: None,
            };
            self.lookups.insert(name, newest);
        }
    }

    /// Notes what is wrong with a lookup's newest version, if anything. Returns it if that is news.
    pub fn note(&mut self, name: &str, problem: Option<Problem>) -> Option<Problem> {
        let lookup = self.lookups.get_mut(name)?;
        let news = problem
            .clone()
            .filter(|problem| lookup.problem.as_ref() != Some(problem));
        lookup.problem = problem;
        news
    }

    /// Forgets what no model reads, and tells the follower what is wanted.
    pub fn follow<'a>(&mut self, served: impl Iterator<Item = &'a Served>) {
        let read: BTreeSet<&String> = served.flat_map(|served| served.lookups.keys()).collect();
        self.lookups.retain(|name, _| read.contains(name));
        let wanted = self.lookups.iter();
        let wanted = wanted.map(|(name, lookup)| (name.clone(), lookup.newest.version.version));
        self.wanted.send_replace(wanted.collect());
    }

    /// The model with the newest versions that it can read; none if it has them. What it cannot read goes to `refused`.
    pub fn refresh(&self, served: &Served, refused: &mut BTreeMap<String, Problem>) -> Option<Served> {
        let mut lookups = served.lookups.clone();
        let mut changed = false;
        for (name, held) in &mut lookups {
            let Some(Lookup { newest, .. }) = self.lookups.get(name) else {
                continue;
            };
            if newest.version == held.version {
                continue;
            }
            match served.bundle.accepts(name, &newest.table) {
                Ok(()) => {
                    *held = newest.clone();
                    changed = true;
                }
                Err(unfit) => {
                    let (version, model) = (newest.version.version, &served.name);
                    let message = format!("{name}@{version} does not fit {model}: it {unfit}");
                    refused.insert(name.clone(), Problem::new(Reason::Lookup, message));
                }
            }
        }
        let bundle = match changed.then(|| served.bundle.with_lookups(&lookups::tables(&lookups)))? {
            Ok(bundle) => bundle,
            Err(error) => {
                tracing::error!(model = served.name, %error, "a model does not take its lookups");
                return None;
            }
        };
        let read: Vec<&u64> = lookups.values().map(|lookup| &lookup.version.version).collect();
        tracing::info!(model = served.name, lookups = ?lookups.keys(), versions = ?read, "reads newer lookups");
        Some(Served {
            name: served.name.clone(),
            alias: served.alias.clone(),
            version: served.version.clone(),
            route: served.route.clone(),
            bundle,
            lookups,
        })
    }
}
