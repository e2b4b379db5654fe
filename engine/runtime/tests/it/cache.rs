//! What a task came to once is taken again, and only while nothing has changed that decides it.

use jiff::Timestamp;
use ratchet_core::plugin::{Output, RunContext};
use ratchet_runtime::TaskState;
use serde_json::json;

use crate::fixture::{Ended, Fixture, dag};
use crate::secrets::drive;

const TEXT: &str = "name: cached
tasks:
  a: { uses: test.counted, cache: true, with: { value: 1, count: a.count, reads: input } }
  b: { uses: test.counted, cache: true, with: { value: '${{ tasks.a.value }}', count: b.count, reads: input } }
  c: { uses: test.echo, with: { value: '${{ tasks.b.value }}' } }
";

fn counted(fixture: &Fixture, name: &str) -> usize {
    std::fs::read_to_string(fixture.path(name)).unwrap_or_default().len()
}

fn input(fixture: &Fixture, text: &str) {
    std::fs::write(fixture.path("input"), text).unwrap();
}

fn value(ended: &Ended, task: &str) -> serde_json::Value {
    match &ended.task(task).outputs["value"] {
        Output::Value(value) => value.clone(),
        other => panic!("{other:?}"),
    }
}

/// Y-210
#[tokio::test]
async fn what_was_done_once_is_taken_again_and_the_reason_is_shown() {
    let fixture = Fixture::new().await;
    input(&fixture, "one");
    let first = fixture.run(TEXT).await;
    let again = fixture.run(TEXT).await;
    assert_eq!((counted(&fixture, "a.count"), counted(&fixture, "b.count")), (1, 1));
    for task in ["a", "b"] {
        let record = again.task(task);
        assert_eq!((record.state, record.attempts), (TaskState::Succeeded, 0));
        let reason = format!("cached from run {}", first.run.id);
        assert_eq!(record.reason.as_deref(), Some(reason.as_str()));
    }
    assert_eq!(value(&again, "c"), json!(1), "what follows sees the outputs");
    assert_eq!(again.task("c").attempts, 1, "nobody asked for it");
    // A third run takes it from the first one, which made it.
    let third = fixture.run(TEXT).await;
    assert_eq!(third.task("a").reason, again.task("a").reason);
}

/// Y-210
#[tokio::test]
async fn a_change_of_anything_that_decides_runs_it_again() {
    let fixture = Fixture::new().await;
    input(&fixture, "one");
    fixture.run(TEXT).await;
    input(&fixture, "two");
    fixture.run(TEXT).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (2, 2),
        "the world outside"
    );
    fixture.run(&TEXT.replace("value: 1", "value: 2")).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (3, 3),
        "what comes in"
    );
    let other = TEXT.replacen("cache: true,", "cache: true, environment: { LEVEL: high },", 1);
    fixture.run(&other).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (4, 3),
        "the environment"
    );
    fixture.run(&TEXT.replace("name: cached", "name: another")).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (5, 4),
        "the seed"
    );
    input(&fixture, "one");
    fixture.run(TEXT).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (5, 4),
        "as it was at first"
    );
    fixture.run(&TEXT.replace("cache: true, ", "")).await;
    assert_eq!(
        (counted(&fixture, "a.count"), counted(&fixture, "b.count")),
        (6, 5),
        "off unless asked for"
    );
}

/// Y-211
#[tokio::test]
async fn a_failure_is_not_taken_and_what_cannot_be_told_is_run() {
    let fixture = Fixture::new().await;
    input(&fixture, "one");
    let fails = "name: fails\ntasks:\n  a: { uses: test.counted, cache: true, with: { value: 1, count: a.count, reads: input, fails: true } }\n";
    fixture.run(fails).await;
    fixture.run(fails).await;
    assert_eq!(counted(&fixture, "a.count"), 2);
    std::fs::remove_file(fixture.path("input")).unwrap();
    fixture.run(TEXT).await;
    let ended = fixture.run(TEXT).await;
    assert_eq!(
        ended.task("a").state,
        TaskState::Succeeded,
        "without a fingerprint it is run"
    );
    assert_eq!(counted(&fixture, "a.count"), 4);
}

#[tokio::test]
async fn a_dry_look_finds_what_a_run_would_take() {
    let fixture = Fixture::new().await;
    input(&fixture, "one");
    let first = fixture.run(TEXT).await.run;
    let now = Timestamp::now();
    let run = RunContext {
        id: String::new(),
        dag: "cached".to_owned(),
        logical_date: now,
        interval_start: now,
        interval_end: now,
    };
    let found = fixture
        .engine
        .cached_tasks(&dag(TEXT), &Default::default(), &run)
        .await
        .unwrap();
    let expected = [("a".to_owned(), first.id.clone()), ("b".to_owned(), first.id)];
    assert_eq!(found, expected.into());
    input(&fixture, "two");
    let found = fixture
        .engine
        .cached_tasks(&dag(TEXT), &Default::default(), &run)
        .await
        .unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn a_renewed_secret_changes_nothing_and_is_in_no_key() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("input"), "one").unwrap();
    let text = "name: secretive\ntasks:\n  a: { uses: test.counted, cache: true, with: { value: '${{ secrets.KEY }}', count: HOME/count, reads: HOME/input } }\n";
    let text = &text.replace("HOME", &home.path().display().to_string());
    for (secret, cached) in [("first-value", false), ("second-value", true)] {
        let (_, _, tasks) = drive(home.path(), text, &[("RATCHET_SECRET_KEY", secret)]).await;
        assert_eq!(tasks[0].attempts == 0, cached, "{secret}");
    }
}
