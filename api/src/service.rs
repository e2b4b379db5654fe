//! The running service: opened, listening, stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use ratchet_artifacts::{Bucket, BucketError, PromotionError, PromotionLog, TrustedKeys};
use ratchet_database::{Address, Kind};
use ratchet_identity::{Administrator, Identity};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::access::options::{AccessOptions, AccessState};
use crate::connection::{self, TlsFiles, acceptor};
use crate::database::collections::Collections;
use crate::models::registry::Models;
use crate::models::watch::Watcher;
use crate::published::engine::{Engine, EngineOptions};
use crate::record::{Keeper, RecordOptions, Recorder};
use crate::telemetry::Telemetry;
use crate::{headers, router};

/// How long requests at hand may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(35);

/// Where to listen and what to serve.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `address:port`; port 0 takes any free one.
    pub listen: String,
    /// Bucket; `<home>/bucket` if none is given.
    pub store: Option<String>,
    /// Directory of users and the signing secret.
    pub home: PathBuf,
    /// Most bytes that loaded models may take together.
    pub memory_limit: Option<u64>,
    /// Name and password of the first administrator, added if there is none.
    pub administrator: Option<(String, String)>,
    /// Model that answers `POST /predict`; the only one if none is named.
    pub default_model: Option<String>,
    /// Who may ask, and how often.
    pub access: AccessOptions,
    /// The engine, which retrains.
    pub engine: EngineOptions,
    /// What is kept of requests.
    pub record: RecordOptions,
    /// File with the public keys whose signatures manifests and promotions need; none: they need no signature.
    pub trusted_keys: Option<PathBuf>,
    /// Certificate and key for HTTPS; plain HTTP if there are none.
    pub tls: Option<TlsFiles>,
}

/// Why the service does not start or stopped. Each message names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option is wrong. Exit status 2.
    #[error("{0}")]
    Input(String),
    /// The bucket cannot be reached. Exit status 3.
    #[error("{0}")]
    Unreachable(String),
    /// Anything else. Exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl StartError {
    /// The process's exit status.
    pub fn exit_status(&self) -> u8 {
        match self {
            StartError::Failed(_) => 1,
            StartError::Input(_) => 2,
            StartError::Unreachable(_) => 3,
        }
    }
}

impl From<BucketError> for StartError {
    fn from(error: BucketError) -> StartError {
        match error {
            BucketError::UnknownScheme { .. } | BucketError::InvalidUrl { .. } => StartError::Input(error.to_string()),
            other => StartError::Unreachable(other.to_string()),
        }
    }
}

impl From<PromotionError> for StartError {
    fn from(error: PromotionError) -> StartError {
        StartError::Unreachable(error.to_string())
    }
}

impl From<ratchet_identity::Error> for StartError {
    fn from(error: ratchet_identity::Error) -> StartError {
        use ratchet_identity::Error;
        match error {
            Error::Internal(_) | Error::Database(_) => StartError::Failed(error.to_string()),
            Error::Username(_) | Error::PasswordRule(_) | Error::Exists(_) => StartError::Input(format!(
                "{error} (it stands in RATCHET_ADMIN_USERNAME and RATCHET_ADMIN_PASSWORD)"
            )),
            _ => StartError::Input(error.to_string()),
        }
    }
}

/// What every request handler may reach.
pub struct Application {
    /// Users and tokens.
    pub identity: Identity,
    /// What is served.
    pub models: Models,
    /// Counters and durations.
    pub telemetry: Arc<Telemetry>,
    /// Model that answers `POST /predict`; the only one if none is named.
    pub default_model: Option<String>,
    /// The engine, which retrains.
    pub engine: Engine,
    /// Takes copies of requests for the log.
    pub recorder: Recorder,
    /// The log.
    pub keeper: Keeper,
    /// What the record collections are.
    pub collections: Collections,
    /// Who may ask, and how often.
    pub access: AccessState,
    /// Origins whose pages may ask.
    pub origins: Vec<HeaderValue>,
    /// Whether clients speak TLS with us.
    pub encrypted: bool,
}

/// A service that listens. Requests are answered once [`Service::run`] is awaited; models load from [`Service::start`] on.
pub struct Service {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
    application: Arc<Application>,
    watcher: Watcher,
}

