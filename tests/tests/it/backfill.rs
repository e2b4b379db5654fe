//! A backfill fills in months; it puts none of them into production over a newer one.

use serde_json::{Value, json};

use crate::support::{directory, program, ratchet, text};

/// Each month trains on what came before its interval and holds the interval out. It asks for promotion whatever the
/// comparison says: only the age of its rows stands in the way.
const DAG: &str = r#"
name: monthly
schedule: { cron: "0 0 1 * *", timezone: UTC, catchup: none }
tasks:
  incidents:
    uses: extract.file
    with: { from: "simulated://lfb?rows=12000&seed=5&days=240&from=2024-01-01" }
  vehicles:
    uses: transform.sql
    with:
      tables: { incidents: "${{ tasks.incidents.table }}" }
      sort: [TimestampOfCall, IncidentNumber]
      known:
        call: [IncidentNumber, TimestampOfCall, HourOfCall, Easting_rounded, Northing_rounded]
        after: [AttendanceSeconds]
      sql: >-
        SELECT IncidentNumber, TimestampOfCall, HourOfCall, Easting_rounded, Northing_rounded,
        FirstPumpArriving_AttendanceTime AS AttendanceSeconds FROM incidents
        WHERE FirstPumpArriving_AttendanceTime IS NOT NULL
  train:
    uses: train.model
    with:
      model: monthly
      table: "${{ tasks.vehicles.table }}"
      target: { regression: { column: AttendanceSeconds, answer: seconds } }
      predict_at: call
      time: TimestampOfCall
      train_until: "${{ run.interval_start[:10] }}"
      holdout_until: "${{ run.logical_date[:10] }}"
      features:
        - number: { fields: [HourOfCall, Easting_rounded, Northing_rounded] }
      candidates: [{ linear: {} }]
  compare:
    uses: compare.champion
    with: { challenger: "${{ tasks.train.model }}", table: "${{ tasks.vehicles.table }}" }
  promote:
    uses: promote.model
    with: { model: "${{ tasks.train.model }}", comparison: "${{ tasks.compare.comparison }}" }
"#;

#[test]
fn three_months_before_the_champion_promote_nothing_old() {
    let home = directory("backfill");
    let dag = home.join("monthly.yaml");
    std::fs::write(&dag, DAG).unwrap();
    let newest = ratchet(&home)
        .arg("run")
        .arg(&dag)
        .args(["--logical-date", "2024-08-01"])
        .output()
        .unwrap();
    assert!(
        newest.status.success(),
        "{}\n{}",
        text(&newest.stdout),
        text(&newest.stderr)
    );
    let champion = || {
        let listed = ratchet(&home)
            .args(["models", "show", "monthly@1", "--format", "json"])
            .output();
        serde_json::from_slice::<Value>(&listed.unwrap().stdout).unwrap()
    };
    let before = champion();

    let filled = ratchet(&home)
        .arg("backfill")
        .arg(&dag)
        .args([
            "--from",
            "2024-05-01",
            "--to",
            "2024-07-01",
            "--max-active",
            "2",
            "--format",
            "json",
        ])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&filled.stdout).unwrap();
    let dates = document["dates"].as_array().unwrap();
    assert_eq!(dates.len(), 3, "{document:#}");
    for date in dates {
        let run = date["run"].as_str().unwrap();
        let shown = ratchet(&home)
            .args(["runs", "show", run, "--format", "json"])
            .output()
            .unwrap();
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let task = |id: &str| {
            let tasks = shown["tasks"].as_array().unwrap();
            tasks.iter().find(|task| task["id"] == json!(id)).unwrap().clone()
        };
        assert_eq!(task("compare")["state"], json!("succeeded"), "{shown:#}");
        let promote = task("promote");
        let message = promote["error"]["message"].as_str().unwrap();
        assert!(message.contains("learnt from rows up to 2024-0"), "{message}");
    }
    assert_eq!(champion(), before, "the newest month still serves");
    let log = std::fs::read_dir(home.join("bucket/promotions")).unwrap().count();
    assert_eq!(log, 1, "{}", program("ratchet").display());
}
