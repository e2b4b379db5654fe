//! Runs that are leased, moved on and corrected, and what their attempts say.

use std::sync::Arc;

use jiff::Timestamp;
use ratchet_core::plugin::{LogLevel, Output, TaskMessage};
use ratchet_core::state::{RunStatus, SkipCause, TaskState};
use ratchet_database::{Address, Kind};
use serde_json::json;

use super::{change, create, event, in_seconds, is_lost, new_run, open, plugins, started, succeeded};
use crate::error::{EngineError, StoreError};
use crate::logs::{LogLine, LogStream};
use crate::record::{AttemptOutcome, Failure, RunTrigger};
use crate::store::{AttemptEnd, AttemptName, Saying, SayingKind, TaskResult, Transition};
use crate::{Engine, EngineOptions};

pub(super) async fn one_of_many_engines_gets_the_lease(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let run = create(&one, "raced").await;
    let until = in_seconds(60);
    let owners: Vec<String> = (0..12).map(|number| format!("engine {number}")).collect();
    let taken = owners.iter().enumerate().map(|(number, owner)| {
        let store = if number % 2 == 0 { &one } else { &other };
        store.lease(&run, owner, until)
    });
    let taken = futures::future::try_join_all(taken).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "{taken:?}");
}

pub(super) async fn a_lease_is_renewed_released_and_taken_over(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "leased").await;
    assert!(store.lease(&run, "one", in_seconds(60)).await.unwrap());
    assert!(store.lease(&run, "one", in_seconds(60)).await.unwrap(), "its own");
    assert!(!store.lease(&run, "other", in_seconds(60)).await.unwrap());
    store.renew(&run, "one", in_seconds(-1)).await.unwrap();
    assert_eq!(store.unattended_runs().await.unwrap(), std::slice::from_ref(&run));
    // The lease is over, and nobody else has come: the owner may go on.
    store.transition(&run, "one", &started(0, 1)).await.unwrap();
    assert!(store.lease(&run, "other", in_seconds(60)).await.unwrap());
    assert!(is_lost(store.renew(&run, "one", in_seconds(60)).await));
    assert!(is_lost(store.transition(&run, "one", &succeeded(0, 1, None)).await));
    assert_eq!(store.attempts(&run).await.unwrap()[0].outcome, None);
    store.release(&run, "one").await.unwrap();
    assert!(
        !store.lease(&run, "third", in_seconds(60)).await.unwrap(),
        "not one's to give"
    );
    store.release(&run, "other").await.unwrap();
    assert!(store.lease(&run, "third", in_seconds(60)).await.unwrap());
}

pub(super) async fn a_step_is_written_as_a_whole_or_not_at_all(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "steps").await;
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    store.transition(&run, "me", &started(0, 1)).await.unwrap();
    // The second change is of an attempt that the row has gone past.
    let mut late = started(1, 1);
    late.tasks.push(change(0, TaskState::Pending, 0));
    assert!(is_lost(store.transition(&run, "me", &late).await));
    let tasks = store.stored_tasks(&run).await.unwrap();
    assert_eq!(tasks[1].snapshot.state, TaskState::Pending);
    assert_eq!(store.attempts(&run).await.unwrap().len(), 1);
    // A retry with all that it leaves, and then an end.
    let failure = Failure {
        message: "no".to_owned(),
        help: Some("yes".to_owned()),
    };
    let retry_at: Timestamp = "2026-03-01T10:00:00.123456789Z".parse().unwrap();
    let mut retried = succeeded(0, 1, None);
    retried.tasks[0].snapshot.state = TaskState::WaitingRetry;
    retried.tasks[0].snapshot.failures = 1;
    retried.tasks[0].snapshot.losses = 2;
    retried.tasks[0].retry_at = Some(retry_at);
    retried.tasks[0].result = Some(TaskResult {
        error: Some(failure.clone()),
        ..TaskResult::default()
    });
    retried.ended_attempts = vec![AttemptEnd {
        position: 0,
        attempt: 1,
        outcome: AttemptOutcome::Failed,
        error: Some(failure.clone()),
    }];
    store.transition(&run, "me", &retried).await.unwrap();
    let first = store.stored_tasks(&run).await.unwrap().remove(0);
    assert_eq!(first.snapshot, retried.tasks[0].snapshot);
    assert_eq!(
        (first.retry_at, first.record.error, first.record.seconds),
        (Some(retry_at), Some(failure), None)
    );
    store.transition(&run, "me", &started(0, 2)).await.unwrap();
    // No seconds, then some, then none: the same statement each time.
    store
        .transition(&run, "me", &succeeded(0, 2, Some(1.25)))
        .await
        .unwrap();
    store.transition(&run, "me", &started(1, 1)).await.unwrap();
    let mut last = succeeded(1, 1, None);
    last.ended = Some(RunStatus::Succeeded);
    store.transition(&run, "me", &last).await.unwrap();
    let tasks = store.tasks(&run).await.unwrap();
    assert_eq!((tasks[0].seconds, tasks[1].seconds), (Some(1.25), None));
    assert_eq!(
        tasks[0].outputs["value"],
        Output::Value(json!({ "n": [1.5, null, "é"] }))
    );
    let record = store.run(&run).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.finished_at),
        (RunStatus::Succeeded, Some(last.at))
    );
    let attempts = store.attempts(&run).await.unwrap();
    let outcomes: Vec<_> = attempts
        .iter()
        .map(|one| (one.task.as_str(), one.attempt, one.outcome))
        .collect();
    let (failed, done) = (Some(AttemptOutcome::Failed), Some(AttemptOutcome::Succeeded));
    assert_eq!(
        outcomes,
        [("first", 1, failed), ("first", 2, done), ("second", 1, done)]
    );
    assert!(!store.lease(&run, "me", in_seconds(60)).await.unwrap(), "it has ended");
}

