//! The gate's `drift` against an earlier version of a dataset.

use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::{ColumnManifest, Lineage};
use ratchet_core::plugin::Table;
use serde_json::{Value, json};

use crate::support::{Stage, real_records, shipped_task};

/// What the engine does with a finished task's table.
async fn register(stage: &Stage, name: &str, table: &Table) -> Table {
    let kind = |kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
    let columns = table.columns.iter().map(|column| ColumnManifest {
        name: column.name.clone(),
        kind: kind(column.kind),
        known: None,
        nulls: column.nulls,
    });
    let new = NewDataset {
        name: name.to_owned(),
        files: table.files.iter().map(ratchet_tasks::table::to_blob_ref).collect(),
        raw: Vec::new(),
        collected: None,
        rows: table.rows,
        columns: columns.collect(),
        lineage: Lineage::default(),
        key: format!("run/{}", table.files[0].sha256),
    };
    let manifest = datasets::register(&stage.bucket().await, new).await.unwrap();
    Table {
        dataset: manifest.name,
        version: Some(manifest.version),
        ..table.clone()
    }
}

async fn half(stage: &Stage, incidents: &Table, columns: &str, remainder: u8) -> Table {
    // By the number's last digit: nothing of the incident stands in it.
    let digits: Vec<String> = (0..10)
        .filter(|digit| digit % 2 == remainder)
        .map(|digit| format!("'{digit}'"))
        .collect();
    let sql = format!(
        "SELECT IncidentNumber, {columns} FROM incidents WHERE SUBSTR(IncidentNumber, 6, 1) IN ({})",
        digits.join(", ")
    );
    let with = json!({ "tables": { "incidents": incidents }, "sql": sql, "sort": ["IncidentNumber"] });
    stage.table("transform.sql", with).await
}

fn gate(table: &Table, against: &str) -> Value {
    let columns = [
        "HourOfCall",
        "PropertyCategory",
        "FirstPumpArriving_AttendanceTime",
        "IncGeo_BoroughName",
    ];
    let expect = json!([{ "drift": { "against": against, "columns": columns } }]);
    json!({ "table": table, "expect": expect })
}

#[tokio::test]
async fn rows_of_the_same_months_pass_and_changed_ones_are_named() {
    let stage = Stage::new();
    let Some(path) = real_records("lfb_incidents_2017_jan_apr.csv.gz") else {
        return;
    };
    let mut with = shipped_task("incidents");
    with["from"] = json!(path);
    let incidents = stage.table("extract.file", with).await;
    let same = "HourOfCall, PropertyCategory, FirstPumpArriving_AttendanceTime, IncGeo_BoroughName";
    let first = register(&stage, "incidents", &half(&stage, &incidents, same, 0).await).await;
    let second = register(&stage, "incidents", &half(&stage, &incidents, same, 1).await).await;
    assert_eq!((first.version, second.version), (Some(1), Some(2)));

    // The first version has nothing before it; the second looks like the first.
    let outputs = stage.run("quality.gate", gate(&first, "incidents")).await.unwrap();
    let report = stage.report(&outputs).await;
    assert_eq!(
        report["findings"][0]["detail"],
        "there is no earlier version of `incidents` to compare with"
    );
    let outputs = stage.run("quality.gate", gate(&second, "incidents")).await.unwrap();
    let report = stage.report(&outputs).await;
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4);
    assert_eq!(
        findings[0]["expectation"],
        "drift(HourOfCall against incidents@1) at 0.01"
    );
    for (finding, measure) in findings.iter().zip(["ks", "chi_square", "ks", "chi_square"]) {
        let measures = &finding["threshold"]["measures"];
        assert!(
            measures[measure]["value"].as_f64() <= measures[measure]["limit"].as_f64(),
            "{finding:#}"
        );
        assert!(measures["psi"]["value"].as_f64().unwrap() < 0.01 && measures["psi"]["limit"].is_null());
    }

    // Times in minutes, a borough's name spelled otherwise, a category that is gone.
    let changed = "HourOfCall, CASE WHEN PropertyCategory = 'Outdoor' THEN NULL ELSE PropertyCategory END AS PropertyCategory, \
                   FirstPumpArriving_AttendanceTime / 60 AS FirstPumpArriving_AttendanceTime, \
                   REPLACE(IncGeo_BoroughName, 'CAMDEN', 'Camden') AS IncGeo_BoroughName";
    let third = register(&stage, "incidents", &half(&stage, &incidents, changed, 1).await).await;
    let error = stage
        .run("quality.gate", gate(&third, "incidents@1"))
        .await
        .unwrap_err();
    let lines: Vec<&str> = error.message.lines().collect();
    println!("{}", error.message);
    assert_eq!(lines.len(), 3, "the hour has not changed: {lines:#?}");
    for (line, column) in lines.iter().zip([
        "PropertyCategory",
        "FirstPumpArriving_AttendanceTime",
        "IncGeo_BoroughName",
    ]) {
        assert!(
            line.contains(&format!("drift({column} against incidents@1) at 0.01` failed")),
            "{line}"
        );
    }
}

