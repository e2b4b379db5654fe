//! `ratchet models list | show | promote | rollback`.

use std::collections::BTreeMap;

use ratchet_artifacts::{
    Appended, Bucket, Expected, Holder, ModelManifest, NewPromotion, PromotionEntry, PromotionLog, models,
};
use serde_json::{Value, json};

use crate::arguments::{Format, Models, Reference};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::{self, Settings};

/// The alias that serving follows.
const CHAMPION: &str = "champion";

/// Lists models, shows one version, promotes or rolls back by hand.
pub async fn models(command: Models, settings: &Settings) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?;
    let log = PromotionLog::new(bucket.clone());
    match command {
        Models::List { listing } => list(&bucket, &log, listing.format).await,
        Models::Show { model, listing } => show(&bucket, &log, &model, listing.format).await,
        Models::Promote {
            model,
            alias,
            reason,
            listing,
        } => {
            let manifest = find(&bucket, &model).await?;
            if model.version.is_none() {
                return Err(
                    Failure::input(format!("`{}` names no version", model.name)).help(format!(
                        "write NAME@VERSION; the newest is {}@{}",
                        manifest.name, manifest.version
                    )),
                );
            }
            let promotion = NewPromotion {
                model: manifest.name.clone(),
                version: manifest.version,
                digest: manifest.bundle.sha256.clone(),
                alias,
                expected: Expected::Any,
                actor: settings::actor(),
                reason: given(reason)?,
                comparison: Value::Null,
                key: by_hand(),
                attended: true,
            };
            report(&log.promote(promotion).await?, listing.format)
        }
        Models::Rollback {
            name,
            alias,
            reason,
            listing,
        } => {
            let reason = given(reason)?;
            report(
                &log.rollback(&name, &alias, &settings::actor(), &reason, &by_hand())
                    .await?,
                listing.format,
            )
        }
    }
}

/// What a person does is done once for each command: nobody repeats its key.
fn by_hand() -> String {
    format!("by-hand/{}", uuid::Uuid::now_v7())
}

fn given(reason: String) -> Result<String, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::input("the reason is empty").help("say in one sentence why; the log keeps it"));
    }
    Ok(reason)
}

fn report(appended: &Appended, format: Format) -> Result<(), Failure> {
    let entry = &appended.entry;
    if format == Format::Json {
        return output::document(entry);
    }
    let before = entry
        .previous
        .as_ref()
        .map(|holder| format!(" (before: @{})", holder.version))
        .unwrap_or_default();
    output::line(&format!(
        "{} of {} is now @{}{before}; entry {} of the promotion log",
        entry.alias, entry.model, entry.version, entry.number
    ));
    Ok(())
}

/// Model -> alias -> holder, after the newest entry.
async fn production(log: &PromotionLog) -> Result<BTreeMap<String, BTreeMap<String, Holder>>, Failure> {
    Ok(log.head().await?.map(|entry| entry.table).unwrap_or_default())
}

async fn list(bucket: &Bucket, log: &PromotionLog, format: Format) -> Result<(), Failure> {
    let aliases = production(log).await?;
    let mut listing = Listing::new(&["model", "champion", "metrics", "rows", "created"]);
    let mut documents: Vec<Value> = Vec::new();
    for name in models::names(bucket).await? {
        let Some(newest) = models::latest(bucket, &name).await? else {
            continue;
        };
        let held = aliases.get(&name);
        let champion = held.and_then(|held| held.get(CHAMPION));
        listing.row([
            format!("{name}@{}", newest.version),
            champion
                .map(|holder| format!("@{}", holder.version))
                .unwrap_or_else(|| "none".to_owned()),
            describe::marked(describe::metrics(&newest.metrics, 3), newest.lineage.simulated),
            newest
                .rows
                .get("train")
                .copied()
                .map(describe::count)
                .unwrap_or_default(),
            describe::instant(newest.created_at),
        ]);
        documents.push(json!({
            "name": name, "latest": newest.version, "digest": newest.bundle.sha256, "metrics": newest.metrics,
            "rows": newest.rows, "simulated": newest.lineage.simulated, "created_at": newest.created_at,
            "aliases": held,
        }));
    }
    match format {
        Format::Json => output::document(&documents),
        Format::Text => {
            table::print(&listing, "there are no models yet; a run with `train.model` makes them");
            Ok(())
        }
    }
}