pub(super) async fn an_attempt_is_completed_once(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let run = create(&one, "completed").await;
    assert!(one.lease(&run, "me", in_seconds(60)).await.unwrap());
    one.transition(&run, "me", &started(0, 1)).await.unwrap();
    let step = succeeded(0, 1, Some(0.5));
    let (first, second) = tokio::join!(one.transition(&run, "me", &step), other.transition(&run, "me", &step));
    assert_eq!(
        [is_lost(first), is_lost(second)].iter().filter(|lost| **lost).count(),
        1
    );
    assert_eq!(one.events(&run).await.unwrap().len(), 2);
}

pub(super) async fn events_of_concurrent_steps_have_no_gap(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let run = create(&one, "events").await;
    assert!(one.lease(&run, "me", in_seconds(60)).await.unwrap());
    let steps: Vec<Transition> = (0..20)
        .map(|number| Transition {
            events: vec![event(number), event(number)],
            at: Timestamp::now(),
            ..Transition::default()
        })
        .collect();
    let written = steps.iter().enumerate().map(|(number, step)| {
        let store = if number % 2 == 0 { &one } else { &other };
        store.transition(&run, "me", step)
    });
    futures::future::try_join_all(written).await.unwrap();
    let events = one.events(&run).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.number).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    assert!(
        events.chunks(2).all(|pair| pair[0].event == pair[1].event),
        "a step's events stand together"
    );
}

pub(super) async fn the_end_of_a_run_is_asked_for_once(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "asked").await;
    assert_eq!(store.cancel_asked_by(&run).await.unwrap(), None);
    assert!(store.ask_to_cancel(&run, "ada").await.unwrap());
    assert!(store.ask_to_cancel(&run, "olga").await.unwrap());
    assert_eq!(store.cancel_asked_by(&run).await.unwrap().as_deref(), Some("ada"));
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    let end = Transition {
        ended: Some(RunStatus::Cancelled),
        at: Timestamp::now(),
        ..Transition::default()
    };
    store.transition(&run, "me", &end).await.unwrap();
    assert!(!store.ask_to_cancel(&run, "ada").await.unwrap(), "it has ended");
    assert_eq!(store.cancel_asked_by("nothing").await.unwrap(), None);
}

pub(super) async fn a_task_of_an_ended_run_is_marked(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "marked").await;
    let mark = |task: &'static str, state| store.mark_task(&run, task, state, "ada says so");
    assert_eq!(
        mark("first", TaskState::Failed).await.unwrap(),
        None,
        "it has not ended"
    );
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    let mut end = succeeded(0, 1, Some(1.0));
    end.ended_attempts.clear();
    end.ended = Some(RunStatus::Succeeded);
    store.transition(&run, "me", &end).await.unwrap();
    assert_eq!(
        mark("second", TaskState::Failed).await.unwrap(),
        Some(RunStatus::Failed)
    );
    let second = store.tasks(&run).await.unwrap().remove(1);
    assert_eq!(second.error.map(|error| error.message).as_deref(), Some("ada says so"));
    assert_eq!(
        mark("second", TaskState::Skipped).await.unwrap(),
        Some(RunStatus::Succeeded)
    );
    let second = store.stored_tasks(&run).await.unwrap().remove(1);
    assert_eq!(second.snapshot.skip_cause, Some(SkipCause::Condition));
    assert_eq!(second.record.error, None);
    assert_eq!(store.run(&run).await.unwrap().unwrap().status, RunStatus::Succeeded);
    assert_eq!(store.events(&run).await.unwrap().len(), 5);
}

pub(super) async fn the_newest_success_is_found(address: Address) {
    let store = open(&address).await;
    for _ in 0..2 {
        let run = create(&store, "newest").await;
        assert_ne!(
            store
                .newest_success("newest", "first")
                .await
                .unwrap()
                .map(|found| found.0),
            Some(run.clone())
        );
        assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
        store.transition(&run, "me", &started(0, 1)).await.unwrap();
        store.transition(&run, "me", &succeeded(0, 1, Some(2.0))).await.unwrap();
        let (found, task) = store.newest_success("newest", "first").await.unwrap().unwrap();
        assert_eq!((found, task.id.as_str(), task.seconds), (run, "first", Some(2.0)));
    }
    assert!(store.newest_success("newest", "second").await.unwrap().is_none());
}

