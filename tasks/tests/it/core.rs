//! `core.*`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ratchet_core::plugin::Output;
use serde_json::{Value, json};

use crate::support::Stage;

fn shell(script: &str) -> Value {
    json!({ "command": ["sh", "-c", script] })
}

fn value(outputs: &ratchet_core::plugin::Outputs) -> Value {
    match outputs.ports.get("value") {
        Some(Output::Value(value)) => value.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn noop_hands_its_value_on_and_fail_fails_as_told() {
    let stage = Stage::new();
    assert_eq!(
        value(&stage.run("core.noop", json!({ "value": [1, 2] })).await.unwrap()),
        json!([1, 2])
    );
    let error = stage
        .run("core.fail", json!({ "message": "no", "retryable": true }))
        .await
        .unwrap_err();
    assert_eq!((error.message.as_str(), error.retryable), ("no", true));
}

#[tokio::test]
async fn sleep_ends_early_when_the_run_is_cancelled() {
    let stage = Stage::new();
    stage.run("core.sleep", json!({ "seconds": 0.01 })).await.unwrap();
    let error = stage.run("core.sleep", json!({ "seconds": -1 })).await.unwrap_err();
    assert!(error.message.contains("with/seconds"), "{error}");
    stage.context.cancelled.store(true, Ordering::Relaxed);
    let slept = tokio::time::timeout(
        Duration::from_secs(60),
        stage.run("core.sleep", json!({ "seconds": 600 })),
    );
    assert!(slept.await.unwrap().unwrap_err().message.contains("cancelled"));
}

#[tokio::test]
async fn a_program_reads_the_request_and_answers_on_its_last_line() {
    let stage = Stage::new();
    stage.file("answer.py", "import json,sys\nr=json.load(sys.stdin)\nprint('working')\nprint(json.dumps({'outputs': {'double': r['input']['n'] * 2, 'task': r['task'], 'seed': r['seed']}}))\n");
    let with = json!({ "command": ["python3", "answer.py"], "input": { "n": 21 }, "outputs": ["double"] });
    let outputs = stage.run("core.exec", with).await.unwrap();
    assert_eq!(value(&outputs), json!({ "double": 42, "task": "task", "seed": 7 }));
    assert_eq!(stage.log(), "working");
}

#[tokio::test]
async fn a_program_may_answer_by_file_and_print_what_it_likes() {
    let stage = Stage::new();
    let mut with = shell("echo '{\"outputs\": {\"x\": '$X'}}' > \"$RATCHET_OUTPUT\"; echo done");
    with["environment"] = json!({ "X": "5" });
    assert_eq!(value(&stage.run("core.exec", with).await.unwrap()), json!({ "x": 5 }));
    assert_eq!(stage.log(), "done");
    let outputs = Stage::new().run("core.exec", shell("echo plain text")).await.unwrap();
    assert_eq!(value(&outputs), json!({}));
}

#[tokio::test]
async fn a_failing_program_shows_its_last_words() {
    let stage = Stage::new();
    let error = stage
        .run("core.exec", shell("echo first >&2; echo 'no such model' >&2; exit 3"))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("exit status 3") && error.message.contains("\n  no such model"),
        "{error}"
    );
    assert!(error.retryable);
    let error = stage.run("core.exec", shell("exit 65")).await.unwrap_err();
    assert!(
        !error.retryable && error.message.contains("nothing to standard error"),
        "{error}"
    );
    let error = stage.run("core.exec", shell("kill -9 $$")).await.unwrap_err();
    assert!(error.message.contains("signal"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_or_answers_too_little_is_named() {
    let stage = Stage::new();
    let error = stage
        .run("core.exec", json!({ "command": ["no-such-program-here"] }))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("`no-such-program-here`") && !error.retryable,
        "{error}"
    );
    let error = stage.run("core.exec", json!({ "command": [] })).await.unwrap_err();
    assert!(error.message.contains("names no program"), "{error}");
    let mut with = shell("echo '{\"outputs\": {}}'");
    with["outputs"] = json!(["rows"]);
    assert!(
        stage
            .run("core.exec", with)
            .await
            .unwrap_err()
            .message
            .contains("did not answer the outputs rows")
    );
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_the_task() {
    let stage = Stage::new();
    let run = stage.run("core.exec", shell("sleep 30 & echo '{\"outputs\": {\"a\": 1}}'"));
    let outputs = tokio::time::timeout(Duration::from_secs(20), run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(value(&outputs), json!({ "a": 1 }));
}

#[tokio::test]
async fn a_large_request_to_a_program_that_does_not_read_is_no_fault() {
    let stage = Stage::new();
    let mut with = shell("exit 0");
    with["input"] = json!("x".repeat(1 << 20));
    stage.run("core.exec", with).await.unwrap();
}
