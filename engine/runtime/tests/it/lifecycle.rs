//! What becomes of tasks: success, failure, skips, retries, cancellation.

use ratchet_core::plugin::Output;
use ratchet_runtime::{AttemptOutcome, EngineError, LogStream, RunEvent, RunStatus, TaskState};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::fixture::Fixture;

/// Y-037
#[tokio::test]
async fn values_pass_along_a_chain() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run(
            "name: chain\n\
             tasks:\n\
             \x20 a:\n    uses: test.echo\n    with: { value: 20 }\n\
             \x20 b:\n    uses: test.echo\n    with: { value: \"${{ tasks.a.value + 1 }}\" }\n\
             \x20 c:\n    uses: test.echo\n    with: { value: { sum: \"${{ tasks.a.value + tasks.b.value }}\", run: \"${{ run.id }}\" } }\n",
        )
        .await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    let Output::Value(value) = &ended.task("c").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(*value, json!({ "sum": 41, "run": ended.run.id }));
    assert!(ended.run.finished_at.unwrap() >= ended.run.created_at);
    assert!(matches!(ended.events.first(), Some(RunEvent::RunStarted { .. })));
    assert_eq!(
        ended.events.last(),
        Some(&RunEvent::RunEnded {
            status: RunStatus::Succeeded
        })
    );
    let progress = ended
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::TaskProgress { fraction: 0.5, .. }));
    assert_eq!(progress.count(), 3);

    let store = fixture.engine.store();
    let kept = store.events(&ended.run.id).await.unwrap();
    assert_eq!(
        kept.iter().map(|event| event.number).collect::<Vec<_>>(),
        (1..=8).collect::<Vec<_>>()
    );
    let attempts = store.attempts(&ended.run.id).await.unwrap();
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.outcome == Some(AttemptOutcome::Succeeded))
    );
    let listed = store.list_runs(Some("chain"), 5).await.unwrap();
    assert_eq!(listed.as_slice(), std::slice::from_ref(&ended.run));
    assert_eq!(
        store.run(&ended.run.id[..23]).await.unwrap(),
        Some(ended.run.clone()),
        "a prefix is enough"
    );
    assert!(store.run("%%%%").await.unwrap().is_none(), "an id is no pattern");
}

#[tokio::test]
async fn the_seed_belongs_to_the_task_and_not_to_the_run() {
    let fixture = Fixture::new().await;
    let text = "name: seeds\ntasks:\n  a:\n    uses: test.echo\n    with: { value: 1 }\n  b:\n    uses: test.echo\n    with: { value: 1 }\n";
    let (one, other) = (fixture.run(text).await, fixture.run(text).await);
    assert_eq!(one.task("a").outputs["seed"], other.task("a").outputs["seed"]);
    assert_ne!(one.task("a").outputs["seed"], one.task("b").outputs["seed"]);
}

/// Y-056
#[tokio::test]
async fn a_failure_skips_what_follows_and_keeps_its_report() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run(
            "name: gate-fails\n\
             defaults:\n  retry: { attempts: 3, initial: 1s }\n\
             tasks:\n\
             \x20 gate:\n    uses: test.fail\n    with: { attempts: 9, retryable: false }\n\
             \x20 train:\n    uses: test.echo\n    needs: [gate]\n    with: { value: 1 }\n\
             \x20 promote:\n    uses: test.echo\n    with: { value: \"${{ tasks.train.value }}\" }\n\
             \x20 cleanup:\n    uses: test.echo\n    needs: [promote]\n    trigger: all_done\n    with: { value: \"${{ tasks.gate.report.summary }}\" }\n",
        )
        .await;
    assert_eq!(ended.run.status, RunStatus::Failed);
    let expected = [
        ("gate", TaskState::Failed),
        ("train", TaskState::Skipped),
        ("promote", TaskState::Skipped),
        ("cleanup", TaskState::Succeeded),
    ];
    assert_eq!(ended.states(), expected);
    assert_eq!(ended.task("promote").reason.as_deref(), Some("task `gate` failed"));
    let gate = ended.task("gate");
    assert_eq!(gate.attempts, 1, "a retry cannot help");
    assert_eq!(
        gate.error.as_ref().unwrap().to_string(),
        "attempt 1 fails\n  help: ask less of it"
    );
    let Output::Value(summary) = &ended.task("cleanup").outputs["value"] else {
        panic!("no value")
    };
    assert_eq!(summary, "a report");

    let bucket = fixture.engine.bucket();
    let path = format!("runs/{}/gate/1/gate.json", ended.run.id);
    assert_eq!(bucket.get(&path).await.unwrap().unwrap(), "report of attempt 1");
    let logs = fixture.engine.logs(&ended.run.id, Some("gate")).await.unwrap();
    let last = logs.last().unwrap();
    assert_eq!((last.stream, last.attempt), (LogStream::Engine, 1));
    assert!(last.message.contains("attempt 1 fails"), "{}", last.message);
}