/// The gate of the DAG that ships lets a month that differs pass and says what is written otherwise than in the version before.
#[tokio::test]
async fn the_shipped_gate_tells_of_a_column_that_changed() {
    let stage = Stage::new();
    let simulated = async |seed: u8| {
        let mut with = shipped_task("incidents");
        with["from"] = json!(format!("simulated://lfb?rows=6000&seed={seed}"));
        stage.table("extract.file", with).await
    };
    let passes = async |table: &Table| {
        let table = register(&stage, "lfb-response-time-incidents", table).await;
        let mut with = shipped_task("gate");
        with["table"] = json!(table);
        let outputs = stage.run("quality.gate", with).await.unwrap();
        let report = stage.report(&outputs).await;
        let findings = report["findings"].as_array().unwrap().clone();
        let failed = findings.into_iter().filter(|finding| finding["passed"] == json!(false));
        failed
            .map(|finding| finding["expectation"].as_str().unwrap().to_owned())
            .collect::<Vec<String>>()
    };
    assert_eq!(
        passes(&simulated(7).await).await,
        Vec::<String>::new(),
        "nothing before it"
    );
    let same = simulated(8).await;
    assert_eq!(
        passes(&same).await,
        Vec::<String>::new(),
        "other incidents of the same kind"
    );
    let sql = "SELECT * REPLACE (CONCAT(IncGeo_BoroughName, ' LBC') AS IncGeo_BoroughName) FROM incidents";
    let with = json!({ "tables": { "incidents": same }, "sql": sql, "sort": ["IncidentNumber"] });
    assert_eq!(
        passes(&stage.table("transform.sql", with).await).await,
        ["drift(IncGeo_BoroughName against lfb-response-time-incidents@2) at 0.01"]
    );
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let stage = Stage::new();
    stage.file("a.csv", "n,day,text\n1,2026-01-01,a\n2,2026-01-02,b\n");
    let table = stage
        .table("extract.file", json!({ "from": "a.csv", "types": { "day": "date" } }))
        .await;
    let table = register(&stage, "a", &table).await;
    stage.file("b.csv", "n,day,text\n");
    let empty = stage
        .table(
            "extract.file",
            json!({ "from": "b.csv", "types": { "day": "date", "n": "integer" } }),
        )
        .await;
    let cases = [
        (
            &table,
            "a@1",
            "day",
            "`drift` needs numbers, text, true or false, and column `day`",
        ),
        (&table, "a@1", "m", "has no column `m`"),
        (&table, "a@7", "n", "there is no dataset `a@7`"),
        (&empty, "a@1", "n", "failed: 0 rows, and 2 of a@1"),
    ];
    for (table, against, column, expected) in cases {
        let expect = json!([{ "drift": { "against": against, "columns": [column] } }]);
        let error = stage
            .run("quality.gate", json!({ "table": table, "expect": expect }))
            .await
            .unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
}
