//! `compare.champion`: guard rails, forecasts, holdouts that were used before; and what compare, promote and profile refuse.

use polars::prelude::{Column, NamedFrom, Series};
use ratchet_core::plugin::{Model, Output, Outputs, Table};
use ratchet_tasks::table;
use serde_json::{Value, json};

use crate::support::{Stage, keep_page};
use crate::training::{changed, configuration, promote, train, vehicles};

async fn compared(stage: &Stage, with: Value) -> Outputs {
    let outputs = stage.run("compare.champion", with).await;
    outputs.unwrap_or_else(|error| panic!("{error}"))
}

fn comparison(outputs: &Outputs) -> &Value {
    match outputs.ports.get("comparison") {
        Some(Output::Value(comparison)) => comparison,
        other => panic!("{other:?}"),
    }
}

async fn text_of(stage: &Stage, outputs: &Outputs, port: &str) -> String {
    let Some(Output::Report(report)) = outputs.ports.get(port) else {
        panic!("no {port} in {outputs:?}");
    };
    let blob = table::to_blob_ref(&report.blob);
    String::from_utf8(stage.bucket().await.get_blob(&blob).await.unwrap().to_vec()).unwrap()
}

/// A champion that reads where a vehicle goes, and a challenger that does not.
async fn poorer_challenger(stage: &Stage, table: &Table) -> Model {
    promote(stage, &train(stage, configuration(table)).await).await;
    let mut with = configuration(table);
    with["features"].as_array_mut().unwrap().truncate(2);
    with["slices"] = Value::Null;
    let mut challenger = train(stage, with).await;
    challenger.version = Some(2);
    challenger
}

#[tokio::test]
async fn a_worse_challenger_is_said_to_be_worse_slice_by_slice() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let challenger = poorer_challenger(&stage, &table).await;
    let with = json!({
        "challenger": challenger, "table": table,
        "guard_rails": {
            "slices": {"fields": ["DeployedFromStation"], "fewest_rows": 15, "worse_by": 0.02},
            "latency": {"at_most": 1000}, "size": {"at_most": 1000},
        },
    });
    let outputs = compared(&stage, with).await;
    let found = comparison(&outputs);
    assert_eq!(
        (&found["verdict"], &found["worse"]),
        (&json!("not_better"), &json!(true)),
        "{found:#}"
    );
    let rails: Vec<(&str, bool)> = found["guard_rails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rail| (rail["rail"].as_str().unwrap(), rail["holds"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        rails,
        [
            ("slices", false),
            ("calibration", true),
            ("latency", true),
            ("size", true)
        ]
    );
    assert!(found["slices"].as_array().unwrap().len() > 20);
    assert_eq!(found["holdout"]["uses"], json!({"measured": 1, "decided": 0}));
    let markdown = text_of(&stage, &outputs, "report").await;
    assert!(
        markdown.contains("| slices | **broken** |") && markdown.contains("Verdict: **not better**"),
        "{markdown}"
    );
    let page = text_of(&stage, &outputs, "page").await;
    keep_page("comparison.html", &page);
    assert_eq!(page.matches("<svg").count(), 3, "gain, days, slices");
    assert!(
        !page.contains("<script") && !page.contains("://"),
        "nothing is fetched and nothing runs"
    );
}

#[tokio::test]
async fn the_same_comparison_gives_the_same_report() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let challenger = poorer_challenger(&stage, &table).await;
    let with = json!({"challenger": challenger, "table": table});
    let (once, again) = (compared(&stage, with.clone()).await, compared(&stage, with).await);
    assert_eq!(once, again);
}

