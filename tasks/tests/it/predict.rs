//! `predict.batch` answers as serving does, whatever the size of the table.

use polars::df;
use polars::prelude::{AnyValue, DataFrame};
use ratchet_artifacts::models::{self, NewModel};
use ratchet_artifacts::{Expected, Lineage, NewPromotion, PromotionLog};
use ratchet_core::plugin::{Known, Output, Outputs, Table, TaskError};
use ratchet_model::Bundle;
use ratchet_tasks::rows::rows;
use ratchet_tasks::table::{self, About, to_blob_ref};
use serde_json::{Value, json};

use crate::support::Stage;

const ZONES: [&str; 3] = ["north", "south", "west"];

/// Trips of the year's first days: the farther, the longer, and longer in the north.
fn trips(count: usize) -> DataFrame {
    let number = |row: usize, salt: usize| (row * 7919 + salt * 104_729) % 1000;
    let km: Vec<f64> = (0..count).map(|row| number(row, 1) as f64 / 50.0).collect();
    let zone: Vec<&str> = (0..count).map(|row| ZONES[number(row, 2) % 3]).collect();
    let at: Vec<String> = (0..count)
        .map(|row| format!("2024-{:02}-{:02} {:02}:30:00", 1 + row % 3, 1 + row % 28, row % 24))
        .collect();
    let minutes: Vec<f64> = (0..count)
        .map(|row| 4.0 + 2.5 * km[row] + if zone[row] == "north" { 6.0 } else { 0.0 } + number(row, 3) as f64 / 200.0)
        .collect();
    let id: Vec<i64> = (0..count as i64).collect();
    df!("id" => id, "at" => at, "km" => km, "zone" => zone, "minutes" => minutes).unwrap()
}

/// A bucket with versions 1 (promoted) and 2 of each kind of model: a number, yes or no, a class.
struct Trained {
    stage: Stage,
}

impl Trained {
    async fn new() -> Trained {
        let stage = Stage::new();
        let table = write(&stage, trips(3000)).await;
        let targets = [
            (
                "minutes",
                json!({"regression": {"column": "minutes", "transform": "square_root", "answer": "minutes"}}),
            ),
            (
                "late",
                json!({"binary": {"column": "minutes", "above": 30, "answer": "late"}}),
            ),
        ];
        for (name, target) in targets {
            for trees in [10, 20] {
                let with = json!({
                    "model": name, "table": table, "target": target, "predict_at": "call", "time": "at",
                    "train_until": "2024-03-01", "holdout_until": "2024-04-01",
                    "features": [{"number": {"fields": ["km"]}}, {"one_hot": {"field": "zone"}}],
                    "candidates": [{"boosting": {"trees": trees}}],
                    "slices": {"field": "zone", "margin": 1},
                });
                register(&stage, with).await;
            }
        }
        Trained { stage }
    }

    async fn bundle(&self, name: &str, version: u64) -> Bundle {
        let bucket = self.stage.bucket().await;
        let manifest = models::get(&bucket, name, version).await.unwrap().unwrap();
        Bundle::read(&bucket.get_blob(&manifest.bundle).await.unwrap()).unwrap()
    }

    async fn predict(&self, table: &Table, more: Value) -> Result<Outputs, TaskError> {
        let mut with = json!({ "table": table, "model": "minutes" });
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.stage.run("predict.batch", with).await
    }

    async fn predicted(&self, table: &Table, more: Value) -> (Table, DataFrame) {
        let outputs = self
            .predict(table, more)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let Some(Output::Table(table)) = outputs.ports.get("table") else {
            panic!("{outputs:?}")
        };
        (table.clone(), self.stage.frame(table).await)
    }
}

async fn write(stage: &Stage, frame: DataFrame) -> Table {
    let names = ["id", "at", "km", "zone"];
    let about = About {
        dataset: "trips".to_owned(),
        source: "made up".to_owned(),
        known: names.map(|name| (name.to_owned(), Known::Call)).into(),
        ..About::default()
    };
    table::write(&stage.bucket().await, frame, about).await.unwrap()
}

