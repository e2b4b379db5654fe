//! `ratchet validate` and what reads DAG files without running them.

use serde_json::json;

use crate::program::{called, command, directory_with, ratchet};

const GOOD: &str = "name: good\ntasks:\n  a: { uses: core.noop }\n  b: { uses: core.noop, needs: [a] }\n";
const BAD: &str = "name: bad\ntasks:\n  a: { uses: core.nop }\n  b: { uses: core.noop, needs: [c] }\n";

#[test]
fn a_valid_file_is_named_on_stdout() {
    let directory = directory_with("good.yaml", GOOD);
    let called = ratchet(directory.path(), &["validate", "good.yaml"]);
    assert_eq!(called.done().stdout, "good.yaml: good is valid, 2 tasks\n");
    assert_eq!(called.stderr, "");
}

#[test]
fn all_problems_of_all_files_come_at_once_with_their_places() {
    let directory = directory_with("bad.yaml", BAD);
    std::fs::write(directory.path().join("good.yaml"), GOOD).unwrap();
    let called = ratchet(directory.path(), &["validate", "."]);
    assert_eq!(called.status, 2, "{called:?}");
    assert_eq!(called.stdout, "./good.yaml: good is valid, 2 tasks\n");
    for expected in ["bad.yaml", "core.nop", "core.noop", "`c`"] {
        assert!(
            called.stderr.contains(expected),
            "{expected} is missing: {}",
            called.stderr
        );
    }
}

#[test]
fn json_is_one_document_with_both_files() {
    let directory = directory_with("bad.yaml", BAD);
    std::fs::write(directory.path().join("good.yaml"), GOOD).unwrap();
    let called = ratchet(
        directory.path(),
        &["validate", "good.yaml", "bad.yaml", "--format", "json"],
    );
    assert_eq!(called.status, 2);
    let document = called.json();
    assert_eq!(document["valid"], json!(false));
    assert_eq!(
        document["files"][0],
        json!({ "file": "good.yaml", "valid": true, "dag": "good", "problems": [] })
    );
    assert_eq!(document["files"][1]["valid"], json!(false));
    assert!(
        document["files"][1]["problems"]
            .as_array()
            .is_some_and(|problems| problems.len() >= 2),
        "{document}"
    );
}

#[test]
fn a_missing_file_and_an_empty_directory_are_wrong_input() {
    let directory = tempfile::tempdir().unwrap();
    let called = ratchet(directory.path(), &["validate", "none.yaml"]);
    assert!(called.refused(2).stderr.contains("none.yaml"), "{called:?}");
    let called = ratchet(directory.path(), &["validate", "."]);
    assert!(
        called.refused(2).stderr.contains("holds no .yaml or .yml file"),
        "{called:?}"
    );
}

#[test]
fn the_next_ticks_follow_the_zone() {
    let text = format!("{GOOD}schedule: {{ cron: \"30 1 * * *\", timezone: Europe/London }}\n");
    let directory = directory_with("good.yaml", &text);
    let called = ratchet(
        directory.path(),
        &[
            "dags",
            "next",
            "good.yaml",
            "-n",
            "2",
            "--after",
            "2024-03-30T12:00:00Z",
        ],
    );
    assert_eq!(called.done().stdout, "2024-03-31T01:00:00Z\n2024-04-01T00:30:00Z\n");
}

#[test]
fn a_dag_is_listed_and_drawn() {
    let directory = directory_with("good.yaml", GOOD);
    let listed = ratchet(directory.path(), &["dags", "list", "--dags", ".", "--format", "json"])
        .done()
        .json();
    assert_eq!(listed[0]["name"], json!("good"));
    for format in ["text", "mermaid", "dot", "json"] {
        let drawn = ratchet(directory.path(), &["dags", "graph", "good.yaml", "--format", format]);
        assert!(drawn.done().stdout.contains('b'), "{format}: {drawn:?}");
    }
}

#[test]
fn secrets_that_are_nowhere_are_warned_of_and_never_shown_by_a_dry_run() {
    let text = "name: good\ntasks:\n  a: { uses: core.exec, with: { command: [echo, '${{ secrets.THERE }}', '${{ secrets.GONE }}'] } }\n";
    let directory = directory_with("good.yaml", text);
    let mut validate = command(directory.path(), &["validate", "good.yaml"]);
    let validated = called(validate.env("RATCHET_SECRET_THERE", "hunter2"));
    assert_eq!(validated.done().stdout, "good.yaml: good is valid, 1 tasks\n");
    assert!(
        validated.stderr.contains("R0028") && validated.stderr.contains("RATCHET_SECRET_GONE"),
        "{validated:?}"
    );
    assert!(!validated.stderr.contains("RATCHET_SECRET_THERE"), "{validated:?}");

    let mut plan = command(directory.path(), &["run", "good.yaml", "--dry-run"]);
    let planned = called(plan.env("RATCHET_SECRET_THERE", "hunter2"));
    assert!(planned.done().stdout.contains("${{ secrets.THERE }}"), "{planned:?}");
    assert!(!planned.stdout.contains("hunter2"), "{planned:?}");
}
