//! `ratchet run` and what it leaves to look at.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{command, directory_with, ratchet};

const GOOD: &str = "
name: good
params:
  times: { type: integer, default: 1, minimum: 1 }
tasks:
  first: { uses: core.noop }
  second: { uses: core.noop, needs: [first] }
";
const BAD: &str = "
name: bad
tasks:
  first: { uses: core.noop }
  second: { uses: core.fail, needs: [first], with: { message: the well is dry } }
  third: { uses: core.noop, needs: [second] }
";

fn states(document: &Value) -> Vec<(&str, &str)> {
    let tasks = document["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| (task["id"].as_str().unwrap(), task["state"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_run_prints_plain_lines_and_a_closing_table() {
    let directory = directory_with("good.yaml", GOOD);
    let called = ratchet(directory.path(), &["run", "good.yaml"]);
    called.done();
    for line in ["first   started\n", "first   succeeded in ", "second  succeeded in "] {
        assert!(called.stderr.contains(line), "{line:?} is missing: {}", called.stderr);
    }
    for line in [
        "TASK",
        "first   succeeded  1",
        "second  succeeded  1",
        "of good succeeded after",
    ] {
        assert!(called.stdout.contains(line), "{line:?} is missing: {}", called.stdout);
    }
}

#[test]
fn a_failed_task_gives_status_1_and_the_reason_for_what_was_skipped() {
    let directory = directory_with("bad.yaml", BAD);
    let called = ratchet(directory.path(), &["run", "bad.yaml", "--format", "json"]);
    assert_eq!(called.status, 1, "{called:?}");
    let document = called.json();
    assert_eq!(
        states(&document),
        [("first", "succeeded"), ("second", "failed"), ("third", "skipped")]
    );
    assert_eq!(
        (&document["dag"], &document["status"]),
        (&json!("bad"), &json!("failed"))
    );
    let tasks = &document["tasks"];
    assert!(
        tasks[1]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("the well is dry"),
        "{document}"
    );
    assert!(tasks[2]["reason"].as_str().unwrap().contains("second"), "{document}");
    assert_eq!((&tasks[1]["attempts"], &tasks[2]["attempts"]), (&json!(1), &json!(0)));
    assert!(
        called.stderr.contains("the well is dry"),
        "logs go to stderr: {called:?}"
    );
}

#[test]
fn the_run_can_be_looked_at_afterwards() {
    let directory = directory_with("good.yaml", GOOD);
    let document = ratchet(
        directory.path(),
        &["run", "good.yaml", "-p", "times=3", "--format", "json"],
    )
    .done()
    .json();
    let id = document["run"].as_str().unwrap();
    assert_eq!(document["params"], json!({ "times": 3 }));
    let listed = ratchet(directory.path(), &["runs", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!((&listed[0]["run"], &listed[0]["actor"]), (&json!(id), &json!("ada")));
    let shown = ratchet(directory.path(), &["runs", "show", id, "--format", "json"])
        .done()
        .json();
    assert_eq!(shown, document);
    let text = ratchet(directory.path(), &["runs", "show", id]);
    assert!(text.done().stdout.contains("times=3"), "{text:?}");
    ratchet(directory.path(), &["runs", "logs", id, "first"]).done();
    let unknown = ratchet(directory.path(), &["runs", "logs", id, "fourth"]);
    assert!(unknown.refused(2).stderr.contains("fourth"), "{unknown:?}");
    ratchet(directory.path(), &["runs", "show", "ffffffff"]).refused(2);
}

#[test]
fn the_logical_date_is_the_instant_that_was_named() {
    let directory = directory_with("good.yaml", GOOD);
    let arguments = ["run", "good.yaml", "--logical-date", "2017-05-01", "--format", "json"];
    let document = ratchet(directory.path(), &arguments).done().json();
    assert_eq!(document["logical_date"], json!("2017-05-01T00:00:00Z"));
}

#[test]
fn wrong_parameters_are_refused_before_anything_runs() {
    let directory = directory_with("good.yaml", GOOD);
    for (parameter, expected) in [("times=none", "times"), ("times=0", "times"), ("time=3", "time")] {
        let called = ratchet(directory.path(), &["run", "good.yaml", "-p", parameter]);
        assert!(called.refused(2).stderr.contains(expected), "{called:?}");
        assert!(
            called.stderr.contains("the parameters of `good` are times"),
            "{called:?}"
        );
    }
    let twice = ratchet(
        directory.path(),
        &["run", "good.yaml", "-p", "times=1", "-p", "times=2"],
    );
    assert!(twice.refused(2).stderr.contains("given twice"), "{twice:?}");
    let listed = ratchet(directory.path(), &["runs", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!(listed, json!([]));
}

#[test]
fn quiet_leaves_the_closing_table_alone() {
    let directory = directory_with("good.yaml", GOOD);
    let called = ratchet(directory.path(), &["run", "good.yaml", "--quiet"]);
    assert_eq!(called.done().stderr, "");
    assert!(called.stdout.contains("second  succeeded"), "{called:?}");
}

#[test]
fn an_interrupt_cancels_the_run_and_leaves_it_recorded() {
    let text = "
name: slow
tasks:
  wait: { uses: core.sleep, with: { seconds: 600 } }
  after: { uses: core.noop, needs: [wait] }
";
    let directory = directory_with("slow.yaml", text);
    let mut child = command(directory.path(), &["run", "slow.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("wait   started") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the task never started");
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let listed = ratchet(directory.path(), &["runs", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!(listed[0]["status"], json!("cancelled"));
}

#[test]
fn a_store_that_cannot_be_reached_is_status_3() {
    let directory = directory_with("good.yaml", GOOD);
    std::fs::write(directory.path().join("file"), "not a directory").unwrap();
    let called = ratchet(directory.path(), &["run", "good.yaml", "--store", "file/bucket"]);
    assert!(called.refused(3).stderr.contains("file/bucket"), "{called:?}");
    let called = ratchet(directory.path(), &["run", "good.yaml", "--store", "ftp://bucket"]);
    assert!(called.refused(2).stderr.contains("ftp"), "{called:?}");
}
