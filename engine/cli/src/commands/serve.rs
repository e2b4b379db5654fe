//! `ratchet serve`.

use std::sync::Arc;

use ratchet_core::plugin::Registry;
use ratchet_server::{Server, ServerOptions};

use super::{gc, shutdown, users};
use crate::arguments::Serve;
use crate::display::output;
use crate::failure::Failure;
use crate::settings::Settings;

/// Schedules and serves until a signal comes.
pub async fn serve(arguments: Serve, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    if !arguments.dags.is_dir() {
        return Err(
            Failure::input(format!("{} is not a directory", arguments.dags.display()))
                .help("name the directory of the DAG files with --dags or RATCHET_DAGS"),
        );
    }
    let engine = settings.open_engine(registry.clone()).await?;
    let identity = users::open(settings).await?;
    let nobody = identity.list().await?.is_empty() && identity.list_keys().await?.is_empty();
    let options = ServerOptions {
        engine: engine.clone(),
        registry,
        dag_directory: arguments.dags.clone(),
        home: settings.home.clone(),
        identity,
    };
    let server = Server::bind(options, arguments.listen).await?;
    if !arguments.listen.ip().is_loopback() {
        output::error(&format!(
            "warning: {} can be reached by others and does not encrypt; put a proxy with TLS before it",
            server.address()
        ));
    }
    if nobody {
        output::error("nobody can log in yet; `ratchet users add NAME --role admin` adds the first user");
    }
    output::error(&format!(
        "http://{} (DAGs of {}); Ctrl-C stops",
        server.address(),
        arguments.dags.display()
    ));
    let stop = shutdown::listen("stopping; runs under way go on when the service starts again")?;
    let Some(retention) = settings.retention.clone() else {
        return Ok(server.run(stop).await?);
    };
    tokio::select! {
        ended = server.run(stop) => Ok(ended?),
        () = gc::daily(engine, retention) => Ok(()),
    }
}