impl Service {
    /// Opens users and bucket, reads the promotion log and begins to listen and to load.
    ///
    /// # Errors
    /// [`StartError`] with the exit status that fits: a wrong option, or a bucket that cannot be read.
    pub async fn start(options: Options) -> Result<Service, StartError> {
        let identity = Identity::open(&options.home, options.record.database.as_deref()).await?;
        let store = match options.store.as_deref().filter(|store| !store.is_empty()) {
            Some(store) => store.to_owned(),
            None => options.home.join("bucket").display().to_string(),
        };
        let bucket = Bucket::open(&store).await?;
        Service::start_with(identity, bucket, &options).await
    }

    /// [`Service::start`] over users and a bucket that are open already.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_with(identity: Identity, bucket: Bucket, options: &Options) -> Result<Service, StartError> {
        let tls = options.tls.as_ref().map(acceptor).transpose()?;
        let trusted = options.trusted_keys.as_deref().map(TrustedKeys::open).transpose();
        let bucket = bucket.trusting(trusted.map_err(|error| StartError::Input(error.to_string()))?);
        ensure_administrator(&identity, options.administrator.as_ref()).await?;
        let head = PromotionLog::new(bucket.clone()).head().await?;
        let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
            StartError::Input(format!(
                "cannot listen on {}: {error}; choose another address with --listen or RATCHET_API_LISTEN",
                options.listen
            ))
        })?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::Failed(format!("the socket has no address: {error}")))?;
        // All that may be wrong with the options, before the first thread begins.
        let engine = Engine::new(&options.engine)?;
        let origins = headers::origins(&options.access.origins)?;
        let telemetry = Arc::<Telemetry>::default();
        let named = options.record.database.as_deref().map(Address::parse).transpose();
        let named = named.map_err(|error| StartError::Input(error.to_string()))?;
        // One that names a file is the engine's.
        let kept_at = named
            .filter(|address| address.kind() == Kind::Postgres)
            .unwrap_or_else(|| Address::file(&options.home.join("api.sqlite")));
        let (keeper, recorder) = Keeper::start(&options.record, kept_at, &bucket, &telemetry);
        let application = Arc::new(Application {
            identity,
            models: Models::default(),
            telemetry,
            engine,
            recorder,
            keeper,
            collections: Collections::new(bucket.clone()),
            default_model: options.default_model.clone().filter(|name| !name.is_empty()),
            access: AccessState::new(&options.access),
            origins,
            encrypted: tls.is_some(),
        });
        let url = bucket.url().to_owned();
        let watcher = Watcher::start(application.clone(), bucket, head, options.memory_limit);
        let scheme = if tls.is_some() { "https" } else { "http" };
        tracing::info!(%address, store = url, "listening on {scheme}://{address}");
        Ok(Service {
            listener,
            tls,
            address,
            application,
            watcher,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` completes; then accepts no more, finishes those at hand and closes.
    ///
    /// # Errors
    /// [`StartError::Failed`] if the socket breaks.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let (stopping, stopped) = watch::channel(false);
        let router = router::build(self.application.clone());
        let mut served = tokio::spawn(connection::serve(self.listener, self.tls, router, stopped));
        let outcome = tokio::select! {
            ended = &mut served => Err(StartError::Failed(format!("the server stopped by itself: {ended:?}"))),
            () = stop => {
                let _ = stopping.send(true);
                if tokio::time::timeout(DRAIN, &mut served).await.is_err() {
                    tracing::warn!("some connections did not finish in {} s and are cut", DRAIN.as_secs());
                    served.abort();
                }
                Ok(())
            }
        };
        self.watcher.stop();
        self.application.keeper.stop().await;
        self.application.identity.close().await;
        outcome
    }
}

async fn ensure_administrator(identity: &Identity, wanted: Option<&(String, String)>) -> Result<(), StartError> {
    let Some((username, password)) = wanted else {
        if identity.list().await?.is_empty() {
            tracing::warn!(
                "there is no user yet, so that nobody can ask for predictions; set RATCHET_ADMIN_USERNAME and \
                 RATCHET_ADMIN_PASSWORD, or run `ratchet users add`"
            );
        }
        return Ok(());
    };
    match identity.ensure_administrator(username, password).await? {
        Administrator::Added(user) => tracing::info!(username = user.username, "added the first administrator"),
        Administrator::Present => {
            tracing::info!("an administrator exists; RATCHET_ADMIN_USERNAME and RATCHET_ADMIN_PASSWORD are not used");
        }
    }
    Ok(())
}
