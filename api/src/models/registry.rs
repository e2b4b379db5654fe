//! The models that serve, as one immutable snapshot behind one pointer.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use ratchet_model::Bundle;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use utoipa::ToSchema;

use super::load::Problem;
use super::lookups::{LoadedLookup, LoadedLookups, LookupVersion};

pub use ratchet_artifacts::CHAMPION;

/// A version of a model: what a promotion names and an answer cites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Version {
    /// Number of the version, from 1.
    #[schema(example = 7)]
    pub version: u64,
    /// SHA-256 of the bundle.
    pub digest: String,
}

/// A bundle that passed every check and answers. It never changes.
#[derive(Debug)]
pub struct Served {
    /// Name of the model.
    pub name: String,
    /// Alias under which it answers.
    pub alias: String,
    /// Which version it is.
    pub version: Version,
    /// Path that the model declares.
    pub route: Option<String>,
    /// The model itself, with the tables of its lookups.
    pub bundle: Bundle,
    /// Which versions of lookups these are.
    pub lookups: LoadedLookups,
}

impl Served {
    /// About how much memory it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let tables = self.lookups.values().map(|lookup| lookup.table.memory_bytes());
        self.bundle.memory_bytes() + tables.sum::<usize>()
    }

    /// The versions of its lookups.
    pub fn lookup_versions(&self) -> Vec<LookupVersion> {
        self.lookups.values().map(|lookup| lookup.version.clone()).collect()
    }
}

/// A lookup that some model reads.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The newest version that can be read.
    pub newest: Arc<LoadedLookup>,
    /// Why a newer one, or this one for some model, cannot be used.
    pub problem: Option<Problem>,
}

/// A model that was promoted, and how far this replica is with it.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the newest entry of the log says.
    pub promoted: Version,
    /// What answers here; none until a version has loaded.
    pub served: Option<Arc<Served>>,
    /// Why the promoted version does not serve, if it was tried.
    pub problem: Option<Problem>,
    /// True if an administrator took it out of service here.
    pub set_aside: bool,
    /// The other aliases that answer a share of the requests, or run as shadows.
    pub beside: Vec<Beside>,
    /// The field by which requests stick to an alias.
    pub sticky: Option<String>,
}

/// An alias beside the champion.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Its name.
    pub alias: String,
    /// Share of the requests in percent; none for a shadow, whose answers are logged and never given.
    pub share: Option<u32>,
    /// What the newest entry of the log says.
    pub promoted: Version,
    /// What answers here; until a version has loaded the champion answers its share.
    pub served: Option<Arc<Served>>,
    /// Why the promoted version does not serve, if it was tried.
    pub problem: Option<Problem>,
}

/// What an administrator asks of this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve what was promoted of this model.
    Load(String),
    /// Do not serve this model.
    Unload(String),
}

impl Model {
    /// The champion's share of the requests in percent.
    pub fn share(&self) -> u32 {
        100 - self.beside.iter().filter_map(|beside| beside.share).sum::<u32>()
    }

    /// True if what was promoted is what answers.
    pub fn is_current(&self) -> bool {
        self.served
            .as_ref()
            .is_some_and(|served| served.version == self.promoted)
    }
}

/// Everything that a request may need to know, as of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Promoted models by name.
    pub models: BTreeMap<String, Model>,
    /// Declared routes of the models that serve.
    pub routes: BTreeMap<String, Arc<Served>>,
    /// Lookups that these read, by name.
    pub lookups: BTreeMap<String, Lookup>,
    /// Number of the newest log entry that was seen; 0 before the first.
    pub position: u64,
    /// Why the last look at the log failed, if it did.
    pub log_problem: Option<String>,
    /// True until each model that was promoted at the start has loaded or failed once.
    pub starting: bool,
    /// The OpenAPI document of this moment.
    pub openapi: Bytes,
}

impl Snapshot {
    /// The model that answers at `path`: by its declared route, or as `/predict/<name>`.
    pub fn at_path(&self, path: &str) -> Target {
        if let Some(served) = self.routes.get(path) {
            return Target::Served(served.clone());
        }
        let named = path.strip_prefix("/predict/").and_then(|name| self.models.get(name));
        match named.map(|model| &model.served) {
            Some(Some(served)) => Target::Served(served.clone()),
            Some(None) => Target::NotLoaded,
            // The bundle that is missing may be the one that declares this path.
            None if self.starting || self.models.values().any(|model| model.served.is_none()) => {
                Target::PerhapsNotLoaded
            }
            None => Target::Unknown,
        }
    }
}

impl Snapshot {
    /// The model that answers where a request names none: `wanted`, or the only one that was promoted.
    pub fn default_model(&self, wanted: Option<&str>) -> Target {
        let model = match wanted {
            Some(name) => self.models.get(name),
            None if self.models.len() == 1 => self.models.values().next(),
            None => None,
        };
        match model.map(|model| &model.served) {
            Some(Some(served)) => Target::Served(served.clone()),
            Some(None) => Target::NotLoaded,
            None if self.starting => Target::NotLoaded,
            None => Target::Unknown,
        }
    }
}

/// What a path leads to.
#[derive(Debug)]
pub enum Target {
    /// This model.
    Served(Arc<Served>),
    /// A model that was promoted and has not loaded.
    NotLoaded,
    /// Nothing that is known, while some model has not loaded.
    PerhapsNotLoaded,
    /// Nothing.
    Unknown,
}

/// The current [`Snapshot`]. Reading it takes no lock.
#[derive(Debug)]
pub struct Models {
    current: ArcSwap<Snapshot>,
    commands: OnceLock<UnboundedSender<Command>>,
}

impl Default for Models {
    fn default() -> Models {
        Models {
            current: ArcSwap::from_pointee(Snapshot {
                starting: true,
                ..Snapshot::default()
            }),
            commands: OnceLock::new(),
        }
    }
}

impl Models {
    /// The snapshot of this moment, for a short look: clone what outlives it.
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Asks whoever follows the log; a moment later a snapshot shows what came of it.
    pub fn command(&self, command: Command) {
        match self.commands.get().map(|commands| commands.send(command)) {
            Some(Ok(())) => {}
            _ => tracing::warn!("nobody follows the promotion log; a command is lost"),
        }
    }

    /// Where commands arrive; asked for once.
    pub fn commands(&self) -> UnboundedReceiver<Command> {
        let (commands, arrived) = unbounded_channel();
        // A second follower hears nothing, because its sender is dropped here.
        let _ = self.commands.set(commands);
        arrived
    }

    /// Replaces the snapshot. Requests that took a model from the one before keep that model to their end.
    pub fn replace(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}
