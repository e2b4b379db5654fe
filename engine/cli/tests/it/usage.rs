//! Help, wrong usage, pipes that close early.

use std::io::Read;
use std::process::Stdio;

use crate::program::{command, ratchet};

#[test]
fn help_names_every_command_but_the_workers_own() {
    let directory = tempfile::tempdir().unwrap();
    let help = ratchet(directory.path(), &["--help"]);
    help.done();
    for name in [
        "demo",
        "validate",
        "run",
        "serve",
        "dags",
        "runs",
        "datasets",
        "models",
        "collections",
        "tasks",
        "users",
        "keys",
        "audit",
        "login",
        "schema",
        "report",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {name} ")),
            "{name} is missing: {}",
            help.stdout
        );
    }
    assert!(!help.stdout.contains("task-worker"), "{}", help.stdout);
    assert!(
        help.stdout.contains("Exit status: 0 done, 1 the run failed"),
        "{}",
        help.stdout
    );
}

#[test]
fn an_unknown_command_or_flag_is_wrong_input() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["launch"][..],
        &["run"],
        &["run", "x.yaml", "-p", "novalue"],
        &["models", "show", "a@b"],
    ] {
        let called = ratchet(directory.path(), arguments);
        assert_eq!(called.status, 2, "{arguments:?}: {called:?}");
        assert!(called.stderr.starts_with("error: "), "{arguments:?}: {called:?}");
        assert_eq!(called.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = command(directory.path(), &["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The read end closes before the program has written anything worth reading.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn completions_know_the_subcommands() {
    let directory = tempfile::tempdir().unwrap();
    let script = ratchet(directory.path(), &["completions", "bash"]);
    assert!(script.done().stdout.contains("rollback"));
}

#[test]
fn the_schema_is_installed_where_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    ratchet(directory.path(), &["schema", "--install", "dags/schema"]).done();
    let text = std::fs::read_to_string(directory.path().join("dags/schema/dag.schema.json")).unwrap();
    let installed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(installed, ratchet(directory.path(), &["schema"]).json());
    assert!(
        text.contains("core.noop") && text.contains("transform.sql"),
        "plugins are missing"
    );
}
