//! `quality.gate`.

use ratchet_core::plugin::Output;
use serde_json::json;

use crate::support::{Stage, keep_page};

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

/// A table with one fault for each rule.
async fn faulty(stage: &Stage) -> serde_json::Value {
    stage.file(
        "a.csv",
        "id,called,arrived,seconds,copy,station\n\
         A1,2026-01-01 10:00:00,2026-01-01 10:05:00,300,301,Acton\n\
         A2,2026-01-01 11:00:00,2026-01-01 10:59:00,120,121,Acton\n\
         <b>3,2026-01-01 10:30:00,2026-01-01 10:40:00,600,601,Nowhere\n\
         A4,2026-01-02 00:00:00,,900,901,\n",
    );
    stage.file("s.csv", "name\nActon\nBow\n");
    let stations = stage.table("extract.file", json!({ "from": "s.csv" })).await;
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let expect = json!([
        { "pattern": { "column": "id", "matches": "A\\d" } },
        { "freshness": { "column": "called", "days": 10 } },
        { "monotone": { "column": "called" } },
        { "compare": { "smaller": "called", "greater": "arrived" } },
        { "referential": { "column": "station", "table": stations, "references": "name" } },
        { "leak": { "target": "seconds", "columns": ["copy"] } },
        { "query": { "sql": "SELECT id, seconds FROM rows WHERE seconds > 800" } },
    ]);
    json!({ "table": table, "expect": expect, "key": ["id"] })
}

