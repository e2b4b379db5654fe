//! Flags over `RATCHET_*` variables over `ratchet.toml` over defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ratchet_artifacts::{Bucket, SigningKey, TrustedKeys};
use ratchet_core::plugin::Registry;
use ratchet_core::spec::MAX_POOL_SLOTS;
use ratchet_runtime::{Engine, EngineOptions};
use serde::Deserialize;

use crate::arguments::{Global, age};
use crate::failure::Failure;

/// Read from the current directory, if it is there.
const FILE_NAME: &str = "ratchet.toml";

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    home: Option<PathBuf>,
    store: Option<String>,
    database_url: Option<String>,
    jwt_secret: Option<String>,
    signing_key: Option<PathBuf>,
    trusted_keys: Option<PathBuf>,
    slots: Option<usize>,
    retention: Option<RetentionText>,
    #[serde(default)]
    pools: BTreeMap<String, u32>,
}

/// The table `retention` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionText {
    runs: Option<String>,
}

/// What `ratchet serve` removes once a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Runs that ended longer ago; none keeps all. Blobs that nothing refers to go in any case.
    pub runs: Option<Duration>,
}

/// What every command may need to know.
#[derive(Clone)]
pub struct Settings {
    /// Directory of the embedded state.
    pub home: PathBuf,
    /// Address of the bucket.
    pub store: String,
    /// Address of the engine's metadata; none: a file in the home directory.
    pub database_url: Option<String>,
    /// Key of the tokens, if one is given; otherwise the services keep a random one in the home directory.
    pub jwt_secret: Option<String>,
    /// File with the key that signs manifests and promotions; none signs nothing.
    pub signing_key: Option<PathBuf>,
    /// File with the keys whose signatures count.
    pub trusted_keys: Option<PathBuf>,
    /// How many task attempts may run at once.
    pub slots: usize,
    /// What a service removes by itself; none removes nothing.
    pub retention: Option<Retention>,
    /// What all runs of the metadata share, with its slots.
    pub pools: BTreeMap<String, u32>,
    /// No progress, no logs.
    pub quiet: bool,
    /// Debug lines too.
    pub verbose: bool,
}

impl Settings {
    /// Reads them all. The flags of `global` already hold the variables of the same meaning.
    ///
    /// # Errors
    ///
    /// `ratchet.toml` or a variable cannot be read.
    pub fn read(global: &Global) -> Result<Self, Failure> {
        let file = read_file(Path::new(FILE_NAME))?;
        let slots = match std::env::var("RATCHET_SLOTS") {
            Ok(text) => Some(text.parse::<usize>().map_err(|_| {
                Failure::input(format!("RATCHET_SLOTS is `{text}`")).help("set it to a whole number from 1")
            })?),
            Err(_) => file.slots,
        };
        let slots = slots.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |cores| cores.get()));
        if slots == 0 {
            return Err(Failure::input("slots is 0, so that no task could ever run").help("set it to 1 or more"));
        }
        check_pools(&file.pools)?;
        let home = global
            .home
            .clone()
            .or(file.home)
            .unwrap_or_else(|| PathBuf::from(".ratchet"));
        Ok(Self {
            store: global
                .store
                .clone()
                .or(file.store)
                .unwrap_or_else(|| default_store(&home)),
            home,
            // No flag: it may hold a password, and every process of the machine can read arguments.
            database_url: std::env::var("RATCHET_DATABASE_URL")
                .ok()
                .or(file.database_url)
                .filter(|url| !url.is_empty()),
            jwt_secret: std::env::var("RATCHET_JWT_SECRET").ok().or(file.jwt_secret),
            signing_key: path_in("RATCHET_SIGNING_KEY").or(file.signing_key),
            trusted_keys: path_in("RATCHET_TRUSTED_KEYS").or(file.trusted_keys),
            slots,
            retention: file.retention.map(read_retention).transpose()?,
            pools: file.pools,
            quiet: global.quiet,
            verbose: global.verbose > 0,
        })
    }

    /// The same with another home, and the bucket and the metadata in it.
    pub fn at_home(&self, home: PathBuf) -> Self {
        Self {
            store: default_store(&home),
            home,
            database_url: None,
            ..self.clone()
        }
    }

    /// Opens the engine.
    pub async fn open_engine(&self, registry: Arc<Registry>) -> Result<Engine, Failure> {
        let working_directory = std::env::current_dir()
            .map_err(|error| Failure::input(format!("the current directory cannot be read: {error}")))?;
        let worker = std::env::current_exe()
            .map_err(|error| Failure::service(format!("the path of this program cannot be read: {error}")))?;
        let options = EngineOptions {
            home: self.home.clone(),
            database_url: self.database_url.clone(),
            bucket_url: self.store.clone(),
            working_directory,
            worker,
            signing_key: self.open_signing_key()?,
            replay: None,
            slots: self.slots,
            registry,
        };
        Ok(Engine::open(options).await?)
    }

    /// Opens the bucket alone.
    pub async fn open_bucket(&self) -> Result<Bucket, Failure> {
        let signing_key = self.open_signing_key()?;
        Ok(Bucket::open(&self.store).await?.signing_with(signing_key))
    }

    /// The keys whose signatures count, if somebody names them.
    pub fn trusted_keys(&self) -> Result<Option<TrustedKeys>, Failure> {
        let keys = self.trusted_keys.as_deref().map(TrustedKeys::open).transpose();
        keys.map_err(|error| Failure::input(error.to_string()))
    }

    fn open_signing_key(&self) -> Result<Option<SigningKey>, Failure> {
        let key = self.signing_key.as_deref().map(SigningKey::open).transpose();
        key.map_err(|error| Failure::input(error.to_string()))
    }
}

/// The path that a variable holds; an empty one is none.
fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn default_store(home: &Path) -> String {
    home.join("bucket").to_string_lossy().into_owned()
}

fn read_retention(text: RetentionText) -> Result<Retention, Failure> {
    let runs = text.runs.map(|runs| {
        age(&runs).map_err(|message| {
            Failure::input(format!(
                "`runs` of the table retention in {FILE_NAME} is `{runs}`: {message}"
            ))
            .help("write an age of at least a day, such as \"90d\"")
        })
    });
    Ok(Retention {
        runs: runs.transpose()?,
    })
}

fn read_file(path: &Path) -> Result<File, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(Failure::input(format!("{} cannot be read: {error}", path.display()))),
    };
    toml::from_str(&text).map_err(|error| {
        Failure::input(format!(
            "{} is not valid\n{}",
            path.display(),
            error.to_string().trim_end()
        ))
        .help(
            "its keys are home, store, database_url, jwt_secret, signing_key, trusted_keys and slots, and the tables [retention] and [pools] (such as gpu = 2)",
        )
    })
}

fn check_pools(pools: &BTreeMap<String, u32>) -> Result<(), Failure> {
    for (name, slots) in pools {
        let belongs =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.chars().all(belongs) || name.len() > 100
        {
            return Err(
                Failure::input(format!("{FILE_NAME} declares the pool `{name}`, which is not a name"))
                    .help("a lower-case letter, then lower-case letters, digits, `-` and `_`"),
            );
        }
        if !(1..=MAX_POOL_SLOTS).contains(slots) {
            return Err(
                Failure::input(format!("{FILE_NAME} gives the pool `{name}` {slots} slots"))
                    .help(format!("a pool has from 1 to {MAX_POOL_SLOTS}")),
            );
        }
    }
    Ok(())
}

/// Who acts, for logs that keep it: the system's user name.
pub fn actor() -> String {
    std::env::var("RATCHET_ACTOR")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "unknown".to_owned())
}
