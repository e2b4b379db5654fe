//! The three smaller DAGs that ship, each on its published table and on its simulated source: every task runs with the
//! configuration that the DAG has, in the DAG's order.

use ratchet_core::plugin::{Model, Output};
use serde_json::{Value, json};

use crate::support::{Stage, real_records, shipped_dag};

/// Runs extract, gate, the SQL if there is one, training and comparison. Returns the model and the comparison.
async fn run(dag: &str, parameter: &str, from: &str, others: &[(&str, &str)]) -> (Model, Value) {
    let stage = Stage::new();
    let dag = shipped_dag(dag);
    let mut previous = Value::Null;
    let mut trained = None;
    for id in [
        "blocks",
        "deliveries",
        "observations",
        "gate",
        "hours",
        "train",
        "compare",
    ] {
        let Some(task) = dag["tasks"].get(id) else { continue };
        let uses = task["uses"].as_str().unwrap();
        let mut with = task["with"].clone();
        if uses == "extract.file" {
            assert_eq!(with["from"], json!(format!("${{{{ params.{parameter} }}}}")));
            with["from"] = json!(from);
        } else if uses == "transform.sql" {
            with["tables"] = json!({ "observations": previous });
        } else {
            with["table"] = previous.clone();
        }
        for name in ["train_until", "holdout_until"] {
            if with.get(name).is_some() {
                let given = others.iter().find(|(other, _)| *other == name);
                with[name] = json!(given.map_or("", |(_, value)| value));
            }
        }
        if uses == "compare.champion" {
            with["challenger"] = json!(trained);
        }
        let outputs = stage
            .run(uses, with)
            .await
            .unwrap_or_else(|error| panic!("{id}: {error}"));
        if let Some(Output::Table(table)) = outputs.ports.get("table") {
            previous = json!(table);
        }
        if let Some(Output::Model(model)) = outputs.ports.get("model") {
            println!("{} from {from}: {:?} on {:?}", model.name, model.metrics, model.rows);
            trained = Some((**model).clone());
        }
        if let Some(Output::Value(comparison)) = outputs.ports.get("comparison") {
            println!("{}: {}", comparison["verdict"], comparison["reason"]);
            return (trained.unwrap(), comparison.clone());
        }
    }
    panic!("the DAG does not compare");
}

fn checked(file: &str) {
    let path = format!("{}/../dags/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let dag = ratchet_core::load(file, &text, &ratchet_tasks::registry());
    let dag = dag.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(dag.task("promote").unwrap().dependencies.contains("compare"));
}

#[test]
fn the_dags_pass_every_check() {
    for file in ["california_housing.yaml", "food_delivery.yaml", "hourly_weather.yaml"] {
        checked(file);
    }
}

#[tokio::test]
async fn houses_are_valued_as_well_as_promised() {
    let Some(path) = real_records("california_housing.csv.gz") else {
        return;
    };
    let (model, comparison) = run("california_housing.yaml", "housing", &path, &[]).await;
    assert_eq!(model.rows.train + model.rows.holdout, 20_640);
    assert!((3_900..4_400).contains(&model.rows.holdout));
    assert!(model.metrics["r2"] >= 0.84, "{:?}", model.metrics);
    assert!((0.87..0.93).contains(&model.metrics["coverage"]), "{:?}", model.metrics);
    assert_eq!(
        (&comparison["verdict"], &comparison["blocks"]),
        (&json!("better"), &json!("cells of longitude and latitude"))
    );
    assert!(comparison["effect"]["blocks"].as_u64().unwrap() > 100);
}

#[tokio::test]
async fn deliveries_are_timed_as_well_as_promised() {
    let Some(path) = real_records("food_delivery.csv.gz") else {
        return;
    };
    let (model, comparison) = run("food_delivery.yaml", "deliveries", &path, &[]).await;
    assert_eq!(model.rows.train + model.rows.holdout, 45_593);
    assert!(model.metrics["mae"] <= 5.8, "{:?}", model.metrics);
    assert!(model.metrics["r2"] >= 0.38, "{:?}", model.metrics);
    assert_eq!(
        (&comparison["verdict"], &comparison["blocks"]),
        (&json!("better"), &json!("values of Delivery_person_ID"))
    );
}

#[tokio::test]
async fn temperatures_of_a_whole_year_are_forecast_as_well_as_promised() {
    let Some(path) = real_records("hourly_weather_beijing_2010_2014.csv.gz") else {
        return;
    };
    let cuts = [("train_until", "2014-01-01"), ("holdout_until", "2015-01-01")];
    let (model, comparison) = run("hourly_weather.yaml", "observations", &path, &cuts).await;
    assert_eq!(model.rows.holdout, 365 * 24 - 6, "the last six hours have no truth");
    assert!(model.metrics["mae"] <= 1.9, "{:?}", model.metrics);
    // Below a degree and a half something of the future would have leaked into the features.
    assert!(model.metrics["mae"] > 1.5, "{:?}", model.metrics);
    assert_eq!(
        (&comparison["verdict"], &comparison["blocks"]),
        (&json!("better"), &json!("days"))
    );
}

#[tokio::test]
async fn simulated_sources_run_the_same_dags_and_say_so() {
    let cases = [
        (
            "california_housing.yaml",
            "housing",
            "simulated://housing?rows=6000&seed=1",
            0.5,
        ),
        (
            "food_delivery.yaml",
            "deliveries",
            "simulated://delivery?rows=6000&seed=1",
            0.3,
        ),
        (
            "hourly_weather.yaml",
            "observations",
            "simulated://weather?seed=1&days=400",
            0.5,
        ),
    ];
    for (dag, parameter, from, least) in cases {
        let (model, comparison) = run(dag, parameter, from, &[]).await;
        assert!(model.simulated && comparison["simulated"] == json!(true), "{dag}");
        assert!(model.metrics["r2"] > least, "{dag}: {:?}", model.metrics);
    }
}
