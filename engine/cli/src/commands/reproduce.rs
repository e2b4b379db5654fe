//! `ratchet models reproduce NAME@VERSION`: whether the lineage leads to the same bundle again.

use std::pin::pin;
use std::sync::Arc;

use ratchet_artifacts::ModelManifest;
use ratchet_core::plugin::{Output, Registry};
use ratchet_runtime::{Engine, Reproduced, RunStatus};
use serde_json::json;
use tokio::sync::mpsc;

use super::shutdown;
use crate::arguments::{Format, Reference};
use crate::display::progress::Progress;
use crate::display::{output, table};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Runs what led to a version once more and compares the digests of the bundles. Exit status 1 if they differ.
pub async fn reproduce(
    reference: &Reference,
    format: Format,
    settings: &Settings,
    registry: Arc<Registry>,
) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?;
    let manifest = super::models::find(&bucket, reference).await?;
    let engine = settings.open_engine(registry).await?;
    let name = format!("{}@{}", manifest.name, manifest.version);
    let lineage = &manifest.lineage;
    if let Err(error) = engine.run(&lineage.run).await {
        return Err(Failure::from(error).help(format!(
            "{name} was trained by run {}; name the home or the database that holds it with RATCHET_HOME or RATCHET_DATABASE_URL",
            lineage.run
        )));
    }
    let reproduced = rerun(&engine, &manifest, settings).await?;
    let bundle = digest(&reproduced, &manifest).ok_or_else(|| failed(&name, &reproduced))?;
    let build = engine.build().await?;
    let equal = bundle == manifest.bundle.sha256;
    let same_build = (!lineage.build.is_empty()).then(|| lineage.build == build);
    match format {
        Format::Json => output::document(&json!({
            "model": name, "equal": equal, "bundle": manifest.bundle.sha256, "reproduced": bundle,
            "build": lineage.build, "this_build": build, "same_build": same_build,
            "replayed": reproduced.replayed, "taken": reproduced.taken,
        }))?,
        Format::Text => output::line(&page(&name, &manifest, &bundle, same_build, &reproduced)),
    }
    match equal {
        true => Ok(()),
        false => Err(Failure::reported(Status::Failed)),
    }
}

/// The same again, in a directory that goes afterwards.
async fn rerun(engine: &Engine, manifest: &ModelManifest, settings: &Settings) -> Result<Reproduced, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::input(format!("{} cannot be written: {error}", settings.home.display()))
            .help("name another home with RATCHET_HOME")
    };
    let parent = settings.home.join("tmp");
    std::fs::create_dir_all(&parent).map_err(unusable)?;
    let home = tempfile::Builder::new()
        .prefix("reproduce.")
        .tempdir_in(parent)
        .map_err(unusable)?;
    let cancel = shutdown::listen("cancelling; once more ends it at once")?;
    let (sender, mut events) = mpsc::unbounded_channel();
    let lineage = &manifest.lineage;
    let mut progress = Progress::new([lineage.task.as_str()], settings.quiet, settings.verbose);
    let mut work = pin!(engine.reproduce(&lineage.run, &lineage.task, home.path().to_owned(), sender, cancel));
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => progress.show(&event),
            reproduced = &mut work => return Ok(reproduced?),
        }
    }
}

/// The digest of the bundle that came of it.
fn digest(reproduced: &Reproduced, manifest: &ModelManifest) -> Option<String> {
    let task = reproduced.tasks.iter().find(|task| task.id == manifest.lineage.task)?;
    task.outputs.values().find_map(|output| match output {
        Output::Model(model) if model.name == manifest.name => Some(model.bundle.sha256.clone()),
        _ => None,
    })
}

/// Why there is no bundle to compare.
fn failed(name: &str, reproduced: &Reproduced) -> Failure {
    let error = reproduced.tasks.iter().find_map(|task| {
        let error = task.error.as_ref()?;
        Some(format!("task `{}` failed: {error}", task.id))
    });
    let why = match reproduced.run.status {
        RunStatus::Cancelled => "it was cancelled".to_owned(),
        _ => error.unwrap_or_else(|| "its task gave no model of that name".to_owned()),
    };
    Failure::failed(format!("{name} was not trained again: {why}"))
}

fn page(
    name: &str,
    manifest: &ModelManifest,
    bundle: &str,
    same_build: Option<bool>,
    reproduced: &Reproduced,
) -> String {
    let verdict = match (bundle == manifest.bundle.sha256, same_build) {
        (true, _) => format!("{name} is reproduced: the same bundle, byte for byte"),
        (false, Some(true)) => format!("{name} is NOT reproduced, though the same program trained it"),
        (false, Some(false)) => {
            format!(
                "{name} is NOT reproduced; another program trained it, and equality is promised for the same one only"
            )
        }
        (false, None) => format!("{name} is NOT reproduced; which program trained it is not known"),
    };
    let build = match same_build {
        Some(true) => "the same program",
        Some(false) => "another program",
        None => "not known",
    };
    let facts = table::facts(&[
        ("run", manifest.lineage.run.clone()),
        ("registered", manifest.bundle.sha256.clone()),
        ("reproduced", bundle.to_owned()),
        ("trained by", build.to_owned()),
        ("from raw bytes", reproduced.replayed.join(", ")),
        ("taken as recorded", reproduced.taken.join(", ")),
    ]);
    format!("{verdict}\n\n{facts}")
}
