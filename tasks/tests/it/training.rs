//! `train.model`, `compare.champion` and `promote.model` as a DAG uses them.

use std::collections::BTreeMap;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use ratchet_artifacts::{Bucket, Expected, Lineage, NewPromotion, PromotionLog, models};
use ratchet_core::plugin::{Model, Output, Table};
use ratchet_model::Bundle;
use ratchet_model::drift::Season;
use ratchet_tasks::table::{self, About};
use serde_json::{Value, json};

use crate::support::{Stage, shipped_task, shipped_vehicles};

const TRAIN_UNTIL: &str = "2024-03-01";

/// Vehicles of a small simulated table.
pub async fn vehicles(stage: &Stage) -> Table {
    let mut with = shipped_task("incidents");
    with["from"] = json!("simulated://lfb?rows=6000&seed=2&days=90");
    let incidents = stage.table("extract.file", with).await;
    shipped_vehicles(stage, &incidents).await
}

pub fn configuration(table: &Table) -> Value {
    json!({
        "model": "times",
        "table": table,
        "target": {"regression": {"column": "AttendanceSeconds", "transform": "square_root", "answer": "seconds"}},
        "predict_at": "dispatch",
        "time": "TimestampOfCall",
        "train_until": TRAIN_UNTIL,
        "holdout_until": "2024-03-31",
        "features": [
            {"calendar": {"field": "TimestampOfCall", "parts": ["hour", "weekday"]}},
            {"number": {"fields": ["Easting_rounded", "Northing_rounded", "PumpOrder"]}},
            {"distance": {"x": "Easting_rounded", "y": "Northing_rounded", "place": "DeployedFromStation", "own": "IncidentStationGround"}},
            {"target_mean": {"fields": [["PropertyType"], ["DeployedFromStation"]]}},
        ],
        "candidates": [{"linear": {}}, {"boosting": {"trees": 60}}],
        "slices": {"field": "DeployedFromStation", "margin": 60},
    })
}

pub async fn train(stage: &Stage, with: Value) -> Model {
    let outputs = stage
        .run("train.model", with)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    match outputs.ports.get("model") {
        Some(Output::Model(model)) => (**model).clone(),
        other => panic!("{other:?}"),
    }
}

pub async fn refusal(stage: &Stage, with: Value) -> String {
    let error = stage.run("train.model", with).await.unwrap_err();
    assert!(!error.retryable, "{error}");
    error.to_string()
}

pub async fn changed(stage: &Stage, table: &Table, change: impl FnOnce(&mut DataFrame)) -> Table {
    let bucket = Bucket::open(&stage.context.bucket_url).await.unwrap();
    let mut frame = table::read(&bucket, table).await.unwrap();
    change(&mut frame);
    table::write(&bucket, frame, About::inherited([table])).await.unwrap()
}

pub fn replace(frame: &mut DataFrame, name: &str, values: impl Fn(usize, Option<i64>, &str) -> Option<i64>) {
    let times = frame.column("TimestampOfCall").unwrap().str().unwrap().clone();
    let before = frame.column(name).unwrap().i64().unwrap().clone();
    let after: Vec<Option<i64>> = (0..frame.height())
        .map(|row| values(row, before.get(row), times.get(row).unwrap()))
        .collect();
    frame
        .replace(name, Column::from(Series::new(name.into(), after)))
        .unwrap();
}

/// Residuals, calibration, slice risks, the choice of the candidate: none of it has seen the holdout.
#[tokio::test]
async fn what_happens_in_the_holdout_changes_no_bit_of_the_bundle() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let doubled = changed(&stage, &table, |frame| {
        replace(frame, "AttendanceSeconds", |_, value, time| {
            value.map(|value| if time >= TRAIN_UNTIL { value * 2 } else { value })
        });
    })
    .await;
    let (model, other) = (
        train(&stage, configuration(&table)).await,
        train(&stage, configuration(&doubled)).await,
    );
    assert_eq!(model.bundle, other.bundle);
    assert!(
        other.metrics["mae"] > 1.5 * model.metrics["mae"],
        "the holdout did change"
    );
}

#[tokio::test]
async fn a_second_training_gives_the_same_bytes_and_another_seed_others() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let first = train(&stage, configuration(&table)).await;
    assert_eq!(first, train(&stage, configuration(&table)).await);
    let mut with = configuration(&table);
    with["seed"] = json!(8);
    assert_ne!(first.bundle, train(&stage, with).await.bundle);
}

