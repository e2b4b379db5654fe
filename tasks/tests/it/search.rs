//! Search, patience and backtests of `train.model`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ratchet_artifacts::{ColumnManifest, Lineage, ModelManifest, datasets, models};
use ratchet_core::plugin::{Output, Table, TaskMessage};
use ratchet_tasks::table::to_blob_ref;
use ratchet_tasks::train::backtest;
use serde_json::{Value, json};

use crate::support::{Stage, keep_page};
use crate::training::{configuration, refusal, train, vehicles};

fn searching(table: &Table, search: &Value) -> Value {
    let mut with = configuration(table);
    with["candidates"] = json!([{"boosting": {"trees": 40}}]);
    with["search"] = search.clone();
    with
}

fn space() -> Value {
    json!({"learning_rate": [0.02, 0.3], "leaves": [4, 40]})
}

fn scores(report: &Value) -> Vec<(u64, f64)> {
    let trials = report["search"]["trials"].as_array().unwrap();
    let pair = |trial: &Value| (trial["rounds"].as_u64().unwrap(), trial["score"].as_f64().unwrap());
    trials.iter().map(pair).collect()
}

#[tokio::test]
async fn what_a_search_finds_joins_the_candidates_and_threads_change_nothing() {
    let mut stage = Stage::new();
    let table = vehicles(&stage).await;
    let with = searching(
        &table,
        &json!({"random": {"trials": 5, "folds": 2, "boosting": space()}}),
    );
    let model = train(&stage, with.clone()).await;
    let found = scores(&model.report);
    assert_eq!(found.len(), 5);
    assert!(found.is_sorted_by(|a, b| a.1 <= b.1), "the best first: {found:?}");
    let candidates = model.report["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 2);
    assert_eq!(
        candidates[1]["settings"]["boosting"],
        model.report["search"]["trials"][0]["settings"]
    );
    assert!(
        stage.log().contains("search round 1 of 1: 5 settings"),
        "{}",
        stage.log()
    );
    stage.context.threads = 1;
    let again = train(&stage, with).await;
    assert_eq!((&again.bundle, &again.report), (&model.bundle, &model.report));
}

#[tokio::test]
async fn halving_gives_the_rows_to_the_best() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let halving = json!({"halving": {"trials": 9, "folds": 2, "factor": 3, "boosting": space()}});
    let model = train(&stage, searching(&table, &halving)).await;
    let rounds: Vec<u64> = scores(&model.report).iter().map(|(rounds, _)| *rounds).collect();
    assert_eq!(rounds, [3, 2, 2, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let many = json!({"random": {"trials": 2, "folds": 20, "boosting": space()}});
    let mut with = searching(&table, &many);
    with["train_until"] = json!("2024-02-01");
    with["validation_days"] = json!(27);
    let said = refusal(&stage, with).await;
    assert!(said.contains("ask for fewer folds"), "{said}");
}

#[tokio::test]
async fn patience_decides_the_number_of_trees_before_the_refit() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut with = configuration(&table);
    with["candidates"] = json!([{"boosting": {"trees": 2000, "learning_rate": 0.2, "patience": 10}}]);
    let model = train(&stage, with).await;
    let trees = &model.report["candidates"][0]["settings"]["boosting"]["trees"];
    assert!((1..1000).contains(&trees.as_u64().unwrap()), "{trees}");
    assert!(
        stage.log().contains(&format!("{trees} of 2000 trees are enough")),
        "{}",
        stage.log()
    );
}

/// Shuffling what the answer hangs on costs most; what stands in the JSON stands on the page, too.
#[tokio::test]
async fn the_report_says_what_a_model_goes_by() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut with = searching(
        &table,
        &json!({"random": {"trials": 2, "folds": 2, "boosting": space()}}),
    );
    with["description"] = json!("Seconds & <minutes>.");
    let outputs = stage.run("train.model", with).await.unwrap();
    let inspection = stage.report(&outputs).await["inspection"].clone();
    let importance = inspection["importance"].as_array().unwrap();
    let rise = |position: usize| importance[position]["rise"].as_f64().unwrap();
    let last = importance.len() - 1;
    assert!(rise(0) > 5.0 && rise(0) > 10.0 * rise(last).abs(), "{importance:#?}");
    let dependence = inspection["partial_dependence"].as_array().unwrap();
    assert!(!dependence.is_empty() && dependence.iter().all(|one| one["points"].as_array().unwrap().len() > 1));
    let slices = inspection["slices"].as_array().unwrap();
    assert!(
        slices
            .iter()
            .all(|slice| slice["rows"].as_u64().unwrap() >= 20 && slice["metrics"]["mae"].is_number())
    );

    let Some(Output::Report(page)) = outputs.ports.get("page") else {
        panic!("no page")
    };
    let html = stage.bucket().await.get_blob(&to_blob_ref(&page.blob)).await.unwrap();
    let html = String::from_utf8(html.to_vec()).unwrap();
    keep_page("training.html", &html);
    let slice = slices[0]["value"].as_str().unwrap();
    let field = importance[0]["field"].as_str().unwrap();
    for expected in [
        "SIMULATED",
        "Seconds &amp; &lt;minutes&gt;.",
        "The best of 2 settings",
        "<polyline",
        slice,
        field,
    ] {
        assert!(html.contains(expected), "no `{expected}`");
    }
    assert!(!html.contains("<script") && html.len() < 300_000);
}

