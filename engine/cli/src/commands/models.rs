//! `ratchet models list | show | promote | rollback`; the others stand in files of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ratchet_artifacts::{
    Bucket, CHAMPION, Expected, Holder, ModelManifest, NewPromotion, PromotionEntry, PromotionLog, models,
};
use ratchet_core::plugin::Registry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::backtest::backtest;
use super::report::compare;
use super::reproduce::reproduce;
use super::route::route;
use super::trace::trace;
use super::verify::verify;
use crate::arguments::{Format, Models, Reference, Remote};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::{self, Settings};

/// Lists models, shows one version, promotes or rolls back by hand.
pub async fn models(command: Models, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    match command {
        Models::List { remote, listing } => {
            let documents = Source::open(&remote, settings).await?.list().await?;
            list(documents, listing.format)
        }
        Models::Show { model, remote, listing } => {
            let source = Source::open(&remote, settings).await?;
            let manifest = source.find(&model).await?;
            let history = source.history(&manifest.name).await?;
            show(&manifest, &history, listing.format)
        }
        Models::Compare(arguments) => compare(arguments, settings).await,
        Models::Promote {
            model,
            alias,
            reason,
            breaking,
            remote,
            listing,
        } => {
            let source = Source::open(&remote, settings).await?;
            let manifest = source.find(&model).await?;
            if model.version.is_none() {
                return Err(
                    Failure::input(format!("`{}` names no version", model.name)).help(format!(
                        "write NAME@VERSION; the newest is {}@{}",
                        manifest.name, manifest.version
                    )),
                );
            }
            let entry = source.promote(&manifest, alias, given(reason)?, breaking).await?;
            report(&entry, listing.format)
        }
        Models::Rollback {
            name,
            alias,
            reason,
            remote,
            listing,
        } => {
            let reason = given(reason)?;
            let source = Source::open(&remote, settings).await?;
            report(&source.rollback(&name, &alias, &reason).await?, listing.format)
        }
        Models::Backtest { model, folds, listing } => {
            let manifest = find(&settings.open_bucket().await?, &model).await?;
            backtest(&manifest, folds, listing.format, settings).await
        }
        Models::Reproduce { model, listing } => reproduce(&model, listing.format, settings, registry).await,
        Models::Verify { model, listing } => verify(&model, listing.format, settings).await,
        Models::Route(given) => route(given, settings).await,
        Models::Trace { prediction, listing } => trace(&prediction, listing.format, settings).await,
    }
}

/// Who is asked.
enum Source {
    /// The bucket.
    Here(Bucket),
    /// A service.
    There(Client),
}

impl Source {
    async fn open(remote: &Remote, settings: &Settings) -> Result<Self, Failure> {
        Ok(match &remote.server {
            Some(server) => Self::There(Client::open(server)?),
            None => Self::Here(settings.open_bucket().await?),
        })
    }

    /// The newest version of each, as documents.
    async fn list(&self) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Here(bucket) => documents(bucket).await,
            Self::There(client) => {
                let mut answer: Value = client.get(&["api", "v1", "models"], &[]).await?;
                Ok(answer["models"].as_array_mut().map(std::mem::take).unwrap_or_default())
            }
        }
    }

    async fn find(&self, reference: &Reference) -> Result<ModelManifest, Failure> {
        let client = match self {
            Self::Here(bucket) => return find(bucket, reference).await,
            Self::There(client) => client,
        };
        let name = reference.name.as_str();
        if let Some(version) = reference.version {
            let path = ["api", "v1", "models", name, "versions", &version.to_string()];
            return client.get(&path, &[]).await;
        }
        let model: Versions = client.get(&["api", "v1", "models", name], &[]).await?;
        let newest = model.versions.into_iter().next();
        newest.ok_or_else(|| Failure::input(format!("model `{name}` has no version")))
    }

    /// The model's part of the promotion log.
    async fn history(&self, model: &str) -> Result<Vec<PromotionEntry>, Failure> {
        match self {
            Self::Here(bucket) => {
                let mut entries = PromotionLog::new(bucket.clone()).entries().await?;
                entries.retain(|entry| entry.model == model);
                Ok(entries)
            }
            Self::There(client) => {
                let query = [("model", model.to_owned())];
                let log: Promotions = client.get(&["api", "v1", "promotions"], &query).await?;
                Ok(log.promotions)
            }
        }
    }

    async fn promote(
        &self,
        manifest: &ModelManifest,
        alias: String,
        reason: String,
        breaking: bool,
    ) -> Result<PromotionEntry, Failure> {
        let bucket = match self {
            Self::Here(bucket) => bucket,
            Self::There(client) => {
                let body =
                    json!({ "version": manifest.version, "alias": alias, "reason": reason, "breaking": breaking });
                let path = ["api", "v1", "models", &manifest.name, "promote"];
                return client.post(&path, &[], &body).await;
            }
        };
        let promotion = NewPromotion {
            model: manifest.name.clone(),
            version: manifest.version,
            digest: manifest.bundle.sha256.clone(),
            alias,
            expected: Expected::Any,
            actor: settings::actor(),
            reason,
            comparison: Value::Null,
            key: by_hand(),
            attended: true,
        };
        Ok(ratchet_runtime::promote(bucket, promotion, breaking).await?.entry)
    }

    async fn rollback(&self, name: &str, alias: &str, reason: &str) -> Result<PromotionEntry, Failure> {
        match self {
            Self::Here(bucket) => {
                let log = PromotionLog::new(bucket.clone());
                let (actor, key) = (settings::actor(), by_hand());
                Ok(log.rollback(name, alias, &actor, reason, &key).await?.entry)
            }
            Self::There(client) => {
                let body = json!({ "alias": alias, "reason": reason });
                client
                    .post(&["api", "v1", "models", name, "rollback"], &[], &body)
                    .await
            }
        }
    }
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<ModelManifest>,
}

