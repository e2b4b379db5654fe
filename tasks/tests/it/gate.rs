//! `quality.gate`.

use ratchet_core::plugin::Output;
use serde_json::json;

use crate::support::Stage;

#[tokio::test]
async fn a_table_that_meets_all_expectations_passes_unchanged() {
    let stage = Stage::new();
    stage.file("a.csv", "id,n\na,1\nb,2\n");
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let expect = json!([
        { "row_count": { "min": 1 } },
        { "unique": { "columns": ["id"] } },
        { "between": { "column": "n", "max": 1, "severity": "warn" } },
    ]);
    let outputs = stage
        .run("quality.gate", json!({ "table": table, "expect": expect }))
        .await
        .unwrap();
    assert_eq!(outputs.ports.get("table"), Some(&Output::Table(table)));
    let report = stage.report(&outputs).await;
    assert_eq!(
        (&report["passed"], report["findings"].as_array().unwrap().len()),
        (&json!(true), 3)
    );
    assert_eq!(report["findings"][2]["passed"], json!(false));
    assert!(
        stage.log().contains("expectation `between(n <= 1) >= 1` failed"),
        "{}",
        stage.log()
    );
}

#[tokio::test]
async fn a_gate_that_fails_names_expectation_value_and_rows_and_leaves_its_report() {
    let stage = Stage::new();
    let rows: String = (0..200).map(|row| format!("key-{row},\n")).collect();
    stage.file("a.csv", format!("IncidentNumber,DateOfCall\n{rows}"));
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let expect = json!([
        { "null_share": { "columns": ["IncidentNumber", "DateOfCall"], "max": 0.01 } },
        { "row_count": { "max": 100 } },
    ]);
    let with = json!({ "table": table, "expect": expect, "key": ["IncidentNumber"] });
    let error = stage.run("quality.gate", with).await.unwrap_err();
    assert_eq!(
        error.message,
        "expectation `null_share(DateOfCall) <= 0.01` failed: 1.0000 of 200 rows are null (rows 0, 1, 2, ...)\n\
         expectation `row_count <= 100` failed: 200 rows"
    );
    assert!(!error.retryable && !error.outputs.ports.contains_key("table"));
    let report = stage.report(&error.outputs).await;
    let finding = &report["findings"][1];
    assert_eq!((&finding["offending"], &finding["seen"]), (&json!(200), &json!(1.0)));
    assert_eq!(
        finding["first_rows"][19],
        json!({ "row": 19, "key": { "IncidentNumber": "key-19" } })
    );
}

#[tokio::test]
async fn contradictions_are_found_before_the_table_is_read() {
    let registry = ratchet_tasks::registry();
    let table = json!({ "files": [], "rows": 0, "columns": [], "source": "", "simulated": false });
    let expect = json!([
        { "row_count": {} },
        { "between": { "column": "n", "min": 2, "max": 1 } },
        { "null_share": { "columns": ["n"], "max": 5 } },
    ]);
    let with = json!({ "table": table, "expect": expect });
    let problems = (registry.get("quality.gate").unwrap().validate)(&with);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/expect/0/row_count",
            "/expect/1/between/min",
            "/expect/2/null_share/max"
        ]
    );
}
