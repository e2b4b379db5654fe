//! `ratchet dags pause | unpause NAME`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ratchet_core::plugin::Registry;
use ratchet_core::spec::Dag;
use ratchet_runtime::Pause;
use serde::Deserialize;
use serde_json::json;

use super::files;
use crate::arguments::PauseOf;
use crate::display::{describe, output};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::{self, Settings};

/// What a service says about a pause.
#[derive(Deserialize)]
struct There {
    paused: Option<Pause>,
}

/// Lets a DAG start nothing by itself.
pub async fn pause(arguments: PauseOf, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let name = arguments.name;
    let pause = match &arguments.remote.server {
        Some(server) => {
            let path = ["api", "v1", "dags", &name, "pause"];
            let there: There = Client::open(server)?.post(&path, &[], &json!({})).await?;
            there.paused
        }
        None => {
            find(&arguments.dags, &name, &registry)?;
            let engine = settings.open_engine(registry).await?;
            engine.store().pause(&name, &settings::actor()).await?;
            engine.store().pauses().await?.remove(&name)
        }
    };
    match pause {
        Some(pause) => output::line(&format!(
            "{name} is paused since {} by {}; `ratchet dags unpause {name}` lets it go on",
            describe::instant(pause.at),
            pause.by
        )),
        // Somebody was faster.
        None => output::line(&format!("{name} goes on again")),
    }
    Ok(())
}

/// Lets it go on.
pub async fn unpause(arguments: PauseOf, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let name = arguments.name;
    match &arguments.remote.server {
        Some(server) => {
            let path = ["api", "v1", "dags", &name, "unpause"];
            let _: There = Client::open(server)?.post(&path, &[], &json!({})).await?;
        }
        None => {
            let engine = settings.open_engine(registry.clone()).await?;
            if !engine.store().unpause(&name).await? {
                // Whoever is paused may have lost its file; whoever is not has to be there.
                find(&arguments.dags, &name, &registry)?;
            }
        }
    }
    output::line(&format!("{name} goes on; missed ticks go by its `catchup`"));
    Ok(())
}

/// The DAG of that name in a directory.
///
/// # Errors
///
/// No file without problems holds it; the names of those that do are told.
pub fn find(directory: &Path, name: &str, registry: &Registry) -> Result<Dag, Failure> {
    let mut known = Vec::new();
    for file in files::expand(&[directory.to_owned()])? {
        let file_name = file.to_string_lossy().into_owned();
        if let Ok(dag) = ratchet_core::load(&file_name, &files::read(&file)?, registry) {
            if dag.name == name {
                return Ok(dag);
            }
            known.push(dag.name);
        }
    }
    let help = match known.is_empty() {
        true => format!(
            "`ratchet validate {}` shows what is wrong with its files",
            directory.display()
        ),
        false => format!("it has {}; another directory is named by --dags", known.join(", ")),
    };
    Err(Failure::input(format!(
        "there is no DAG `{name}` without problems in {}",
        directory.display()
    ))
    .help(help))
}

/// Which DAGs are paused; none if this home has no metadata yet, which a listing does not make.
///
/// # Errors
///
/// The metadata cannot be read.
pub async fn here(settings: &Settings, registry: Arc<Registry>) -> Result<BTreeMap<String, Pause>, Failure> {
    if settings.database_url.is_none() && !settings.home.join("engine.sqlite").exists() {
        return Ok(BTreeMap::new());
    }
    Ok(settings.open_engine(registry).await?.store().pauses().await?)
}