pub(super) async fn what_attempts_say_is_kept_and_moved(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "said").await;
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    store.transition(&run, "me", &started(0, 1)).await.unwrap();
    let line = |message: &str| LogLine {
        time: Timestamp::now(),
        task: "first".to_owned(),
        attempt: 1,
        level: LogLevel::Info,
        stream: LogStream::Output,
        message: message.to_owned(),
    };
    // A null character, which a column of text cannot hold, and more than a page.
    let lines = [line("one \u{0} \u{1F692}"), line(&"long ".repeat(5_000))];
    let saying = |kind, number, body: String| Saying {
        run: run.clone(),
        task: "first".to_owned(),
        attempt: 1,
        number,
        kind,
        body,
    };
    let progress = |fraction| {
        let message = TaskMessage::Progress {
            fraction,
            message: "half".to_owned(),
        };
        saying(SayingKind::Progress, 0, serde_json::to_string(&message).unwrap())
    };
    let mut sayings: Vec<Saying> = (1..)
        .zip(&lines)
        .map(|(number, line)| Saying::line(&run, number, line).unwrap())
        .collect();
    sayings.extend([
        progress(0.25),
        saying(SayingKind::Metric, 3, "{}".to_owned()),
        progress(0.5),
    ]);
    store.keep_said(&sayings, &[]).await.unwrap();
    // A journal that is not sure whether it was heard says it again.
    store.keep_said(&sayings, &[]).await.unwrap();
    let name = AttemptName {
        run: run.clone(),
        task: "first".to_owned(),
        attempt: 1,
    };
    let said = store.said(&name, SayingKind::Log).await.unwrap();
    let said: Vec<LogLine> = crate::logs::from_ndjson(&said, "first", 1);
    assert_eq!(
        said.iter().map(|line| &line.message).collect::<Vec<_>>(),
        lines.iter().map(|line| &line.message).collect::<Vec<_>>()
    );
    assert_eq!(store.said(&name, SayingKind::Metric).await.unwrap(), b"{}\n");
    let under_way = store.progress(&run).await.unwrap();
    assert_eq!(
        (under_way.len(), under_way[0].fraction, under_way[0].task.as_str()),
        (1, 0.5, "first")
    );
    assert_eq!(store.said_attempts(&run).await.unwrap(), std::slice::from_ref(&name));
    store.keep_said(&[], std::slice::from_ref(&name)).await.unwrap();
    assert!(store.said_attempts(&run).await.unwrap().is_empty());
}

/// Two homes stand for two machines: the database and the bucket are all that they share.
pub(super) async fn two_engines_drive_a_run_once(address: Address) {
    let directory = tempfile::tempdir().unwrap();
    let url = match address.kind() {
        Kind::Sqlite => format!("sqlite://{address}"),
        Kind::Postgres => address.url().to_owned(),
    };
    let mut engines = Vec::new();
    for home in ["one", "other"] {
        let options = EngineOptions {
            home: directory.path().join(home),
            database_url: Some(url.clone()),
            bucket_url: directory.path().join("bucket").display().to_string(),
            signing_key: None,
            replay: None,
            working_directory: directory.path().to_owned(),
            worker: "/nonexistent".into(),
            slots: 2,
            registry: Arc::new(plugins::registry()),
        };
        engines.push(Engine::open(options).await.unwrap());
    }
    let new = new_run("driven", RunTrigger::Schedule);
    let run = engines[0].create_run(new.clone()).await.unwrap();
    assert_eq!(engines[1].create_run(new).await.unwrap(), run);
    let (_stay, cancel) = tokio::sync::watch::channel(false);
    let driven = engines.iter().map(|engine| {
        let (observer, _) = tokio::sync::mpsc::unbounded_channel();
        engine.execute(&run, observer, cancel.clone())
    });
    let driven = futures::future::join_all(driven).await;
    let done: Vec<_> = driven.iter().flatten().collect();
    assert_eq!(done.len(), 1, "{driven:?}");
    assert_eq!(done[0].status, RunStatus::Succeeded);
    for result in &driven {
        if let Err(error) = result {
            let refused = matches!(
                error,
                EngineError::Store(StoreError::Leased { .. }) | EngineError::Ended { .. }
            );
            assert!(refused, "{error}");
        }
    }
    for engine in &engines {
        let attempts = engine.store().attempts(&run).await.unwrap();
        assert_eq!(attempts.len(), 2, "each task ran once: {attempts:?}");
        let logs = engine.logs(&run, None).await.unwrap();
        assert_eq!(logs.len(), 2, "{logs:?}");
        assert!(!directory.path().join("one/engine.sqlite").exists());
    }
}