#[tokio::test]
async fn a_gain_that_costs_a_guard_rail_is_not_better() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut poor = configuration(&table);
    poor["features"].as_array_mut().unwrap().truncate(2);
    poor["slices"] = Value::Null;
    poor["candidates"] = json!([{"linear": {}}]);
    promote(&stage, &train(&stage, poor).await).await;
    let challenger = train(&stage, configuration(&table)).await;
    let with = |rails: Value| json!({"challenger": challenger, "table": table, "guard_rails": rails});
    let free = compared(&stage, with(json!({}))).await;
    assert_eq!(comparison(&free)["verdict"], "better", "{:#}", comparison(&free));
    let small = compared(&stage, with(json!({"size": {"at_most": 1.5}}))).await;
    let found = comparison(&small);
    assert_eq!(
        (&found["verdict"], &found["worse"]),
        (&json!("not_better"), &json!(true))
    );
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.contains("the guard rail `size` does not hold"), "{reason}");
    let warned = compared(&stage, with(json!({"size": {"at_most": 1.5, "warn_only": true}}))).await;
    assert_eq!(comparison(&warned)["verdict"], "better");
    assert!(stage.log().contains("guard rail `size`"), "{}", stage.log());
}

#[tokio::test]
async fn a_version_that_is_named_is_met_whoever_holds_the_alias() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let mut challenger = poorer_challenger(&stage, &table).await;
    promote(&stage, &challenger).await;
    challenger.version = Some(2);
    let met = async |against: Value| {
        let with = json!({"challenger": challenger, "table": table, "against": against});
        comparison(&compared(&stage, with).await)["champion"]["version"].clone()
    };
    assert_eq!(met(json!(1)).await, 1);
    assert_eq!(met(Value::Null).await, 2);
}

#[tokio::test]
async fn a_champion_whose_fields_are_gone_is_named_with_all_of_them() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    promote(&stage, &train(&stage, configuration(&table)).await).await;
    let without = changed(&stage, &table, |frame| {
        for name in ["PropertyType", "IncidentStationGround"] {
            frame.drop_in_place(name).unwrap();
        }
    })
    .await;
    let mut with = configuration(&without);
    with["features"].as_array_mut().unwrap().truncate(2);
    with["slices"] = Value::Null;
    let challenger = train(&stage, with).await;
    let error = stage
        .run("compare.champion", json!({"challenger": challenger, "table": without}))
        .await;
    let error = error.unwrap_err();
    assert!(!error.retryable);
    assert!(
        error.message.contains("the champion times@1 cannot answer")
            && error.message.contains("`IncidentStationGround`, `PropertyType`"),
        "{error}"
    );
    assert!(error.help.unwrap().contains("ratchet models promote"));
}

#[tokio::test]
async fn classes_are_compared_by_their_decisions_too() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let late = |features: usize| {
        let mut with = configuration(&table);
        with["target"] = json!({"binary": {"column": "AttendanceSeconds", "above": 360.0, "answer": "late"}});
        with["features"].as_array_mut().unwrap().truncate(features);
        with["slices"] = Value::Null;
        with
    };
    promote(&stage, &train(&stage, late(4)).await).await;
    let challenger = train(&stage, late(1)).await;
    let outputs = compared(&stage, json!({"challenger": challenger, "table": table})).await;
    let found = comparison(&outputs);
    assert_eq!(
        (&found["loss"], &found["verdict"]),
        (&json!("brier"), &json!("not_better")),
        "{found:#}"
    );
    let decisions = &found["decisions"];
    assert!(decisions["only_opponent"].as_u64().unwrap() > decisions["only_challenger"].as_u64().unwrap());
    let rails = found["guard_rails"].as_array().unwrap();
    let broken = rails.iter().find(|rail| rail["rail"] == "decisions").unwrap();
    assert_eq!(broken["holds"], false, "{broken}");
}

