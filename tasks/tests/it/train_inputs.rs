//! Tables that `train.model` cannot learn from, and odd ones that it can: each with what is said or done.

use polars::prelude::{Column, DataFrame, NamedFrom, Series};
use ratchet_core::plugin::{Known, Table};
use ratchet_tasks::table::{self, About};
use serde_json::{Value, json};

use crate::support::Stage;

const ROWS: usize = 1200;

/// Forty days of rows whose target follows `size` and `kind`.
fn example() -> DataFrame {
    let text = |value: &dyn Fn(usize) -> String| (0..ROWS).map(value).collect::<Vec<_>>();
    let number = |value: &dyn Fn(usize) -> f64| (0..ROWS).map(value).collect::<Vec<_>>();
    let columns = vec![
        Column::from(Series::new(
            "at".into(),
            text(&|row| {
                format!(
                    "2024-{:02}-{:02} {:02}:00:00",
                    1 + row / 30 / 28,
                    1 + row / 30 % 28,
                    row % 24
                )
            }),
        )),
        Column::from(Series::new("size".into(), number(&|row| (row * 7 % 100) as f64))),
        Column::from(Series::new("kind".into(), text(&|row| format!("kind {}", row % 5)))),
        Column::from(Series::new(
            "target".into(),
            number(&|row| (row * 7 % 100) as f64 + 10.0 * (row % 5) as f64 + (row * 31 % 17) as f64),
        )),
    ];
    DataFrame::new(ROWS, columns).unwrap()
}

fn replaced(name: &str, values: Series) -> DataFrame {
    let mut frame = example();
    frame
        .replace(name, Column::from(values.with_name(name.into())))
        .unwrap();
    frame
}

fn numbers(name: &str, value: impl Fn(usize) -> Option<f64>) -> DataFrame {
    replaced(name, Series::new(name.into(), (0..ROWS).map(value).collect::<Vec<_>>()))
}

fn texts(name: &str, value: impl Fn(usize) -> Option<String>) -> DataFrame {
    replaced(name, Series::new(name.into(), (0..ROWS).map(value).collect::<Vec<_>>()))
}

async fn written(stage: &Stage, frame: DataFrame) -> Table {
    let known = ["at", "size", "kind"].map(|name| (name.to_owned(), Known::Call));
    let about = About {
        known: known.into(),
        ..About::default()
    };
    table::write(&stage.bucket().await, frame, about).await.unwrap()
}

fn configuration(table: &Table) -> Value {
    json!({
        "model": "example", "table": table, "predict_at": "call", "time": "at",
        "target": {"regression": {"column": "target", "answer": "value"}},
        "train_until": "2024-02-04", "validation_days": 7,
        "features": [
            {"number": {"fields": ["size"]}},
            {"target_mean": {"fields": [["kind"]]}},
            {"one_hot": {"field": "kind"}},
            {"frequency": {"fields": ["kind"]}},
        ],
        "candidates": [{"linear": {}}, {"tree": {}}, {"boosting": {"trees": 30}}],
    })
}