/// Trains and registers; the first version of a name is promoted.
async fn register(stage: &Stage, with: Value) {
    let outputs = stage
        .run("train.model", with)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let Some(Output::Model(model)) = outputs.ports.get("model") else {
        panic!("{outputs:?}")
    };
    let bucket = stage.bucket().await;
    let new = NewModel {
        name: model.name.clone(),
        bundle: to_blob_ref(&model.bundle),
        metrics: model.metrics.clone(),
        rows: Default::default(),
        parameters: model.parameters.clone(),
        report: json!({}),
        lineage: Lineage::default(),
        key: model.bundle.sha256.clone(),
    };
    let manifest = models::register(&bucket, new).await.unwrap();
    if manifest.version == 1 {
        let promotion = NewPromotion {
            model: manifest.name.clone(),
            version: 1,
            digest: manifest.bundle.sha256.clone(),
            alias: "champion".to_owned(),
            expected: Expected::Any,
            actor: "test".to_owned(),
            reason: "test".to_owned(),
            comparison: Value::Null,
            key: manifest.name.clone(),
            attended: true,
        };
        PromotionLog::new(bucket).promote(promotion).await.unwrap();
    }
}

fn number(frame: &DataFrame, column: &str, row: usize) -> f64 {
    frame.column(column).unwrap().f64().unwrap().get(row).unwrap()
}

#[tokio::test]
async fn every_row_gets_the_answer_that_a_request_gets_to_the_last_bit() {
    let trained = Trained::new().await;
    let table = write(&trained.stage, trips(500).drop("minutes").unwrap()).await;
    let bucket = trained.stage.bucket().await;
    let records: Vec<_> = rows(&bucket, &table).await.unwrap();
    let asked = |bundle: &Bundle, row: usize| {
        let fields = bundle.schema().fields.iter();
        let record = fields
            .map(|field| (field.name.clone(), records[row][&field.name].clone()))
            .collect();
        bundle.answer(&bundle.parse(&record).unwrap())[0].to_json()
    };
    let bundle = trained.bundle("minutes", 1).await;
    let (_, frame) = trained.predicted(&table, json!({})).await;
    let names: Vec<&str> = frame.get_column_names().iter().map(|name| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "id",
            "at",
            "km",
            "zone",
            "minutes",
            "minutes_lower",
            "minutes_upper",
            "may_be_underestimated",
            "underestimation_risk",
            "out_of_distribution",
            "model",
            "problem"
        ]
    );
    for row in 0..500 {
        let answer = asked(&bundle, row);
        for (column, online) in [
            ("minutes", &answer["minutes"]),
            ("minutes_lower", &answer["interval"]["lower"]),
            ("minutes_upper", &answer["interval"]["upper"]),
            ("underestimation_risk", &answer["underestimation_risk"]),
        ] {
            let offline = number(&frame, column, row);
            assert_eq!(
                offline.to_bits(),
                online.as_f64().unwrap().to_bits(),
                "row {row}, {column}"
            );
        }
        assert_eq!(
            frame.column("model").unwrap().get(row).unwrap(),
            AnyValue::String("minutes@1")
        );
        assert_eq!(
            frame.column("id").unwrap().get(row).unwrap(),
            AnyValue::Int64(row as i64)
        );
    }
    let bundle = trained.bundle("late", 2).await;
    let (_, frame) = trained
        .predicted(&table, json!({"model": "late@2", "keep": ["id"]}))
        .await;
    for row in 0..500 {
        let answer = asked(&bundle, row);
        let offline = number(&frame, "late_probability", row);
        assert_eq!(offline.to_bits(), answer["probability"].as_f64().unwrap().to_bits());
        assert_eq!(
            frame.column("late").unwrap().get(row).unwrap(),
            AnyValue::Boolean(answer["late"] == true)
        );
    }
}

#[tokio::test]
async fn a_large_table_is_answered_in_files_of_one_size_and_in_its_order() {
    let trained = Trained::new().await;
    let count = 2 * 65_536 + 7;
    let table = write(&trained.stage, trips(count).drop("minutes").unwrap()).await;
    let (predicted, frame) = trained
        .predicted(&table, json!({"keep": ["id"], "dataset": "answers"}))
        .await;
    assert_eq!(
        (predicted.files.len(), predicted.rows, frame.height()),
        (3, count as u64, count)
    );
    assert_eq!(
        (predicted.dataset.as_str(), predicted.source.as_str()),
        ("answers", "made up")
    );
    let ids = frame.column("id").unwrap().i64().unwrap();
    assert!(ids.iter().enumerate().all(|(row, id)| id == Some(row as i64)));
    assert_eq!(frame.column("minutes").unwrap().null_count(), 0);
    // Rows at both ends of a file are those of one small table.
    let few = write(&trained.stage, trips(count).drop("minutes").unwrap().slice(65_530, 12)).await;
    let (_, alone) = trained.predicted(&few, json!({"keep": ["id"]})).await;
    for row in 0..12 {
        assert_eq!(
            number(&alone, "minutes", row).to_bits(),
            number(&frame, "minutes", 65_530 + row).to_bits()
        );
    }
    // The same again has the same bytes.
    assert_eq!(
        trained
            .predicted(&table, json!({"keep": ["id"], "dataset": "answers"}))
            .await
            .0,
        predicted
    );
    let exact = write(&trained.stage, trips(65_536).drop("minutes").unwrap()).await;
    assert_eq!(trained.predicted(&exact, json!({})).await.0.files.len(), 1);
    let none = write(&trained.stage, trips(0).drop("minutes").unwrap()).await;
    let (none, frame) = trained.predicted(&none, json!({})).await;
    assert_eq!(
        (none.rows, frame.height(), none.columns.len()),
        (0, 0, predicted.columns.len() + 3)
    );
}