/// What each of them refuses, and that it says what and how to go on.
#[tokio::test]
async fn bad_inputs_are_refused_in_one_message() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    promote(&stage, &train(&stage, configuration(&table)).await).await;
    let mut challenger = train(&stage, configuration(&table)).await;
    challenger.version = Some(2);
    let compare = |key: &str, value: Value| {
        let mut with = json!({"challenger": challenger, "table": table});
        with[key] = value;
        ("compare.champion", with)
    };
    let damaged = stage.bucket().await.put_blob("no bundle".into()).await.unwrap();
    let mut unreadable = challenger.clone();
    unreadable.bundle = table::to_blob(&damaged);
    let no_target = changed(&stage, &table, |frame| {
        frame.drop_in_place("AttendanceSeconds").unwrap();
    })
    .await;
    let text_target = changed(&stage, &table, |frame| {
        let rows = frame.height();
        let words = Series::new("AttendanceSeconds".into(), vec!["soon"; rows]);
        frame.replace("AttendanceSeconds", Column::from(words)).unwrap();
    })
    .await;
    let promotion = |key: &str, value: Value| {
        let said = json!({"challenger": {"digest": challenger.bundle.sha256}, "alias": "champion"});
        let mut with = json!({"model": challenger, "comparison": said});
        with[key] = value;
        ("promote.model", with)
    };
    let mut unregistered = challenger.clone();
    unregistered.version = None;
    let profile = |key: &str, value: Value| {
        let mut with = json!({"table": table});
        with[key] = value;
        ("profile.report", with)
    };
    let cases = [
        (
            compare("challenger", json!(unreadable)),
            "the challenger of `times` cannot be read",
        ),
        (compare("table", json!(no_target)), "has no column `AttendanceSeconds`"),
        (
            compare("table", json!(text_target)),
            "`AttendanceSeconds` of the table is str, not a number",
        ),
        (
            compare("against", json!(99)),
            "version 99 of `times` cannot be read: its manifest is not in the bucket",
        ),
        (compare("margin", json!(2)), "/margin` of task `task`: 2 is not a share"),
        (
            compare("blocks", json!({"columns": ["Easting_round"]})),
            "has no column `Easting_round`",
        ),
        (
            compare("forecast", json!({"horizon": 0})),
            "/forecast/horizon` of task `task`: a horizon of 0",
        ),
        (
            compare("forecast", json!({"horizon": 1, "persistence": "Temp"})),
            "has no column `Temp`",
        ),
        (
            compare("guard_rails", json!({"slices": {"fields": ["Station"]}})),
            "has no column `Station`",
        ),
        (
            compare(
                "guard_rails",
                json!({"slices": {"fields": ["IncidentNumber"], "fewest_rows": 1}}),
            ),
            "are the most",
        ),
        (
            compare("guard_rails", json!({"latency": {"at_most": 0.5}})),
            "/guard_rails/latency/at_most",
        ),
        (compare("guard_rail", json!({})), "unknown field `guard_rail`"),
        (promotion("model", json!(unregistered)), "has no version yet"),
        (
            promotion("comparison", Value::Null),
            "the comparison is not of `times` version 2",
        ),
        (
            promotion("alias", json!("challenger")),
            "was compared with the holder of `champion`",
        ),
        (
            promotion("alias", json!("Champion!")),
            "`Champion!` is no name of an alias",
        ),
        (
            profile("compare_with", json!("houses@x")),
            "`houses@x` names no version",
        ),
        (
            profile("compare_with", json!("houses@9")),
            "there is no dataset `houses@9`",
        ),
    ];
    for ((uses, with), expected) in cases {
        let error = stage.run(uses, with).await.unwrap_err();
        assert!(
            error.message.contains(expected),
            "{uses}: expected `{expected}`, found: {error}"
        );
        assert!(!error.retryable, "{error}");
    }
}

#[tokio::test]
async fn rows_that_no_longer_judge_decide_nothing() {
    let stage = Stage::new();
    let table = vehicles(&stage).await;
    let challenger = train(&stage, configuration(&table)).await;
    let empty = changed(&stage, &table, |frame| *frame = frame.head(Some(0))).await;
    let outputs = compared(&stage, json!({"challenger": challenger, "table": empty})).await;
    let found = comparison(&outputs);
    assert_eq!(
        (&found["verdict"], &found["effect"]),
        (&json!("inconclusive"), &Value::Null)
    );
    assert!(found["reason"].as_str().unwrap().contains("fewer than two days"));
}