async fn find(bucket: &Bucket, reference: &Reference) -> Result<ModelManifest, Failure> {
    let found = match reference.version {
        Some(version) => models::get(bucket, &reference.name, version).await?,
        None => models::latest(bucket, &reference.name).await?,
    };
    if let Some(manifest) = found {
        return Ok(manifest);
    }
    let versions = models::versions(bucket, &reference.name).await?;
    Err(match (versions.first(), versions.last()) {
        (Some(first), Some(last)) => {
            let version = reference.version.unwrap_or_default();
            Failure::input(format!("model `{}` has no version {version}", reference.name))
                .help(format!("its versions are {first} to {last}"))
        }
        _ => Failure::input(format!("there is no model `{}`", reference.name))
            .help("`ratchet models list` shows them all"),
    })
}

async fn show(bucket: &Bucket, log: &PromotionLog, reference: &Reference, format: Format) -> Result<(), Failure> {
    let manifest = find(bucket, reference).await?;
    let history: Vec<PromotionEntry> = log
        .entries()
        .await?
        .into_iter()
        .filter(|entry| entry.model == manifest.name)
        .collect();
    let aliases = history
        .last()
        .and_then(|entry| entry.table.get(&manifest.name))
        .cloned()
        .unwrap_or_default();
    let held: Vec<&str> = aliases
        .iter()
        .filter(|(_, holder)| holder.version == manifest.version)
        .map(|(alias, _)| alias.as_str())
        .collect();
    if format == Format::Json {
        let concerning: Vec<&PromotionEntry> = history
            .iter()
            .filter(|entry| entry.version == manifest.version)
            .collect();
        return output::document(&json!({ "manifest": manifest, "aliases": held, "promotions": concerning }));
    }
    output::line(&page(&manifest, &held));
    let mut promotions = Listing::new(&["entry", "at", "action", "version", "by", "reason"]);
    for entry in &history {
        promotions.row([
            entry.number.to_string(),
            describe::instant(entry.at),
            describe::plain(&json!(entry.action)),
            format!("{}@{}", entry.alias, entry.version),
            entry.actor.clone(),
            entry.reason.clone(),
        ]);
    }
    if !promotions.is_empty() {
        output::line(&format!("\n{promotions}"));
    }
    Ok(())
}

fn page(manifest: &ModelManifest, held: &[&str]) -> String {
    let lineage = &manifest.lineage;
    let facts = table::facts(&[
        (
            "model",
            describe::marked(format!("{}@{}", manifest.name, manifest.version), lineage.simulated),
        ),
        ("digest", manifest.bundle.sha256.clone()),
        ("bytes", describe::count(manifest.bundle.bytes)),
        ("aliases", held.join(", ")),
        ("created", describe::instant(manifest.created_at)),
        ("source", lineage.source.clone()),
        ("inputs", lineage.inputs.join("\n")),
        (
            "made by",
            format!("task {} of {} in run {}", lineage.task, lineage.dag, lineage.run),
        ),
        ("engine", lineage.engine.clone()),
        (
            "rows",
            manifest
                .rows
                .iter()
                .map(|(part, rows)| format!("{part} {}", describe::count(*rows)))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ]);
    let mut metrics = Listing::new(&["metric", "holdout"]);
    for (name, value) in &manifest.metrics {
        metrics.row([name.clone(), describe::number(*value)]);
    }
    let candidates = candidates(&manifest.report);
    let candidates = if candidates.is_empty() {
        String::new()
    } else {
        format!("\n\n{candidates}")
    };
    format!("{facts}\n\n{metrics}{candidates}")
}

/// The candidates of the training report with their metrics on the validation rows; the chosen one is marked.
fn candidates(report: &Value) -> Listing {
    let mut listing = Listing::new(&["candidate", "chosen", "validation"]);
    for candidate in report["candidates"].as_array().into_iter().flatten() {
        let metrics = candidate["validation"].as_object().into_iter().flatten();
        let metrics: BTreeMap<String, f64> = metrics
            .filter_map(|(metric, value)| Some((metric.clone(), value.as_f64()?)))
            .collect();
        let chosen = candidate["candidate"] == report["chosen"];
        listing.row([
            candidate["candidate"].as_str().unwrap_or("-").to_owned(),
            if chosen { "yes" } else { "" }.to_owned(),
            describe::metrics(&metrics, 4),
        ]);
    }
    listing
}