#[tokio::test]
async fn every_candidate_stands_in_the_report_and_the_best_was_chosen() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut with = configuration(&table);
    with["candidates"] = json!([{"linear": {}}, {"tree": {}}, {"boosting": {"trees": 60}}]);
    let model = train(&stage, with).await;
    let candidates = model.report["candidates"].as_array().unwrap();
    let mae = |candidate: &Value| candidate["validation"]["mae"].as_f64().unwrap();
    assert_eq!(candidates.len(), 3);
    let best = candidates.iter().min_by(|a, b| mae(a).total_cmp(&mae(b))).unwrap();
    assert_eq!(best["candidate"], model.report["chosen"]);
    assert!(model.simulated);
}

#[tokio::test]
async fn unusable_tables_are_refused_in_one_message() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;

    let mut with = configuration(&table);
    with["features"][1]["number"]["fields"] = json!(["Easting_round"]);
    let said = refusal(&stage, with).await;
    assert!(
        said.contains("`Easting_round`") && said.contains("`Easting_rounded`"),
        "{said}"
    );

    let mut with = configuration(&table);
    with["features"][1]["number"]["fields"] = json!(["PropertyType"]);
    let said = refusal(&stage, with).await;
    assert!(said.contains("`PropertyType`") && said.contains("number"), "{said}");

    let mut with = configuration(&table);
    with["predict_at"] = json!("call");
    let said = refusal(&stage, with).await;
    assert!(
        said.contains("`DeployedFromStation`") && said.contains("`dispatch`") && said.contains("`PumpOrder`"),
        "all at once: {said}"
    );

    let mut with = configuration(&table);
    with["train_until"] = json!("2031-01-01");
    let said = refusal(&stage, with).await;
    assert!(said.contains("the rows run from 2024-01-01"), "{said}");

    let empty = changed(&stage, &table, |frame| {
        replace(frame, "AttendanceSeconds", |_, _, _| None)
    })
    .await;
    let said = refusal(&stage, configuration(&empty)).await;
    assert!(said.contains("no row has a value in `AttendanceSeconds`"), "{said}");

    let mut with = configuration(&table);
    with["target"] = json!({"binary": {"column": "AttendanceSeconds", "above": 100_000.0, "answer": "late"}});
    let said = refusal(&stage, with).await;
    assert!(said.contains("one class only"), "{said}");

    let mut with = configuration(&table);
    with["slices"]["field"] = json!("IncGeo_BoroughName");
    let said = refusal(&stage, with).await;
    assert!(said.contains("`IncGeo_BoroughName`"), "{said}");

    for (field, problem) in [
        ("DateOfCall", "no feature of `times` reads"),
        ("PumpOrder", "holds a number"),
    ] {
        let mut with = configuration(&table);
        with["drift"] = json!({"season": "hour_of_day", "of": field});
        let said = refusal(&stage, with).await;
        assert!(said.contains(&format!("`{field}`")) && said.contains(problem), "{said}");
        assert!(
            said.contains("name one of the fields with times: `TimestampOfCall`"),
            "{said}"
        );
    }
}

/// Seasons change what serving compares requests with, and no answer.
#[tokio::test]
async fn declared_seasons_are_counted_in_the_bundle() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut with = configuration(&table);
    let plain = train(&stage, with.clone()).await;
    with["drift"] = json!({"season": "day_of_week", "of": "TimestampOfCall"});
    let model = train(&stage, with).await;
    assert_eq!(model.metrics, plain.metrics);
    let bundle = table::to_blob_ref(&model.bundle);
    let bytes = stage.bucket().await.get_blob(&bundle).await.unwrap();
    let bundle = Bundle::read(&bytes).unwrap();
    let profile = &bundle.content().profile;
    let seasons = profile.seasons.as_ref().unwrap();
    assert_eq!(seasons.season, Season::DayOfWeek);
    let rows: Vec<u64> = seasons.parts.iter().map(|part| part.rows).collect();
    assert_eq!((rows.len(), rows.iter().sum::<u64>()), (8, profile.rows));
    assert!(rows[..7].iter().all(|rows| *rows > 50) && rows[7] == 0, "{rows:?}");
    let answers: u64 = seasons.parts.iter().flat_map(|part| &part.answers).sum();
    assert_eq!(answers, profile.answers.as_ref().unwrap().rows);
}