#[derive(Deserialize)]
struct Promotions {
    promotions: Vec<PromotionEntry>,
}

/// What a line of the list shows of a document.
#[derive(Deserialize)]
struct Line {
    name: String,
    latest: u64,
    metrics: BTreeMap<String, f64>,
    rows: BTreeMap<String, u64>,
    simulated: bool,
    created_at: Timestamp,
    aliases: Option<BTreeMap<String, Holder>>,
}

/// What a person does is done once for each command: nobody repeats its key.
pub(super) fn by_hand() -> String {
    format!("by-hand/{}", uuid::Uuid::now_v7())
}

pub(super) fn given(reason: String) -> Result<String, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::input("the reason is empty").help("say in one sentence why; the log keeps it"));
    }
    Ok(reason)
}

fn report(entry: &PromotionEntry, format: Format) -> Result<(), Failure> {
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

async fn documents(bucket: &Bucket) -> Result<Vec<Value>, Failure> {
    let head = PromotionLog::new(bucket.clone()).head().await?;
    let aliases = head.map(|entry| entry.table).unwrap_or_default();
    let mut documents: Vec<Value> = Vec::new();
    for name in models::names(bucket).await? {
        let Some(newest) = models::latest(bucket, &name).await? else {
            continue;
        };
        documents.push(json!({
            "name": name, "latest": newest.version, "digest": newest.bundle.sha256, "metrics": newest.metrics,
            "rows": newest.rows, "simulated": newest.lineage.simulated, "created_at": newest.created_at,
            "aliases": aliases.get(&name),
        }));
    }
    Ok(documents)
}

fn list(documents: Vec<Value>, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::document(&documents);
    }
    let mut listing = Listing::new(&["model", "champion", "metrics", "rows", "created"]);
    for document in documents {
        let line: Line = serde_json::from_value(document)
            .map_err(|error| Failure::service(format!("the list of models cannot be read: {error}")))?;
        let champion = line.aliases.as_ref().and_then(|held| held.get(CHAMPION));
        listing.row([
            format!("{}@{}", line.name, line.latest),
            champion
                .map(|holder| format!("@{}", holder.version))
                .unwrap_or_else(|| "none".to_owned()),
            describe::marked(describe::metrics(&line.metrics, 3), line.simulated),
            line.rows.get("train").copied().map(describe::count).unwrap_or_default(),
            describe::instant(line.created_at),
        ]);
    }
    table::print(&listing, "there are no models yet; a run with `train.model` makes them");
    Ok(())
}

pub(super) async fn find(bucket: &Bucket, reference: &Reference) -> Result<ModelManifest, Failure> {
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

fn show(manifest: &ModelManifest, history: &[PromotionEntry], format: Format) -> Result<(), Failure> {
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
    output::line(&page(manifest, &held));
    let mut promotions = Listing::new(&["entry", "at", "action", "version", "by", "reason"]);
    for entry in history {
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
