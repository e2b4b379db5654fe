//! The service as a whole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ratchet_core::plugin::Registry;
use ratchet_identity::{Audience, Identity};
use ratchet_runtime::Engine;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::directory::DagDirectory;
use crate::error::ServerError;
use crate::requests::Requests;
use crate::rest;
use crate::scheduler::{Scheduler, TriggerWatch};

/// How often the DAG directory is looked at.
const DIRECTORY_INTERVAL: Duration = Duration::from_secs(2);
/// Open requests have this long to end after the signal to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// What the service needs to know.
#[derive(Clone)]
pub struct ServerOptions {
    /// Creates and drives runs.
    pub engine: Engine,
    /// The plugins that DAG files may use.
    pub registry: Arc<Registry>,
    /// Directory of DAG files.
    pub dag_directory: PathBuf,
    /// Holds `schedules.json` and the claims of requests that are made once.
    pub home: PathBuf,
    /// Who may ask.
    pub identity: Identity,
}

/// What handlers share.
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) directory: Arc<DagDirectory>,
    pub(crate) identity: Identity,
    pub(crate) requests: Requests,
    /// Tells the scheduler that a run waits.
    pub(crate) wake: Arc<Notify>,
    /// True once the service is to end: what streams ends too.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) listens_on_loopback: bool,
}

/// A service that listens but does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: ServerOptions,
}

impl Server {
    /// Takes the address. Port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// The address is taken or may not be used.
    pub async fn bind(options: ServerOptions, listen: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            options,
        })
    }

    /// The address that it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Watches, schedules and answers until `stop` turns true. Runs under way are left as they are: their workers end
    /// with this process, and the next one takes them over.
    ///
    /// # Errors
    ///
    /// The connection handling ended by itself.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), ServerError> {
        let Self {
            listener,
            address,
            options,
        } = self;
        let directory = Arc::new(DagDirectory::new(options.dag_directory, options.registry));
        // Once before the first answer and the first tick.
        directory.refresh(&options.engine).await;
        let watching = tokio::spawn(watch_directory(directory.clone(), options.engine.clone()));
        let wake = Arc::new(Notify::new());
        let scheduler = Scheduler::new(options.engine.clone(), directory.clone(), &options.home, wake.clone());
        let scheduling = tokio::spawn(scheduler.run());
        let watch = TriggerWatch::new(options.engine.clone(), directory.clone(), wake.clone());
        let triggering = tokio::spawn(watch.run());
        let router: Router = rest::router(Arc::new(State {
            engine: options.engine,
            directory,
            identity: options.identity.for_audience(Audience::Engine),
            requests: Requests::new(&options.home),
            wake,
            stop: stop.clone(),
            listens_on_loopback: address.ip().is_loopback(),
        }));
        let mut stopped = stop.clone();
        let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(turned_true(stop));
        let outcome = tokio::select! {
            outcome = serving.into_future() => outcome.map_err(|source| ServerError::Serve { address, source }),
            // A client that holds its connection open must not keep the service from ending.
            () = async { turned_true_mut(&mut stopped).await; tokio::time::sleep(DRAIN_LIMIT).await } => Ok(()),
        };
        watching.abort();
        scheduling.abort();
        triggering.abort();
        outcome
    }
}

async fn turned_true(mut stop: watch::Receiver<bool>) {
    turned_true_mut(&mut stop).await;
}

async fn turned_true_mut(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can no longer say stop; then only the process's end stops the service.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn watch_directory(directory: Arc<DagDirectory>, engine: Engine) {
    let mut interval = tokio::time::interval(DIRECTORY_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        directory.refresh(&engine).await;
    }
}
