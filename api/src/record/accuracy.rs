//! `GET /accuracy`: how good the answers were, where the truth is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::measures::measure;
use super::store::LabeledRow;
use crate::problem::Problem;
use crate::service::Application;

/// Labelled rows of a version that are looked at, the newest first.
const ROWS: i64 = 100_000;
/// Slices with fewer labelled rows say nothing.
const SLICE: usize = 10;
/// A week.
const USUAL_HOURS: i64 = 168;
/// A year.
const LONGEST_HOURS: i64 = 8784;

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Hours, from 1 to 8,784; 168 if left out.
    #[param(minimum = 1, maximum = 8784)]
    hours: Option<i64>,
}

/// How good the answers were.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accuracy {
    /// Answers since this moment count.
    since: String,
    /// By model, version and alias.
    models: Vec<VersionAccuracy>,
}

/// How good a version's answers were.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionAccuracy {
    /// Name of the model.
    model: String,
    /// Number of the version.
    version: i64,
    /// Alias under which it answered.
    alias: String,
    /// Rows of the log.
    rows: i64,
    /// Those of them whose truth is known.
    labels: i64,
    /// The share of these.
    label_coverage: f64,
    /// Metrics over the labelled rows, by the definitions of training.
    metrics: BTreeMap<&'static str, f64>,
    /// The same by the value of the field that the model's risks go by, where at least ten labels are.
    slices: BTreeMap<String, SliceAccuracy>,
}

/// How good the answers were for one value of a field.
#[derive(Debug, Serialize, ToSchema)]
pub struct SliceAccuracy {
    /// Labelled rows.
    labels: usize,
    /// Metrics over them.
    metrics: BTreeMap<&'static str, f64>,
}

/// How good the answers were where the truth was told, by model, version, alias and slice.
#[utoipa::path(
    get, path = "/accuracy", tag = "record", operation_id = "accuracy",
    params(Since),
    responses(
        (status = 200, description = "Metrics and how many truths they rest on", body = Accuracy),
        (status = 422, description = "The query holds something that is not understood", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn accuracy(
    State(application): State<Arc<Application>>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Accuracy>, Problem> {
    let hours = since.ok().map(|Query(since)| since.hours.unwrap_or(USUAL_HOURS));
    let hours = hours.filter(|hours| (1..=LONGEST_HOURS).contains(hours));
    let hours = hours.ok_or_else(|| Problem::bad_parameter("the query's `hours` is a whole number from 1 to 8784"))?;
    let since = Timestamp::now() - SignedDuration::from_hours(hours);
    let failed = |error| Problem::of_record(&error);
    let store = application.keeper.store().await.map_err(failed)?;
    let mut models = Vec::new();
    for (model, version, alias, rows, labels) in store.coverage(since.as_millisecond()).await.map_err(failed)? {
        let labeled = store
            .labeled((&model, version, &alias), since.as_millisecond(), ROWS)
            .await
            .map_err(failed)?;
        models.push(VersionAccuracy {
            label_coverage: labels as f64 / rows.max(1) as f64,
            metrics: measure(&labeled),
            slices: by_slice(labeled),
            model,
            version,
            alias,
            rows,
            labels,
        });
    }
    Ok(Json(Accuracy {
        since: since.to_string(),
        models,
    }))
}

fn by_slice(labeled: Vec<LabeledRow>) -> BTreeMap<String, SliceAccuracy> {
    let mut slices: BTreeMap<String, Vec<LabeledRow>> = BTreeMap::new();
    for mut row in labeled {
        if let Some(slice) = row.slice.take() {
            slices.entry(slice).or_default().push(row);
        }
    }
    let measured = slices
        .into_iter()
        .filter(|(_, rows)| rows.len() >= SLICE)
        .map(|(slice, rows)| {
            let accuracy = SliceAccuracy {
                labels: rows.len(),
                metrics: measure(&rows),
            };
            (slice, accuracy)
        });
    measured.collect()
}
