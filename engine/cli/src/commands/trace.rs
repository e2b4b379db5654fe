//! `ratchet models trace PREDICTION`: from an answer back to the bytes that its model learnt from.
//!
//! All of it stands in the bucket: the answer in the feed of predictions, the truth in the feed of feedback, the version's manifest, and
//! the manifests of the tables behind it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ratchet_artifacts::{Bucket, DatasetManifest, ModelManifest, datasets, feeds, models};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::arguments::Format;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::Settings;

/// Tables that are followed at most; a lineage is small, and a damaged one shall end.
const TABLES: usize = 1000;

/// Everything that is known of a prediction.
struct Trace {
    prediction: Value,
    truth: Option<Value>,
    model: ModelManifest,
    /// The nearest first.
    tables: Vec<DatasetManifest>,
}

/// Prints where a prediction comes from.
pub async fn trace(prediction: &str, format: Format, settings: &Settings) -> Result<(), Failure> {
    let id: Uuid = prediction.parse().map_err(|_| {
        Failure::input(format!("`{prediction}` is no id of a prediction"))
            .help("it stands in every answer as `prediction_id`")
    })?;
    let bucket = settings.open_bucket().await?;
    let trace = follow(&bucket, id).await?;
    match format {
        Format::Json => output::document(&json!({
            "prediction": trace.prediction, "truth": trace.truth, "model": trace.model, "datasets": trace.tables,
        })),
        Format::Text => {
            output::line(&page(&trace));
            Ok(())
        }
    }
}

async fn follow(bucket: &Bucket, id: Uuid) -> Result<Trace, Failure> {
    let day = day_of(id);
    let prediction = find(bucket, "predictions", day, "id", id).await?.ok_or_else(|| {
        Failure::input(format!("no prediction {id} is in the bucket's feed since {day}")).help(
            "it gets there a minute after the answer, if ratchet-api keeps it (RATCHET_RECORD_SHARE, RATCHET_NO_FEEDS)",
        )
    })?;
    let truth = find(bucket, "feedback", day, "prediction_id", id).await?;
    let (Some(name), Some(version)) = (prediction["model"].as_str(), prediction["version"].as_u64()) else {
        return Err(Failure::input(format!(
            "{id} was refused before a model answered: {}",
            prediction["error"].as_str().unwrap_or("no reason was kept")
        )));
    };
    let model = models::get(bucket, name, version)
        .await?
        .ok_or_else(|| Failure::service(format!("{name}@{version} answered and has no manifest in the bucket")))?;
    let tables = tables(bucket, &model.lineage.inputs).await?;
    Ok(Trace {
        prediction,
        truth,
        model,
        tables,
    })
}

/// The day on which a UUIDv7 was made; the first of all for other ids.
fn day_of(id: Uuid) -> Date {
    let made = id.get_timestamp().and_then(|made| {
        let (seconds, _) = made.to_unix();
        Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
    });
    made.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date()
}

/// The last line of a feed whose `field` is `id`. A line may be told again when it is corrected.
async fn find(bucket: &Bucket, feed: &str, since: Date, field: &str, id: Uuid) -> Result<Option<Value>, Failure> {
    let text = id.to_string();
    let mut found = None;
    for path in feeds::list(bucket, feed, Some(since)).await? {
        let lines = feeds::read(bucket, &path).await?.unwrap_or_default();
        // Reading JSON is much slower than looking for a text.
        let lines = String::from_utf8_lossy(&lines);
        for line in lines.lines().filter(|line| line.contains(&text)) {
            let line: Value = serde_json::from_str(line)
                .map_err(|error| Failure::service(format!("{path} holds a line that is no JSON: {error}")))?;
            if line[field] == text.as_str() {
                found = Some(line);
            }
        }
        if found.is_some() && feed == "predictions" {
            break;
        }
    }
    Ok(found)
}

/// The tables behind `inputs`, each once, the nearest first.
async fn tables(bucket: &Bucket, inputs: &[String]) -> Result<Vec<DatasetManifest>, Failure> {
    let mut seen: BTreeSet<String> = inputs.iter().cloned().collect();
    let mut next: Vec<String> = inputs.to_vec();
    let mut tables: Vec<DatasetManifest> = Vec::new();
    let mut place = 0;
    while place < next.len() && tables.len() < TABLES {
        let reference = next[place].clone();
        place += 1;
        let (name, version) = reference.split_once('@').unwrap_or((&reference, ""));
        // A model that was trained on from another one has that among its inputs.
        let Ok(version) = version.parse() else { continue };
        let Some(manifest) = datasets::get(bucket, name, version).await? else {
            continue;
        };
        for input in &manifest.lineage.inputs {
            if seen.insert(input.clone()) {
                next.push(input.clone());
            }
        }
        tables.push(manifest);
    }
    Ok(tables)
}

fn page(trace: &Trace) -> String {
    let text = |name: &str| trace.prediction[name].as_str().unwrap_or_default().to_owned();
    let model = &trace.model;
    let made_by = |lineage: &ratchet_artifacts::Lineage| {
        format!("task {} of {} in run {}", lineage.task, lineage.dag, lineage.run)
    };
    let truth = trace.truth.as_ref().map_or_else(
        || "not known".to_owned(),
        |truth| {
            format!(
                "{}, told by {}",
                truth["truth"],
                truth["caller"].as_str().unwrap_or_default()
            )
        },
    );
    let mut parts = vec![table::facts(&[
        ("prediction", text("id")),
        ("at", text("at")),
        ("asked by", text("caller")),
        ("inputs", trace.prediction["inputs"].to_string()),
        ("answer", trace.prediction["answer"].to_string()),
        ("truth", truth),
    ])];
    parts.push(table::facts(&[
        (
            "model",
            describe::marked(format!("{}@{}", model.name, model.version), model.lineage.simulated),
        ),
        ("alias", text("alias")),
        ("bundle", model.bundle.sha256.clone()),
        ("created", describe::instant(model.created_at)),
        ("made by", made_by(&model.lineage)),
    ]));
    for manifest in &trace.tables {
        let lineage = &manifest.lineage;
        let raw: Vec<&str> = manifest.raw.iter().map(|blob| blob.sha256.as_str()).collect();
        let mut facts = vec![
            (
                "dataset",
                describe::marked(format!("{}@{}", manifest.name, manifest.version), lineage.simulated),
            ),
            ("rows", describe::count(manifest.rows)),
            ("made by", made_by(lineage)),
        ];
        if !lineage.source.is_empty() {
            facts.push(("source", lineage.source.clone()));
        }
        if !raw.is_empty() {
            facts.push(("raw", raw.join("\n")));
        }
        if let Some(collected) = &manifest.collected {
            facts.push(("collected", describe::instant(collected.at)));
        }
        parts.push(table::facts(&facts));
    }
    parts.join("\n\n")
}
