//! From the command line to an exit status: 0 done, 1 failed, 2 wrong input, 3 a service cannot be reached.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::options::AccessOptions;
use crate::arguments::{Arguments, Command, Serve};
use crate::connection::TlsFiles;
use crate::published::engine::EngineOptions;
use crate::record::{DriftOptions, RecordOptions};
use crate::service::{Options, Service, StartError};
use crate::{openapi, telemetry};

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Openapi => print_openapi(),
        Command::Serve(arguments) => serve(*arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn print_openapi() -> Result<(), StartError> {
    let document = serde_json::to_string_pretty(&openapi::fixed())
        .map_err(|error| StartError::Failed(format!("cannot write the OpenAPI document: {error}")))?;
    writeln!(std::io::stdout(), "{document}")
        .map_err(|error| StartError::Failed(format!("cannot write to standard output: {error}")))
}

fn serve(arguments: Serve) -> Result<(), StartError> {
    telemetry::start_logging();
    // TLS to the store is built without a default provider, so that no cmake is needed. A second install is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let administrator = administrator_from_environment()?;
    let options = Options {
        listen: arguments.listen,
        store: arguments.store,
        home: arguments.home,
        memory_limit: arguments.memory_limit,
        administrator,
        default_model: arguments.default_model,
        access: AccessOptions {
            registration: arguments.registration,
            requests_per_second: arguments.rate_limit,
            origins: arguments.cors_origins,
        },
        engine: EngineOptions {
            url: arguments.engine,
            // No flag: every process of the machine can read arguments.
            key: std::env::var("RATCHET_ENGINE_KEY").ok(),
            dag: arguments.retrain_dag,
            cooldown: Duration::from_secs(60 * u64::from(arguments.retrain_cooldown)),
        },
        record: RecordOptions {
            // No flag: it may hold a password, and every process of the machine can read arguments.
            database: std::env::var("RATCHET_DATABASE_URL").ok().filter(|url| !url.is_empty()),
            bytes: arguments.record_bytes,
            days: arguments.record_days,
            share: arguments.record_share,
            masked: arguments.record_mask,
            feeds: !arguments.no_feeds,
            drift: DriftOptions {
                rows: arguments.drift_rows,
                rate: arguments.drift_rate,
                every: Duration::from_secs(60 * u64::from(arguments.drift_minutes)),
            },
        },
        trusted_keys: arguments.trusted_keys.filter(|_| arguments.require_signatures),
        tls: (arguments.tls_cert.zip(arguments.tls_key)).map(|(certificate, key)| TlsFiles { certificate, key }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Failed(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(async {
        let stop = stop_signal()?;
        let service = Service::start(options).await?;
        service.run(stop).await
    });
    // What waits for a database that is gone ends with the process. A runtime that went first would make its threads panic.
    std::mem::forget(runtime);
    outcome
}

/// Name and password of the first administrator; both or neither.
fn administrator_from_environment() -> Result<Option<(String, String)>, StartError> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (read("RATCHET_ADMIN_USERNAME"), read("RATCHET_ADMIN_PASSWORD")) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (None, None) => Ok(None),
        _ => Err(StartError::Input(
            "RATCHET_ADMIN_USERNAME and RATCHET_ADMIN_PASSWORD go together; set both or neither".to_owned(),
        )),
    }
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    let listen = |kind| signal(kind).map_err(|error| StartError::Failed(format!("cannot listen for signals: {error}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing the requests at hand"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing the requests at hand"),
        }
    })
}