/// Registers a table and the model that was trained on it, as the engine does when a run completes.
async fn registered(stage: &Stage, with: impl FnOnce(&Table) -> Value) -> ModelManifest {
    let mut table = vehicles(stage).await;
    let bucket = stage.bucket().await;
    let new = datasets::NewDataset {
        name: "vehicles".to_owned(),
        files: table.files.iter().map(to_blob_ref).collect(),
        raw: Vec::new(),
        collected: None,
        rows: table.rows,
        columns: serde_json::from_value::<Vec<ColumnManifest>>(json!(table.columns)).unwrap(),
        lineage: Lineage {
            simulated: table.simulated,
            ..Lineage::default()
        },
        key: "run/vehicles".to_owned(),
    };
    let dataset = datasets::register(&bucket, new).await.unwrap();
    (table.dataset, table.version) = (dataset.name, Some(dataset.version));
    let model = train(stage, with(&table)).await;
    let new = models::NewModel {
        name: model.name.clone(),
        bundle: to_blob_ref(&model.bundle),
        metrics: model.metrics.clone(),
        rows: BTreeMap::new(),
        parameters: model.parameters.clone(),
        report: Value::Null,
        lineage: Lineage::default(),
        key: "run/train".to_owned(),
    };
    models::register(&bucket, new).await.unwrap()
}

/// Origins roll over the later half; each model has learnt from all rows before the ones that judge it, and no more.
#[tokio::test]
async fn a_backtest_rolls_over_the_later_half_and_registers_nothing() {
    let stage = Stage::new();
    let manifest = registered(&stage, |table| {
        let mut with = configuration(table);
        with["validation_days"] = json!(7);
        with
    })
    .await;
    let bucket = stage.bucket().await;
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&said);
    let say = Arc::new(move |message| {
        if let TaskMessage::Log { message, .. } = message {
            sink.lock().unwrap().push(message);
        }
    });
    let folds = backtest(&bucket, &manifest, 3, 2, say.clone()).await.unwrap();
    assert_eq!(folds.len(), 3);
    assert_eq!(folds[0].from.as_deref(), Some("2024-02-15 00:00:00"));
    assert_eq!(folds[2].until.as_deref(), Some("2024-03-31 00:00:00"));
    for pair in folds.windows(2) {
        assert_eq!(pair[0].until, pair[1].from);
        assert_eq!(pair[0].train + pair[0].holdout, pair[1].train);
    }
    assert!(
        folds
            .iter()
            .all(|fold| fold.metrics["mae"] > 10.0 && fold.metrics["mae"] < 150.0)
    );
    assert_eq!(models::versions(&bucket, &manifest.name).await.unwrap(), [1]);
    assert!(said.lock().unwrap().iter().any(|line| line == "fold 3 of 3"));

    let error = backtest(&bucket, &manifest, 50, 2, say.clone()).await.unwrap_err();
    assert!(error.to_string().contains("fewer folds"), "{error}");
    let mut other = manifest;
    other.parameters["table"] = json!("vehicles@9");
    let error = backtest(&bucket, &other, 3, 2, say).await.unwrap_err();
    assert!(
        error.to_string().contains("vehicles@9") && error.to_string().contains("help"),
        "{error}"
    );
}

/// Without a time every row is judged once, by a model that learnt from the others.
#[tokio::test]
async fn a_backtest_by_hash_judges_every_row_once() {
    let stage = Stage::new();
    let manifest = registered(&stage, |table| {
        let mut with = configuration(table);
        for name in ["time", "train_until", "holdout_until"] {
            with.as_object_mut().unwrap().remove(name);
        }
        with["split"] = json!({"hash": {"key": ["IncidentNumber"]}});
        with["candidates"] = json!([{"linear": {}}]);
        with
    })
    .await;
    let dataset = datasets::get(&stage.bucket().await, "vehicles", 1)
        .await
        .unwrap()
        .unwrap();
    let folds = backtest(&stage.bucket().await, &manifest, 4, 2, Arc::new(|_| ()))
        .await
        .unwrap();
    assert_eq!(folds.iter().map(|fold| fold.holdout).sum::<u64>(), dataset.rows);
    assert!(
        folds
            .iter()
            .all(|fold| fold.train + fold.holdout == dataset.rows && fold.from.is_none())
    );
}
