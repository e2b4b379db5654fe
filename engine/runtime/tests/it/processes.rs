//! Tasks in processes of their own.

use ratchet_core::plugin::Output;
use ratchet_runtime::{AttemptOutcome, LogStream, RunStatus, TaskState};
use serde_json::json;

use crate::fixture::{Fixture, assert_gone, pids, wait_for_file};

#[tokio::test]
async fn stray_prints_go_to_the_log_and_not_into_the_protocol() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run("name: prints\ntasks:\n  a:\n    uses: test.print\n    resources: { threads: 3 }\n    with: {}\n")
        .await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.task("a").error);
    let Output::Value(value) = &ended.task("a").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(value["threads"], json!(3));
    assert_eq!(value["variable"], json!("3"));
    let logs = fixture.engine.logs(&ended.run.id, None).await.unwrap();
    let printed: Vec<&str> = logs
        .iter()
        .filter(|line| line.stream == LogStream::Output)
        .map(|line| line.message.as_str())
        .collect();
    assert_eq!(
        printed,
        [
            "{\"type\":\"succeeded\",\"value\":{\"ports\":{}}}",
            "no end of line",
            "child read []"
        ],
        "children read nothing of what the engine says"
    );
}

#[tokio::test]
async fn a_killed_worker_is_tried_again() {
    let fixture = Fixture::new().await;
    let text = |attempts| {
        format!(
            "name: dies\ntasks:\n  a:\n    uses: test.die\n    retry: {{ attempts: 2, initial: 10ms }}\n    with: {{ attempts: {attempts} }}\n"
        )
    };
    let ended = fixture.run(&text(1)).await;
    assert_eq!((ended.run.status, ended.task("a").attempts), (RunStatus::Succeeded, 2));
    assert_eq!(ended.task("a").outputs["value"], Output::Value(json!(2)));
    let attempts = fixture.engine.store().attempts(&ended.run.id).await.unwrap();
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Crashed));

    let ended = fixture.run(&text(2)).await;
    assert_eq!((ended.run.status, ended.task("a").attempts), (RunStatus::Failed, 2));
    let message = &ended.task("a").error.as_ref().unwrap().message;
    assert_eq!(
        message,
        "the worker process ended without an answer; it was ended by SIGKILL"
    );
}

/// Y-061
#[tokio::test]
async fn a_timeout_ends_the_worker_and_all_that_it_started() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let ended = fixture
        .run(&format!(
            "name: late\ntasks:\n  a:\n    uses: test.sleep\n    timeout: 6s\n    with: {{ seconds: 1000, pids: {} }}\n",
            path.display()
        ))
        .await;
    let task = ended.task("a");
    assert_eq!(task.state, TaskState::Failed);
    assert_eq!(
        task.error.as_ref().unwrap().message,
        "attempt 1 took longer than its timeout of 6s"
    );
    let started = pids(&wait_for_file(&path).await);
    assert_eq!(started.len(), 3);
    assert_gone(&started).await;
    let attempts = fixture.engine.store().attempts(&ended.run.id).await.unwrap();
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::TimedOut));
}

#[tokio::test]
async fn what_a_finished_task_left_running_is_ended() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let ended = fixture
        .run(&format!(
            "name: leaves\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 0, pids: {} }}\n",
            path.display()
        ))
        .await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_gone(&pids(&wait_for_file(&path).await)).await;
    let left = std::fs::read_dir(fixture.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "temporary directories are removed");
}

#[tokio::test]
async fn a_worker_program_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let options = ratchet_runtime::EngineOptions {
        home: directory.path().to_owned(),
        database_url: None,
        bucket_url: directory.path().join("bucket").display().to_string(),
        signing_key: None,
        replay: None,
        working_directory: directory.path().to_owned(),
        worker: "/nonexistent/ratchet".into(),
        slots: 1,
        registry: std::sync::Arc::new(crate::plugins::registry()),
    };
    let engine = ratchet_runtime::Engine::open(options).await.unwrap();
    let fixture = Fixture { directory, engine };
    let text =
        "name: none\ntasks:\n  a:\n    uses: test.print\n    retry: { attempts: 3, initial: 100s }\n    with: {}\n";
    let ended = fixture.run(text).await;
    assert_eq!(ended.task("a").attempts, 1);
    let message = &ended.task("a").error.as_ref().unwrap().message;
    assert!(
        message.starts_with("the worker program /nonexistent/ratchet cannot be started"),
        "{message}"
    );
}

#[tokio::test]
async fn a_worker_called_by_hand_says_what_it_is() {
    let output = tokio::process::Command::new(crate::fixture::worker())
        .arg(ratchet_runtime::WORKER_SUBCOMMAND)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("to run a DAG use `ratchet run`"), "{said}");
}