#[tokio::test]
async fn rows_that_a_request_would_be_refused_for_are_counted_shown_and_bounded() {
    let trained = Trained::new().await;
    let mut frame = trips(100).drop("minutes").unwrap();
    let km: Vec<Option<f64>> = (0..100).map(|row| (row % 10 != 3).then_some(f64::from(row))).collect();
    frame
        .replace("km", polars::prelude::Column::new("km".into(), km))
        .unwrap();
    let table = write(&trained.stage, frame).await;
    let refused = trained.predict(&table, json!({"max_problems": 9})).await.unwrap_err();
    assert!(!refused.retryable);
    assert_eq!(
        refused.message,
        "10 rows of table `trips` have a value that the model does not take, and 9 are let through: row 3 /km: a value is \
         required; send a number; row 13 /km: a value is required; send a number; row 23 /km: a value is required; send a \
         number"
    );
    let outputs = trained.predict(&table, json!({"max_problems": 10})).await.unwrap();
    let Output::Value(problems) = &outputs.ports["problems"] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        (&problems["rows"], problems["first"][9]["row"].as_u64()),
        (&json!(10), Some(93))
    );
    let (_, frame) = trained.predicted(&table, json!({"max_problems": 10})).await;
    assert_eq!(frame.column("minutes").unwrap().null_count(), 10);
    assert_eq!(frame.column("model").unwrap().null_count(), 10);
    assert_eq!(frame.column("problem").unwrap().null_count(), 90);
    let said = frame.column("problem").unwrap().get(3).unwrap().to_string();
    assert!(said.contains("/km: a value is required"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_predicted_is_said_with_the_remedy() {
    let trained = Trained::new().await;
    let whole = trips(20);
    let table = write(&trained.stage, whole.clone()).await;
    let without = write(&trained.stage, whole.drop("km").unwrap()).await;
    for (table, with, message, help) in [
        (
            &table,
            json!({"model": "nobody"}),
            "no version of `nobody` is champion",
            "ratchet models list",
        ),
        (
            &table,
            json!({"model": "minutes@7"}),
            "there is no minutes@7",
            "ratchet models list",
        ),
        (
            &table,
            json!({"model": "minutes@challenger"}),
            "no version of `minutes` is challenger",
            "promote",
        ),
        (&table, json!({"model": "Minutes"}), "is no model name", "NAME@VERSION"),
        (&table, json!({"keep": ["ID"]}), "has no column `ID`", "id"),
        (&without, json!({}), "has no column `km`", "columns"),
        (&table, json!({}), "make no table", "keep"),
    ] {
        let error = trained.predict(table, with.clone()).await.unwrap_err();
        assert!(error.message.contains(message), "{with}: {error}");
        assert!(
            error.help.as_ref().is_some_and(|found| found.contains(help)),
            "{with}: {error}"
        );
        assert!(!error.retryable, "{error}");
    }
}

#[tokio::test]
async fn a_bundle_that_does_not_load_predicts_nothing() {
    let trained = Trained::new().await;
    let table = write(&trained.stage, trips(20).drop("minutes").unwrap()).await;
    let bucket = trained.stage.bucket().await;
    let damaged = NewModel {
        name: "minutes".to_owned(),
        bundle: bucket.put_blob("this is no bundle".into()).await.unwrap(),
        metrics: Default::default(),
        rows: Default::default(),
        parameters: Value::Null,
        report: Value::Null,
        lineage: Lineage::default(),
        key: "damaged".to_owned(),
    };
    models::register(&bucket, damaged).await.unwrap();
    let error = trained
        .predict(&table, json!({"model": "minutes@3"}))
        .await
        .unwrap_err();
    assert!(error.message.starts_with("minutes@3 cannot answer: "), "{error}");
    assert!(error.help.unwrap().contains("ratchet models verify"));
}