#[tokio::test]
async fn every_rule_finds_its_fault_and_names_the_row() {
    let stage = Stage::new();
    let with = faulty(&stage).await;
    let error = stage.run("quality.gate", with).await.unwrap_err();
    let expected = [
        "expectation `pattern(id ~ A\\d) >= 1` failed: 0.7500 of 4 values match (row 2)",
        "expectation `freshness(called) <= 10 days` failed: the newest value is 2026-01-02 00:00:00, 13.1 days before the run's logical date",
        "expectation `monotone(called never falls)` failed: 1 rows break the order (row 2)",
        "expectation `compare(called <= arrived) >= 1` failed: 0.6667 of 3 rows with both values agree (row 1)",
        "expectation `referential(station in name) >= 1` failed: 0.6667 of 3 values stand among the 2 of the table (row 2)",
        "expectation `leak(copy, seconds) <= 0.98` failed: the correlation is 1.0000 over 4 rows",
        "expectation `query(SELECT id, seconds FROM rows WHERE seconds > 800) <= 0` failed: the query returns 1 rows (row 0)",
    ];
    assert_eq!(error.message.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_same_rules_hold_where_their_bounds_allow_it() {
    let stage = Stage::new();
    let mut with = faulty(&stage).await;
    for (index, bound, value) in [
        (0, "/pattern/share", json!(0.75)),
        (1, "/freshness/days", json!(14)),
        (3, "/compare/share", json!(0.6)),
        (4, "/referential/share", json!(0.6)),
        (5, "/leak/max", json!(1)),
        (6, "/query/max", json!(1)),
    ] {
        let rule = &mut with["expect"][index];
        let (parent, name) = bound.rsplit_once('/').unwrap();
        rule.pointer_mut(parent).unwrap()[name] = value;
    }
    with["expect"][2]["monotone"]["column"] = json!("seconds");
    let error = stage.run("quality.gate", with.clone()).await.unwrap_err();
    assert_eq!(
        error.message,
        "expectation `monotone(seconds never falls)` failed: 1 rows break the order (row 1)"
    );
    with["expect"].as_array_mut().unwrap().remove(2);
    stage.run("quality.gate", with).await.unwrap();
}

#[tokio::test]
async fn the_page_says_what_failed_and_runs_nothing_that_a_table_holds() {
    let stage = Stage::new();
    let with = faulty(&stage).await;
    let error = stage.run("quality.gate", with).await.unwrap_err();
    let Some(Output::Report(page)) = error.outputs.ports.get("page") else {
        panic!("no page in {:?}", error.outputs);
    };
    assert_eq!(page.file_name, "gate.html");
    let blob = ratchet_tasks::table::to_blob_ref(&page.blob);
    let html = String::from_utf8(stage.bucket().await.get_blob(&blob).await.unwrap().to_vec()).unwrap();
    keep_page("gate.html", &html);
    assert!(html.contains("The table does not pass") && html.contains("&lt;b&gt;3"));
    assert!(
        !html.contains("<b>") && !html.contains("<script") && !html.contains("http://") && !html.contains("https://")
    );
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("width=device-width"));
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused_before_the_table_is_read() {
    let registry = ratchet_tasks::registry();
    let table = json!({ "files": [], "rows": 0, "columns": [], "source": "", "simulated": false });
    let expect = json!([
        { "pattern": { "column": "id", "matches": "(" } },
        { "freshness": { "column": "t", "days": -1 } },
        { "compare": { "smaller": "a", "greater": "b", "share": 2 } },
        { "leak": { "target": "a", "columns": ["a"] } },
        { "query": { "sql": " " } },
        { "schema": { "columns": {} } },
        { "dates": { "column": "t", "formats": ["%H:%M", "%Q"] } },
        { "drift": { "against": "a@0", "columns": [], "rate": 0 } },
    ]);
    let with = json!({ "table": table, "expect": expect });
    let problems = (registry.get("quality.gate").unwrap().validate)(&with);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    let expected = [
        "/expect/0/pattern/matches",
        "/expect/1/freshness/days",
        "/expect/2/compare/share",
        "/expect/3/leak/columns",
        "/expect/4/query/sql",
        "/expect/5/schema/columns",
        "/expect/6/dates/formats",
        "/expect/6/dates/formats",
        "/expect/7/drift/against",
        "/expect/7/drift/columns",
        "/expect/7/drift/rate",
    ];
    assert_eq!(pointers, expected);
}

#[tokio::test]
async fn columns_are_held_against_their_types() {
    let stage = Stage::new();
    stage.file("a.csv", "id,n,more\na,1,2\nb,x,3\n");
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let run = async |columns: serde_json::Value, only: bool| {
        let expect = json!([{ "schema": { "columns": columns, "only": only } }]);
        stage
            .run("quality.gate", json!({ "table": table, "expect": expect }))
            .await
    };
    let whole = json!({ "id": "text", "n": "text", "more": "integer" });
    run(whole.clone(), true).await.unwrap();
    let error = run(json!({ "id": "text", "n": "integer", "day": "date" }), true)
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "expectation `schema(3 columns and no other)` failed: `day` is missing; `n` is text, not integer; `more` is not expected"
    );
    run(json!({ "id": "text" }), false).await.unwrap();
}

#[tokio::test]
async fn dates_in_several_spellings_are_counted_and_others_named() {
    let stage = Stage::new();
    stage.file(
        "a.csv",
        "id,day\n1,01 Jan 2009\n2,01-Jan-20\n3,2023-03-19\n4,\n5,20230319\n6,2023-02-30\n7,19/03/2023\n",
    );
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let expect = |share: f64| {
        let formats = ["%d %b %Y", "%d-%b-%y", "%Y-%m-%d"];
        json!([{ "dates": { "column": "day", "formats": formats, "share": share } }])
    };
    let with = json!({ "table": table, "expect": expect(1.0), "key": ["id"] });
    let error = stage.run("quality.gate", with).await.unwrap_err();
    assert_eq!(
        error.message,
        "expectation `dates(day, 3 spellings) >= 1` failed: 0.5000 of 6 values are dates: 1 as %d %b %Y, 1 as %d-%b-%y, 1 as \
         %Y-%m-%d (rows 4, 5, 6)"
    );
    let with = json!({ "table": table, "expect": expect(0.5) });
    stage.run("quality.gate", with).await.unwrap();
}

#[tokio::test]
async fn offending_rows_are_kept_whole_and_masks_hold_in_every_report() {
    let stage = Stage::new();
    stage.file("a.csv", "id,n,name\na,1,Ada\na,2,Eve\nc,,Hal\n");
    let table = stage.table("extract.file", json!({ "from": "a.csv" })).await;
    let expect = json!([
        { "unique": { "columns": ["id"], "severity": "warn" } },
        { "null_share": { "columns": ["n"] } },
        { "null_share": { "columns": ["name", "n"], "max": 0.5 } },
        { "allowed": { "column": "name", "values": ["Ada"] } },
        { "query": { "sql": "SELECT name FROM rows WHERE n = 2" } },
    ]);
    let with = json!({ "table": table, "expect": expect, "key": ["id", "name"], "mask": ["name"] });
    let error = stage.run("quality.gate", with).await.unwrap_err();
    let content = async |port: &str| {
        let Some(Output::Report(report)) = error.outputs.ports.get(port) else {
            panic!("no {port}");
        };
        let blob = ratchet_tasks::table::to_blob_ref(&report.blob);
        String::from_utf8(stage.bucket().await.get_blob(&blob).await.unwrap().to_vec()).unwrap()
    };
    let rows: Vec<serde_json::Value> = content("offending")
        .await
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        json!({ "row": 1, "expectations": ["unique(id)", "allowed(name, 1 values) >= 1"],
                "values": { "id": "a", "n": 2, "name": "***" } }),
        json!({ "row": 2, "expectations": ["null_share(n) <= 0", "allowed(name, 1 values) >= 1"],
                "values": { "id": "c", "n": null, "name": "***" } }),
    ];
    assert_eq!(rows, expected);
    for port in ["offending", "report", "page"] {
        let text = content(port).await;
        assert!(!text.contains("Eve") && !text.contains("Hal"), "{port}: {text}");
    }
    assert!(!error.to_string().contains("Eve") && !stage.log().contains("Eve"));
    let with = json!({ "table": table, "expect": [{ "row_count": { "min": 1 } }] });
    assert!(
        !stage
            .run("quality.gate", with)
            .await
            .unwrap()
            .ports
            .contains_key("offending")
    );
}