/// Y-059
#[tokio::test]
async fn a_transient_failure_is_tried_again() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run(
            "name: flaky\ntasks:\n  a:\n    uses: test.fail\n    retry: { attempts: 3, initial: 10ms, jitter: false }\n    with: { attempts: 2, retryable: true }\n",
        )
        .await;
    assert_eq!((ended.run.status, ended.task("a").attempts), (RunStatus::Succeeded, 3));
    assert_eq!(ended.task("a").error, None);
    let outcomes: Vec<_> = fixture
        .engine
        .store()
        .attempts(&ended.run.id)
        .await
        .unwrap()
        .into_iter()
        .map(|attempt| attempt.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            Some(AttemptOutcome::Failed),
            Some(AttemptOutcome::Failed),
            Some(AttemptOutcome::Succeeded)
        ]
    );
    let pauses: Vec<(u32, f64)> = ended
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::TaskRetry { attempt, pause, .. } => Some((*attempt, *pause)),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [(2, 0.01), (3, 0.02)]);
}

/// Y-057, Y-058
#[tokio::test]
async fn a_false_condition_skips_and_none_failed_runs_after_it() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run(
            "name: conditions\n\
             tasks:\n\
             \x20 compare:\n    uses: test.echo\n    with: { value: false }\n\
             \x20 promote:\n    uses: test.echo\n    when: ${{ tasks.compare.value }}\n    with: { value: 1 }\n\
             \x20 announce:\n    uses: test.echo\n    needs: [promote]\n    with: { value: 1 }\n\
             \x20 report:\n    uses: test.echo\n    needs: [compare, promote]\n    trigger: none_failed\n    with: { value: 1 }\n",
        )
        .await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    let expected = [
        ("compare", TaskState::Succeeded),
        ("promote", TaskState::Skipped),
        ("announce", TaskState::Skipped),
        ("report", TaskState::Succeeded),
    ];
    assert_eq!(ended.states(), expected);
    assert_eq!(
        ended.task("promote").reason.as_deref(),
        Some("its condition `tasks.compare.value` is false")
    );
    assert_eq!(
        ended.task("announce").reason.as_deref(),
        Some("task `promote` was skipped")
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_be_rendered_fails_its_task() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run(
            "name: broken\n\
             defaults:\n  retry: { attempts: 3, initial: 1s }\n\
             tasks:\n\
             \x20 a:\n    uses: test.echo\n    with: { value: { b: 1 } }\n\
             \x20 c:\n    uses: test.echo\n    with: { value: \"${{ tasks.a.value.missing }}\" }\n",
        )
        .await;
    assert_eq!(ended.run.status, RunStatus::Failed);
    let task = ended.task("c");
    assert_eq!((task.state, task.attempts), (TaskState::Failed, 0));
    let message = &task.error.as_ref().unwrap().message;
    assert!(
        message.contains("`with` of task `c`") && message.contains("tasks.a.value.missing"),
        "{message}"
    );
    assert_eq!(task.reason.as_ref(), Some(message));
}

#[tokio::test]
async fn a_panic_is_a_failure_and_not_the_end_of_the_engine() {
    let fixture = Fixture::new().await;
    for isolation in ["inline", "process"] {
        let text =
            format!("name: panics\ntasks:\n  a:\n    uses: test.panic\n    isolation: {isolation}\n    with: {{}}\n");
        let ended = fixture.run(&text).await;
        assert_eq!(ended.run.status, RunStatus::Failed);
        assert_eq!(
            ended.task("a").error.as_ref().unwrap().message,
            "the task panicked: a number was 7",
            "{isolation}"
        );
    }
}

#[tokio::test]
async fn cancelling_ends_running_tasks_and_starts_no_other() {
    for isolation in ["inline", "process"] {
        for polite in [true, false] {
            let fixture = Fixture::new().await;
            let pids = fixture.path("pids");
            let text = format!(
                "name: cancelled\n\
                 tasks:\n\
                 \x20 a:\n    uses: test.sleep\n    isolation: {isolation}\n    with: {{ seconds: 1000, polite: {polite}, pids: {pids} }}\n\
                 \x20 b:\n    uses: test.echo\n    needs: [a]\n    with: {{ value: 1 }}\n",
                pids = pids.display(),
            );
            let (cancel, cancelled) = watch::channel(false);
            let run = fixture.run_until(&text, cancelled);
            let (ended, started) = tokio::join!(run, async {
                let text = crate::fixture::wait_for_file(&pids).await;
                cancel.send(true).unwrap();
                crate::fixture::pids(&text)
            });
            assert_eq!(ended.run.status, RunStatus::Cancelled);
            assert_eq!(
                ended.states(),
                [("a", TaskState::Cancelled), ("b", TaskState::Cancelled)]
            );
            if isolation == "process" {
                crate::fixture::assert_gone(&started).await;
                let logs = fixture.engine.logs(&ended.run.id, Some("a")).await.unwrap();
                assert_eq!(logs.iter().any(|line| line.message == "ending politely"), polite);
            } else {
                // The test process is not the engine's to end, but what the task started would be orphaned.
                for pid in &started[1..] {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL);
                }
            }
        }
    }
}

#[tokio::test]
async fn asking_for_what_is_not_there_is_answered_with_a_remedy() {
    let fixture = Fixture::new().await;
    let ended = fixture
        .run("name: one\ntasks:\n  a:\n    uses: test.echo\n    with: { value: 1 }\n")
        .await;
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let error = fixture
        .engine
        .execute(&ended.run.id, observer.clone(), cancel.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            EngineError::Ended {
                status: RunStatus::Succeeded,
                ..
            }
        ),
        "{error}"
    );
    let error = fixture.engine.execute("01890000", observer, cancel).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no run `01890000`; `ratchet runs list` shows them"
    );
    let error = fixture.engine.logs(&ended.run.id, Some("b")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("run {} has no task `b`; it has `a`", ended.run.id)
    );
}