/// What is wrong, the rows, what changes in the configuration, and what is said.
type Case = (&'static str, DataFrame, fn(&mut Value), &'static [&'static str]);

#[tokio::test]
async fn what_cannot_be_learnt_from_is_refused_with_the_remedy() {
    let stage = Stage::new();
    let none = |_| None::<f64>;
    let cases: Vec<Case> = vec![
        (
            "a column that is not there",
            example().drop("size").unwrap(),
            |_| (),
            &["`size`", "help: the columns are"],
        ),
        (
            "a target that is not there",
            example(),
            |with| with["target"]["regression"]["column"] = json!("targets"),
            &["`targets`", "`target`"],
        ),
        ("an empty table", example().head(Some(0)), |_| (), &["no row", "help"]),
        (
            "a target without a value",
            numbers("target", none),
            |_| (),
            &["no row has a value in `target`", "help"],
        ),
        (
            "a target of text",
            texts("target", |row| Some(format!("{row} minutes"))),
            |_| (),
            &["`target`", "not a number", "help"],
        ),
        (
            "one class only",
            example(),
            |with| with["target"] = json!({"binary": {"column": "target", "above": 1e6, "answer": "large"}}),
            &["one class only", "1000000", "help"],
        ),
        (
            "a mean of codes",
            example(),
            |with| with["target"] = json!({"multiclass": {"column": "target", "classes": [1, 2], "answer": "code"}}),
            &["means nothing", "`one_hot` or `frequency`"],
        ),
        (
            "a search that draws nothing",
            example(),
            |with| with["search"] = json!({"random": {"boosting": {}}}),
            &["draws nothing", "learning_rate"],
        ),
        (
            "a time that is none",
            texts("at", |row| Some(format!("week {row}"))),
            |_| (),
            &["`at`", "row 0", "no civil time", "help"],
        ),
        (
            "a target that cannot be transformed",
            numbers("target", |row| Some(row as f64 - 600.0)),
            |with| with["target"]["regression"]["transform"] = json!("logarithm"),
            &["cannot be transformed", "gate such values"],
        ),
    ];
    for (name, frame, change, expected) in cases {
        let table = written(&stage, frame).await;
        let mut with = configuration(&table);
        change(&mut with);
        let error = stage.run("train.model", with).await.expect_err(name);
        assert!(!error.retryable, "{name}: {error}");
        for part in expected {
            assert!(error.to_string().contains(part), "{name}: no `{part}` in: {error}");
        }
    }
}

const NOTHING: &str = "features that tell nothing";

#[tokio::test]
async fn odd_columns_are_no_harm() {
    let stage = Stage::new();
    let infinite = |row: usize| {
        Some(if row.is_multiple_of(50) {
            f64::INFINITY
        } else {
            (row * 7 % 100) as f64
        })
    };
    let cases: Vec<(&str, DataFrame)> = vec![
        ("a constant number", numbers("size", |_| Some(3.0))),
        ("a constant category", texts("kind", |_| Some("one".to_owned()))),
        ("numbers that are all missing", numbers("size", |_| None)),
        ("categories that are all missing", texts("kind", |_| None)),
        ("infinite numbers, which count as missing", numbers("size", infinite)),
        (
            "an infinite target, whose row is left out",
            numbers("target", |row| {
                Some(if row == 9 { f64::NEG_INFINITY } else { row as f64 })
            }),
        ),
        ("a constant target", numbers("target", |_| Some(5.0))),
        (NOTHING, numbers("size", |_| Some(3.0))),
        (
            "text that is no markup",
            texts("kind", |row| Some(format!("<b>{}</b>", row % 5))),
        ),
    ];
    for (name, frame) in cases {
        let table = written(&stage, frame).await;
        let mut with = configuration(&table);
        if name == NOTHING {
            with["features"] = json!([{"number": {"fields": ["size"]}}]);
        }
        let outputs = stage.run("train.model", with).await;
        let outputs = outputs.unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = stage.report(&outputs).await;
        assert!(
            report["holdout"]["mae"].as_f64().unwrap().is_finite(),
            "{name}: {report:#}"
        );
    }
}

/// A column that names rows rather than kinds would fill the bundle and say nothing of new rows.
#[tokio::test]
async fn a_million_categories_are_refused_by_name() {
    let stage = Stage::new();
    let rows = 1_000_000;
    let columns = vec![
        Column::from(Series::new("place".into(), (0..rows).collect::<Vec<i64>>())),
        Column::from(Series::new(
            "kind".into(),
            (0..rows).map(|row| format!("k{row}")).collect::<Vec<_>>(),
        )),
        Column::from(Series::new(
            "target".into(),
            (0..rows).map(|row| (row % 10) as f64).collect::<Vec<_>>(),
        )),
    ];
    let table = written(&stage, DataFrame::new(rows as usize, columns).unwrap()).await;
    for step in [
        json!({"target_mean": {"fields": [["kind"]]}}),
        json!({"frequency": {"fields": ["kind"]}}),
        json!({"one_hot": {"field": "kind"}}),
    ] {
        let mut with = configuration(&table);
        with["features"] = json!([step]);
        with["split"] = json!({"hash": {"key": ["place"]}});
        for name in ["time", "train_until", "validation_days"] {
            with.as_object_mut().unwrap().remove(name);
        }
        let error = stage.run("train.model", with).await.unwrap_err().to_string();
        assert!(error.contains("`kind` has 1,000,000 different values"), "{error}");
        assert!(error.contains("help: leave it out"), "{error}");
    }
}
