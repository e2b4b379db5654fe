//! `ratchet datasets diff NAME@A NAME@B`.

use ratchet_artifacts::{Bucket, DatasetManifest};
use ratchet_core::plugin::TaskError;
use ratchet_model::schema::format_timestamp;
use ratchet_tasks::difference::{ColumnNumbers, Difference, difference};
use ratchet_tasks::table;
use serde_json::{Map, Value, json};

use crate::arguments::Format;
use crate::display::table::Listing;
use crate::display::{describe, output};
use crate::failure::Failure;

/// Prints what changed from one version to the other.
pub async fn diff(
    bucket: &Bucket,
    [from, to]: [DatasetManifest; 2],
    key: Vec<String>,
    format: Format,
) -> Result<(), Failure> {
    let mut frames = Vec::new();
    for manifest in [&from, &to] {
        let found = table::of_manifest(manifest).map_err(of_task)?;
        frames.push(table::read(bucket, &found).await.map_err(of_task)?);
    }
    let compared = tokio::task::spawn_blocking(move || difference(&frames[0], &frames[1], &key)).await;
    let compared = compared.map_err(|error| Failure::service(format!("the comparison ended early: {error}")))?;
    let found = compared.map_err(of_task)?;
    let names = [&from, &to].map(|manifest| format!("{}@{}", manifest.name, manifest.version));
    match format {
        Format::Json => output::document(&json!({ "from": names[0], "to": names[1], "difference": found })),
        Format::Text => {
            output::line(&page(&names, &found));
            Ok(())
        }
    }
}

fn page([from, to]: &[String; 2], found: &Difference) -> String {
    let rows = &found.by_row;
    let mut parts = vec![format!(
        "{from} to {to}: {} to {} rows",
        describe::count(found.rows[0] as u64),
        describe::count(found.rows[1] as u64)
    )];
    let count = |rows: usize| describe::count(rows as u64);
    parts.push(match rows.key.as_slice() {
        [] => format!(
            "whole rows: {} added, {} removed; with --key rows that changed are told from those that came and went",
            count(rows.added),
            count(rows.removed)
        ),
        key => {
            let mut lines = vec![format!(
                "by {}: {} added, {} removed, {} changed",
                key.join(", "),
                count(rows.added),
                count(rows.removed),
                count(rows.changed)
            )];
            for (column, differing) in &rows.changed_in {
                lines.push(format!("  {column} differs in {differing} rows"));
            }
            for (word, examples) in [
                ("added", &rows.examples.added),
                ("removed", &rows.examples.removed),
                ("changed", &rows.examples.changed),
            ] {
                if !examples.is_empty() {
                    let shown: Vec<String> = examples.iter().map(shown).collect();
                    lines.push(format!("  {word}, for example: {}", shown.join("; ")));
                }
            }
            lines.join("\n")
        }
    });
    let mut listing = Listing::new(&[
        "column", "change", "type", "nulls", "distinct", "mean", "least", "greatest",
    ]);
    for column in &found.columns {
        let sides = [column.from.as_ref(), column.to.as_ref()];
        let cell = |value: fn(&ColumnNumbers) -> String| {
            let [from, to] = sides.map(|side| side.map(value).filter(|value| !value.is_empty()));
            match (from, to) {
                (Some(from), Some(to)) if from != to => format!("{from} to {to}"),
                (from, to) => to.or(from).unwrap_or_default(),
            }
        };
        listing.row([
            column.name.clone(),
            column.change.to_owned(),
            cell(|side| side.kind.to_owned()),
            cell(|side| describe::count(side.nulls as u64)),
            cell(|side| describe::count(side.distinct as u64)),
            cell(|side| shown_number(side, side.mean)),
            cell(|side| shown_number(side, side.least)),
            cell(|side| shown_number(side, side.greatest)),
        ]);
    }
    parts.push(listing.to_string());
    parts.join("\n\n")
}

/// A number of a column; of times, which are seconds, the time.
fn shown_number(column: &ColumnNumbers, value: Option<f64>) -> String {
    match value {
        Some(seconds) if column.kind == "time" || column.kind == "date" => format_timestamp(seconds as i64),
        Some(value) => describe::number(value),
        None => String::new(),
    }
}

/// The key of a row: `IncidentNumber 042511`.
fn shown(key: &Map<String, Value>) -> String {
    let values = key.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    values.collect::<Vec<_>>().join(", ")
}

fn of_task(error: TaskError) -> Failure {
    let failure = Failure::input(error.message);
    match error.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
