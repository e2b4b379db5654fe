//! `ratchet backfill`.

use serde_json::{Value, json};

use crate::program::{Called, directory_with, ratchet};

const DAG: &str = "name: daily\nschedule: { cron: \"0 2 * * *\", timezone: UTC }\n\
                   params: { fails: { type: boolean, default: false } }\n\
                   tasks:\n  only: { uses: core.noop }\n  maybe: { uses: core.fail, when: \"${{ params.fails }}\", with: { message: no } }\n";

fn plans(called: &Called) -> Vec<String> {
    let document = called.done().json();
    let dates = document.as_array().unwrap().iter();
    dates.map(|date| date["plan"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_backfill_shows_what_it_would_do_does_it_and_goes_on_with_what_is_missing() {
    let directory = directory_with("daily.yaml", DAG);
    let call = |to: &str, more: &[&str]| {
        let range = ["backfill", "daily.yaml", "--from", "2024-05-01", "--to", to];
        ratchet(directory.path(), &[&range[..], more].concat())
    };
    let dry = call("2024-05-04", &["--dry-run"]);
    assert_eq!(dry.done().stdout.matches("would run").count(), 3, "{dry:?}");
    assert!(dry.stdout.contains("2024-05-01 02:00:00Z"), "{dry:?}");
    let failed = call("2024-05-02", &["-p", "fails=true"]);
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(
        failed.stderr.contains("1 of 1: 2024-05-01 02:00:00Z failed"),
        "{failed:?}"
    );
    let done = call(
        "2024-05-03",
        &["--missing-only", "--max-active", "2", "--format", "json"],
    );
    let dates: Value = done.done().json()["dates"].clone();
    assert_eq!(dates[0]["plan"], json!("repeat"), "what failed is missing: {dates}");
    let plan = call("2024-05-04", &["--dry-run", "--missing-only", "--format", "json"]);
    assert_eq!(plans(&plan), ["keep", "keep", "run"]);
    let plan = call("2024-05-04", &["--dry-run", "--format", "json"]);
    assert_eq!(plans(&plan), ["repeat", "repeat", "run"]);
    let listed = ratchet(directory.path(), &["runs", "list"]);
    assert_eq!(listed.done().stdout.matches(" backfill ").count(), 3, "{listed:?}");
}

#[test]
fn a_range_that_is_none_is_refused_with_the_remedy() {
    let directory = directory_with("daily.yaml", DAG);
    let call = |arguments: &[&str]| ratchet(directory.path(), &[&["backfill"], arguments].concat());
    call(&["daily.yaml", "--from", "2024-05-02", "--to", "2024-05-01"]).refused(2);
    let none = call(&["daily.yaml", "--from", "2024-05-02", "--to", "2024-05-02"]);
    assert!(none.refused(2).stderr.contains("no tick"), "{none:?}");
    call(&["other", "--dags", ".", "--from", "2024-05-01", "--to", "2024-05-02"]).refused(2);
    assert_eq!(call(&["daily.yaml", "--from", "2024-05-02"]).status, 2);
    call(&["--stop", "none"]).refused(2);
}
