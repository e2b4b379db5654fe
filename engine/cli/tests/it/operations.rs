//! What people do with runs: dry runs, parts of DAGs, retries, marks, and runs whose engine was killed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{command, directory_with, ratchet};

const PARTS: &str = "
name: parts
params:
  message: { type: string, default: hello }
tasks:
  first: { uses: core.noop }
  second: { uses: core.fail, needs: [first], with: { message: \"${{ params.message }} ${{ run.id }}\" } }
  third: { uses: core.noop, needs: [second] }
";

const SLOW: &str = "
name: slow
tasks:
  before: { uses: core.noop }
  wait: { uses: core.sleep, needs: [before], with: { seconds: 600 } }
";

#[test]
fn a_dry_run_shows_order_and_configuration_and_records_nothing() {
    let directory = directory_with("parts.yaml", PARTS);
    let shown = ratchet(
        directory.path(),
        &["run", "parts.yaml", "--dry-run", "--format", "json"],
    )
    .done()
    .json();
    let plans: Vec<_> = shown["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["plan"])
        .collect();
    assert_eq!(plans, ["run", "run", "run"]);
    assert_eq!(
        shown["tasks"][1]["with"]["message"],
        json!("${{ params.message }} ${{ run.id }}"),
        "only the run knows its id"
    );
    let until = ["run", "parts.yaml", "--dry-run", "--until", "first"];
    let text = ratchet(directory.path(), &until).done().stdout.clone();
    assert!(text.contains("1. first  core.noop"), "{text}");
    assert!(text.contains("not run: it is left out of this run"), "{text}");
    let listed = ratchet(directory.path(), &["runs", "list", "--format", "json"])
        .done()
        .json();
    assert_eq!(listed, json!([]));
}

#[test]
fn a_part_is_run_and_a_failed_run_is_marked_and_retried() {
    let directory = directory_with("parts.yaml", PARTS);
    let refused = ratchet(directory.path(), &["run", "parts.yaml", "--only", "second"]);
    assert!(refused.refused(2).stderr.contains("comes after `first`"), "{refused:?}");
    let until = ["run", "parts.yaml", "--until", "first", "--format", "json"];
    let part = ratchet(directory.path(), &until).done().json();
    assert_eq!(part["tasks"][1]["state"], json!("skipped"));

    let failed = ratchet(directory.path(), &["run", "parts.yaml", "--format", "json"]);
    assert_eq!(failed.status, 1, "{failed:?}");
    let failed = failed.json();
    let id = failed["run"].as_str().unwrap();
    let again = ratchet(directory.path(), &["runs", "retry", id, "--format", "json"]);
    assert_eq!(again.status, 1, "it fails again: {again:?}");
    let attempts: Vec<_> = again.json()["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["attempts"].clone())
        .collect();
    assert_eq!(attempts, [json!(0), json!(1), json!(0)]);

    let marked = ratchet(directory.path(), &["runs", "mark", id, "second", "succeeded"]);
    assert!(
        marked.done().stdout.contains("task second is marked succeeded"),
        "{marked:?}"
    );
    let again = ratchet(directory.path(), &["runs", "retry", id, "--format", "json"])
        .done()
        .json();
    assert_eq!(again["status"], json!("succeeded"));
    let new = again["run"].as_str().unwrap();
    let shown = ratchet(directory.path(), &["runs", "show", new]).done().stdout.clone();
    assert!(shown.contains(id), "what it repeats is shown: {shown}");
    let nothing = ratchet(directory.path(), &["runs", "retry", new]);
    assert!(
        nothing.refused(2).stderr.contains("nothing to run again"),
        "{nothing:?}"
    );

    let waiting = ratchet(directory.path(), &["runs", "clear", new, "third"])
        .done()
        .stdout
        .clone();
    let waiting = waiting.split_whitespace().nth(1).unwrap();
    let resumed = ratchet(directory.path(), &["runs", "resume", waiting, "--format", "json"])
        .done()
        .json();
    assert_eq!(resumed["tasks"][2]["attempts"], json!(1));
    let all = ratchet(directory.path(), &["runs", "resume", "--all"]);
    assert!(all.done().stdout.contains("every run has ended"), "{all:?}");
    let waiting = ratchet(directory.path(), &["runs", "clear", new, "third"])
        .done()
        .stdout
        .clone();
    let all = ratchet(directory.path(), &["runs", "resume", "--all", "--format", "json"])
        .done()
        .json();
    assert_eq!(
        (all.as_array().unwrap().len(), &all[0]["status"]),
        (1, &json!("succeeded"))
    );
    assert!(waiting.contains(all[0]["run"].as_str().unwrap()), "{all}");
}

/// Starts the slow run and gives the process that drives it and the run's id.
fn slow(directory: &std::path::Path) -> (std::process::Child, String) {
    let mut child = command(directory, &["run", "slow.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let (mut line, mut id) = (String::new(), String::new());
    while !line.contains("wait    started") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the task never started");
        if let Some(rest) = line.strip_prefix("run ") {
            id = rest.split(' ').next().unwrap().to_owned();
        }
    }
    // Nobody reads on: the program must not be held up by that.
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(drop));
    (child, id)
}

#[test]
fn a_run_is_cancelled_from_another_process() {
    let directory = directory_with("slow.yaml", SLOW);
    let (mut child, id) = slow(directory.path());
    let cancelled = ratchet(directory.path(), &["runs", "cancel", &id]);
    assert!(cancelled.done().stdout.contains("cancelled"), "{cancelled:?}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let again = ratchet(directory.path(), &["runs", "cancel", &id]);
    assert!(again.refused(2).stderr.contains("has ended (cancelled)"), "{again:?}");
}

#[test]
fn a_run_whose_engine_was_killed_is_cancelled_by_whoever_asks() {
    let directory = directory_with("slow.yaml", SLOW);
    let (mut child, id) = slow(directory.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let cancelled = ratchet(directory.path(), &["runs", "cancel", &id]);
    assert!(cancelled.done().stdout.contains("cancelled"), "{cancelled:?}");
    let shown = ratchet(directory.path(), &["runs", "show", &id, "--format", "json"])
        .done()
        .json();
    assert_eq!(
        shown["tasks"][0]["state"],
        json!("succeeded"),
        "what is finished stays so"
    );
    let resumed = ratchet(directory.path(), &["runs", "resume", &id]);
    assert!(resumed.refused(2).stderr.contains("has ended"), "{resumed:?}");
}

/// A promised deadline: within fifteen seconds of its start the service goes on with what a killed engine left.
#[test]
fn a_service_takes_over_the_run_of_a_killed_engine_by_itself() {
    let directory = directory_with("slow.yaml", SLOW);
    let (mut child, id) = slow(directory.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut service = command(directory.path(), &["serve", "--dags", ".", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let attempts = loop {
        let shown = ratchet(directory.path(), &["runs", "show", &id, "--format", "json"])
            .done()
            .json();
        let attempts = [&shown["tasks"][0]["attempts"], &shown["tasks"][1]["attempts"]].map(serde_json::Value::as_u64);
        if attempts[1] == Some(2) || started.elapsed() > Duration::from_secs(15) {
            break attempts;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let cancelled = ratchet(directory.path(), &["runs", "cancel", &id]);
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(
        attempts,
        [Some(1), Some(2)],
        "within fifteen seconds, and what is finished stays so"
    );
    assert!(
        cancelled.done().stdout.contains("cancelled"),
        "by the service: {cancelled:?}"
    );
}

const CACHED: &str = "
name: cached
tasks:
  a: { uses: core.exec, cache: true, with: { command: [sh, -c, 'echo I >> count; cat script > /dev/null'], files: [script] } }
  b: { uses: core.fail, cache: true, needs: [a], with: { message: no } }
";

#[test]
fn a_cached_task_is_shown_by_a_dry_run_and_by_the_run_and_a_changed_file_runs_it_again() {
    let directory = directory_with("cached.yaml", CACHED);
    let script = directory.path().join("script");
    std::fs::write(&script, "one").unwrap();
    let count = || {
        std::fs::read_to_string(directory.path().join("count"))
            .unwrap()
            .lines()
            .count()
    };
    let run = ["run", "cached.yaml"];
    let dry = [
        "run",
        "cached.yaml",
        "--dry-run",
        "--logical-date",
        "2026-01-01T00:00:00Z",
    ];
    let dated = ["run", "cached.yaml", "--logical-date", "2026-01-01T00:00:00Z"];
    let shown = ratchet(directory.path(), &dry);
    assert!(!shown.done().stdout.contains("cached from run"), "{shown:?}");
    ratchet(directory.path(), &dated);
    let validated = ratchet(directory.path(), &["validate", "cached.yaml"]);
    assert!(
        validated.stderr.contains("R0027") && validated.stderr.contains("`core.fail`"),
        "{validated:?}"
    );
    let shown = ratchet(directory.path(), &dry);
    assert!(shown.done().stdout.contains("not run: cached from run"), "{shown:?}");
    let again = ratchet(directory.path(), &dated);
    assert!(again.stderr.contains("cached from run"), "{again:?}");
    assert_eq!(count(), 1);
    std::fs::write(&script, "two").unwrap();
    ratchet(directory.path(), &dated);
    assert_eq!(count(), 2);
    // The program is told the dates of its run, and may depend on them.
    ratchet(directory.path(), &run);
    assert_eq!(count(), 3);
}
