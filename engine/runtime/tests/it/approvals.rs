//! Tasks that ask a person.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ratchet_core::plugin::Output;
use ratchet_runtime::{EngineError, Repeat, RunEvent, RunStatus, TaskState};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Ended, Fixture};

fn asking(lines: &str) -> String {
    format!(
        "name: asks\nparams:\n  what: {{ type: string, default: the model }}\ntasks:\n  consent:\n    approval:\n      \
         message: Promote ${{{{ params.what }}}}?\n      fields:\n        ticket: {{ type: integer, minimum: 1 }}\n        \
         share: {{ type: number, default: 0.5 }}\n{lines}  after:\n    uses: test.echo\n    with: {{ value: \"${{{{ \
         [tasks.consent.approved, tasks.consent.by, tasks.consent.ticket, tasks.consent.share] }}}}\" }}\n  \
         instead:\n    uses: test.echo\n    needs: [consent]\n    trigger: one_failed\n    with: {{ value: 1 }}\n"
    )
}

fn form(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

async fn until_asked(fixture: &Fixture, run: &str) {
    let start = Instant::now();
    while fixture.engine.store().approvals(run).await.unwrap().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody was asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn drive(fixture: &Fixture, run: &str) -> Ended {
    let (_stay, cancel) = watch::channel(false);
    fixture.execute(run, cancel).await
}

fn value<'a>(ended: &'a Ended, task: &str, port: &str) -> &'a Value {
    match &ended.task(task).outputs[port] {
        Output::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

/// Y-131
#[tokio::test]
async fn a_yes_fills_the_form_that_later_tasks_read_and_is_given_once() {
    let fixture = Fixture::new().await;
    let run = fixture.create(&asking("")).await;
    let early = fixture
        .engine
        .approve(&run, "consent", true, &form(&[("ticket", "7")]), None, "ada")
        .await;
    let message = early.unwrap_err().to_string();
    assert!(message.contains("it is pending and has not asked yet"), "{message}");
    let (ended, ()) = tokio::join!(drive(&fixture, &run), async {
        until_asked(&fixture, &run).await;
        let tasks = fixture.engine.store().tasks(&run).await.unwrap();
        assert_eq!(
            (tasks[0].state, tasks[0].reason.as_deref()),
            (TaskState::Awaiting, Some("Promote the model?"))
        );
        let answer = async |task: &str, given: &[(&str, &str)]| {
            fixture
                .engine
                .approve(&run, task, true, &form(given), Some("looks good"), "ada")
                .await
        };
        let wrong = answer("consent", &[("ticket", "0"), ("note", "x")]).await.unwrap_err();
        let EngineError::Form { problems, .. } = wrong else {
            panic!("{wrong}")
        };
        assert_eq!(
            problems.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
            ["note", "ticket"]
        );
        let nobody = answer("after", &[]).await.unwrap_err().to_string();
        assert!(nobody.contains("it asks nobody"), "{nobody}");
        assert!(matches!(
            answer("lost", &[]).await,
            Err(EngineError::UnknownTask { .. })
        ));
        let given = answer("consent", &[("ticket", "7")]).await.unwrap();
        assert_eq!(given.told(), "approved by ada: looks good");
        let again = answer("consent", &[("ticket", "8")]).await.unwrap_err().to_string();
        assert!(again.contains("it was approved by ada: looks good"), "{again}");
    });
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(value(&ended, "after", "value"), &json!([true, "ada", 7, 0.5]));
    let consent = ended.task("consent");
    assert_eq!(
        (consent.attempts, consent.reason.as_deref()),
        (0, Some("approved by ada: looks good"))
    );
    assert_eq!(ended.task("instead").state, TaskState::Skipped);
    assert!(
        ended
            .events
            .iter()
            .any(|event| matches!(event, RunEvent::TaskAwaited { task, .. } if task == "consent"))
    );
    let attempts = fixture.engine.store().attempts(&run).await.unwrap();
    assert_eq!(attempts.len(), 1, "a question is no attempt");
}

/// Y-132
#[tokio::test]
async fn a_no_fails_the_task_or_skips_it_and_a_retry_asks_again() {
    let fixture = Fixture::new().await;
    let reject = async |run: &str| {
        until_asked(&fixture, run).await;
        fixture
            .engine
            .approve(run, "consent", false, &form(&[]), Some("not before Monday"), "ada")
            .await
            .unwrap();
    };
    let run = fixture.create(&asking("")).await;
    let (ended, ()) = tokio::join!(drive(&fixture, &run), reject(&run));
    assert_eq!(ended.run.status, RunStatus::Failed);
    let consent = ended.task("consent");
    assert_eq!(
        consent.error.as_ref().unwrap().message,
        "rejected by ada: not before Monday"
    );
    assert_eq!(value(&ended, "consent", "approved"), &json!(false));
    assert_eq!(
        (ended.task("after").state, ended.task("instead").state),
        (TaskState::Skipped, TaskState::Succeeded)
    );
    let again = fixture
        .engine
        .retry(&run, &Repeat::default(), &BTreeMap::new(), "ada")
        .await
        .unwrap();
    let (ended, ()) = tokio::join!(drive(&fixture, &again), async {
        until_asked(&fixture, &again).await;
        let answered = fixture
            .engine
            .approve(&again, "consent", true, &form(&[("ticket", "1")]), None, "bob")
            .await;
        answered.unwrap();
    });
    assert_eq!(ended.run.status, RunStatus::Succeeded);

    let run = fixture.create(&asking("      on_reject: skip\n")).await;
    let (ended, ()) = tokio::join!(drive(&fixture, &run), reject(&run));
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_eq!(
        (ended.task("consent").state, ended.task("after").state),
        (TaskState::Skipped, TaskState::Skipped)
    );
}

/// Y-132
#[tokio::test]
async fn the_deadline_answers_when_nobody_did_and_refuses_who_comes_later() {
    let fixture = Fixture::new().await;
    let ended = fixture.run(&asking("      deadline: 300ms\n")).await;
    assert_eq!(
        ended.task("consent").reason.as_deref(),
        Some("rejected because nobody answered before the deadline")
    );
    let late = fixture
        .engine
        .approve(&ended.run.id, "consent", true, &form(&[("ticket", "1")]), None, "ada")
        .await;
    assert!(matches!(late, Err(EngineError::NotAwaited { .. })), "{late:?}");
    let text = asking("      deadline: 300ms\n      on_deadline: approve\n").replace("minimum: 1", "default: 3");
    let ended = fixture.run(&text).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_eq!(value(&ended, "after", "value"), &json!([true, null, 3, 0.5]));
}

/// Y-130
#[tokio::test]
async fn a_question_takes_no_slot_and_outlives_its_engine() {
    let fixture = Fixture::new().await;
    // More questions than the engine has slots.
    let mut text = "name: many\ntasks:\n".to_owned();
    for number in 0..6 {
        text.push_str(&format!("  ask{number}:\n    approval: {{ message: \"{number}?\" }}\n"));
    }
    text.push_str("  beside:\n    uses: test.sleep\n    isolation: inline\n    with: { seconds: 0.1 }\n");
    let run = fixture.create(&text).await;
    let (observer, mut heard) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let beside = async {
        while let Some(event) = heard.recv().await {
            if matches!(event, RunEvent::TaskEnded { task, .. } if task == "beside") {
                return;
            }
        }
    };
    tokio::select! {
        ended = fixture.engine.execute(&run, observer, cancel) => panic!("it ended: {ended:?}"),
        () = beside => {}
    }
    // The engine is gone. Somebody answers all the same, and the next engine finds it.
    let approve = async |number: usize| {
        let task = format!("ask{number}");
        fixture
            .engine
            .approve(&run, &task, true, &form(&[]), None, "ada")
            .await
            .unwrap();
    };
    for number in 0..3 {
        approve(number).await;
    }
    let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE runs SET lease_until = 1")
        .execute(&pool)
        .await
        .unwrap();
    let (ended, ()) = tokio::join!(drive(&fixture, &run), async {
        for number in 3..6 {
            approve(number).await;
        }
    });
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(ended.task("beside").attempts, 1);
}

#[tokio::test]
async fn a_cancelled_run_asks_nobody_any_more() {
    let fixture = Fixture::new().await;
    let run = fixture.create(&asking("")).await;
    let (stop, cancel) = watch::channel(false);
    let (ended, ()) = tokio::join!(fixture.execute(&run, cancel), async {
        until_asked(&fixture, &run).await;
        stop.send_replace(true);
    });
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    assert_eq!(ended.task("consent").state, TaskState::Cancelled);
    let late = fixture
        .engine
        .approve(&run, "consent", true, &form(&[("ticket", "1")]), None, "ada")
        .await;
    let message = late.unwrap_err().to_string();
    assert!(message.contains("it is cancelled"), "{message}");
}