#[tokio::test]
async fn constant_and_empty_features_are_no_harm() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let flat = changed(&stage, &table, |frame| {
        replace(frame, "Easting_rounded", |_, _, _| Some(1));
        replace(frame, "PumpOrder", |_, _, _| None);
    })
    .await;
    let model = train(&stage, configuration(&flat)).await;
    assert!(model.metrics["mae"].is_finite());
}

/// The first challenger has to beat the mean; a version that is not registered yet cannot be promoted, and a
/// comparison of another challenger is not taken.
#[tokio::test]
async fn without_a_champion_the_mean_has_to_be_beaten() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut model = train(&stage, configuration(&table)).await;
    let with = json!({"challenger": model, "table": table});
    let outputs = stage.run("compare.champion", with).await.unwrap();
    let Some(Output::Value(comparison)) = outputs.ports.get("comparison") else {
        panic!("no comparison")
    };
    assert_eq!(comparison["verdict"], "better", "{comparison:#}");
    assert_eq!(comparison["champion"], Value::Null);
    assert_eq!(comparison["opponent"], "the mean of the training rows");
    assert_eq!(comparison["effect"]["rows"], json!(model.rows.holdout));

    let error = stage
        .run("promote.model", json!({"model": model, "comparison": comparison}))
        .await
        .unwrap_err();
    assert!(error.message.contains("no version yet"), "{error}");
    model.version = Some(1);
    let outputs = stage
        .run("promote.model", json!({"model": model, "comparison": comparison}))
        .await
        .unwrap();
    assert_eq!(outputs.promotions[0].expected_champion, None);
    model.bundle.sha256 = "0".repeat(64);
    let error = stage
        .run("promote.model", json!({"model": model, "comparison": comparison}))
        .await
        .unwrap_err();
    assert!(error.message.contains("not of `times`"), "{error}");
}

/// Registers a model and puts it into production, as the engine does when a run completes.
pub async fn promote(stage: &Stage, model: &Model) {
    let bucket = Bucket::open(&stage.context.bucket_url).await.unwrap();
    let new = models::NewModel {
        name: model.name.clone(),
        bundle: table::to_blob_ref(&model.bundle),
        metrics: model.metrics.clone(),
        rows: BTreeMap::new(),
        parameters: model.parameters.clone(),
        report: model.report.clone(),
        lineage: Lineage::default(),
        key: format!("run/{}", model.bundle.sha256),
    };
    let manifest = models::register(&bucket, new).await.unwrap();
    let promotion = NewPromotion {
        model: model.name.clone(),
        version: manifest.version,
        digest: model.bundle.sha256.clone(),
        alias: "champion".to_owned(),
        expected: Expected::Any,
        actor: "test".to_owned(),
        reason: "test".to_owned(),
        comparison: Value::Null,
        key: format!("promotion/{}", model.bundle.sha256),
        attended: true,
    };
    PromotionLog::new(bucket).promote(promotion).await.unwrap();
}

#[tokio::test]
async fn a_champion_that_answers_another_question_is_not_compared() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let above = |seconds: f64| {
        let mut with = configuration(&table);
        with["target"] = json!({"binary": {"column": "AttendanceSeconds", "above": seconds, "answer": "late"}});
        with["slices"] = Value::Null;
        with
    };
    promote(&stage, &train(&stage, above(360.0)).await).await;
    let challenger = train(&stage, above(420.0)).await;
    let with = json!({"challenger": challenger, "table": table});
    let error = stage.run("compare.champion", with).await.unwrap_err();
    assert!(
        error.message.contains("the champion times@1 answers another question"),
        "{error}"
    );
}

#[tokio::test]
async fn an_older_month_does_not_replace_a_newer_one() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    promote(&stage, &train(&stage, configuration(&table)).await).await;
    let mut with = configuration(&table);
    with["train_until"] = json!("2024-02-10");
    let mut challenger = train(&stage, with).await;
    challenger.version = Some(2);
    let outputs = stage
        .run("compare.champion", json!({"challenger": challenger, "table": table}))
        .await
        .unwrap();
    let Some(Output::Value(comparison)) = outputs.ports.get("comparison") else {
        panic!("no comparison")
    };
    assert!(
        comparison["rows_left_out"].as_u64().unwrap() > 0,
        "rows that trained the champion do not judge it"
    );
    let error = stage
        .run("promote.model", json!({"model": challenger, "comparison": comparison}))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("2024-02-10") && error.message.contains("2024-03-01"),
        "{error}"
    );
}
