//! Classes of `train.model`: weights, and codes without an order.

use ratchet_core::plugin::{Output, Table};
use serde_json::{Value, json};

use crate::support::Stage;
use crate::training::{changed, configuration, replace, train, vehicles};

/// Few vehicles take as long.
fn rare(table: &Table, weights: &Value) -> Value {
    let mut with = configuration(table);
    with["target"] = json!({"binary": {"column": "AttendanceSeconds", "above": 520, "answer": "late"}});
    with["slices"] = Value::Null;
    with["class_weights"] = weights.clone();
    with["candidates"] = json!([{"boosting": {"trees": 60}}]);
    with
}

/// More of the rare class is found, and a probability still means what it says.
#[tokio::test]
async fn balanced_classes_change_the_answer_and_not_the_probability() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let plain = train(&stage, rare(&table, &Value::Null)).await.metrics;
    let equal = train(&stage, rare(&table, &json!("equal"))).await.metrics;
    let balanced = train(&stage, rare(&table, &json!("balanced"))).await.metrics;
    let chosen = train(&stage, rare(&table, &json!("chosen"))).await.metrics;
    assert_eq!(plain, equal);
    assert!(balanced["f1"] > equal["f1"] + 0.05, "{balanced:?} against {equal:?}");
    assert!(
        (balanced["brier"] - equal["brier"]).abs() < 0.01,
        "{balanced:?} against {equal:?}"
    );
    assert!(chosen["f1"] >= equal["f1"], "{chosen:?} against {equal:?}");
    assert!(
        chosen["accuracy"] > equal["accuracy"] - 0.03,
        "{chosen:?} against {equal:?}"
    );
}

/// Quick, usual and slow, under codes whose order means nothing.
#[tokio::test]
async fn codes_are_learnt_one_against_the_rest() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let coded = changed(&stage, &table, |frame| {
        replace(frame, "AttendanceSeconds", |_, value, _| {
            value.map(|seconds| match seconds {
                ..260 => 7,
                260..380 => 3,
                _ => 5,
            })
        });
    })
    .await;
    let mut with = configuration(&coded);
    with["target"] = json!({"multiclass": {"column": "AttendanceSeconds", "classes": [3, 5, 7], "answer": "pace"}});
    with["slices"] = Value::Null;
    with["features"].as_array_mut().unwrap().pop();
    with["candidates"] = json!([{"linear": {}}, {"tree": {}}, {"boosting": {"trees": 60}}]);
    let model = train(&stage, with).await;
    assert_eq!(model.report["chosen_by"], "log_loss");
    let (classes, confusion) = (
        &model.report["inspection"]["confusion"][0],
        &model.report["inspection"]["confusion"][1],
    );
    assert_eq!(classes, &json!([3, 5, 7]));
    let lines: Vec<Vec<u64>> = serde_json::from_value(confusion.clone()).unwrap();
    let rows: u64 = lines.iter().flatten().sum();
    assert_eq!(rows, model.rows.holdout);
    let hits: u64 = (0..3).map(|class| lines[class][class]).sum();
    assert!((hits as f64 / rows as f64 - model.metrics["accuracy"]).abs() < 1e-12);
    let majority = lines.iter().map(|line| line.iter().sum::<u64>()).max().unwrap() as f64 / rows as f64;
    assert!(
        model.metrics["accuracy"] > majority + 0.05,
        "{:?} against {majority}",
        model.metrics
    );

    let outputs = stage
        .run("compare.champion", json!({"challenger": model, "table": coded}))
        .await
        .unwrap();
    let Some(Output::Value(comparison)) = outputs.ports.get("comparison") else {
        panic!("no comparison")
    };
    assert_eq!(comparison["verdict"], "better", "{comparison:#}");
}
