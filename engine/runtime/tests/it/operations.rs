//! What people do with runs: cancel from elsewhere, retry, mark, run a part; and the limits of an attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ratchet_core::plugin::Output;
use ratchet_runtime::{AttemptOutcome, EngineError, Repeat, RunStatus, TaskState};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Ended, Fixture, assert_gone, dag, pids, wait_for_file};

async fn database(fixture: &Fixture) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
    SqlitePool::connect_with(options).await.unwrap()
}

async fn drive(fixture: &Fixture, run: &str) -> Ended {
    let (_stay, cancel) = watch::channel(false);
    fixture.execute(run, cancel).await
}

fn sleeping(name: &str, pids: &std::path::Path) -> String {
    format!(
        "name: {name}\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 1000, pids: {} }}\n  b:\n    uses: test.echo\n    needs: [a]\n    with: {{ value: 1 }}\n",
        pids.display()
    )
}

#[tokio::test]
async fn a_run_is_cancelled_from_another_process() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let run = fixture.create(&sleeping("away", &path)).await;
    // Another engine on the same home stands for another process: they share the database alone.
    let other = Fixture::open(fixture.directory.path()).await;
    let (ended, (started, asked)) = tokio::join!(drive(&fixture, &run), async {
        let started = pids(&wait_for_file(&path).await);
        other.ask_to_cancel(&run, "ada").await.unwrap();
        (started, Instant::now())
    });
    // Seen within a second, and a second of grace for the task.
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    assert_eq!(
        ended.states(),
        [("a", TaskState::Cancelled), ("b", TaskState::Cancelled)]
    );
    assert_gone(&started).await;
    let error = other.ask_to_cancel(&run, "ada").await.unwrap_err();
    assert!(matches!(error, EngineError::Ended { .. }), "{error}");
}

#[tokio::test]
async fn a_wish_to_cancel_survives_the_engine_that_was_asked() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let text = format!(
        "name: last\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 1000, pids: {} }}\n",
        path.display()
    );
    let run = fixture.create(&text).await;
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    // The one task is under way: nothing in the task rows could tell that the run was cancelled.
    tokio::select! {
        ended = fixture.engine.execute(&run, observer, cancel) => panic!("it ended: {ended:?}"),
        _ = wait_for_file(&path) => {}
    }
    fixture.engine.store().ask_to_cancel(&run, "ada").await.unwrap();
    sqlx::query("UPDATE runs SET lease_until = 1")
        .execute(&database(&fixture).await)
        .await
        .unwrap();
    assert_eq!(
        fixture.engine.store().unattended_runs().await.unwrap(),
        std::slice::from_ref(&run)
    );
    let ended = drive(&fixture, &run).await;
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    assert_eq!(ended.task("a").attempts, 1, "it was not begun again");
    assert_gone(&pids(&wait_for_file(&path).await)).await;
}

#[tokio::test]
async fn a_task_that_ends_its_engine_every_time_is_given_up() {
    let fixture = Fixture::new().await;
    let run = fixture
        .create("name: deadly\ntasks:\n  a:\n    uses: test.echo\n    with: { value: 1 }\n")
        .await;
    let pool = database(&fixture).await;
    for statement in [
        "UPDATE tasks SET state = 'running', attempts = 10, losses = 9",
        "INSERT INTO attempts (run_id, position, attempt, started_at) SELECT id, 0, 10, created_at FROM runs",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let ended = drive(&fixture, &run).await;
    assert_eq!(ended.run.status, RunStatus::Failed);
    let error = ended.task("a").error.as_ref().unwrap();
    assert_eq!(
        error.message,
        "the engine that ran it ended during 10 attempts in a row"
    );
    let attempts = fixture.engine.store().attempts(&run).await.unwrap();
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Lost));
}

#[tokio::test]
async fn what_an_attempt_says_can_be_read_while_it_runs_and_after_its_engine_is_gone() {
    let fixture = Fixture::new().await;
    let run = fixture
        .create("name: talks\ntasks:\n  a:\n    uses: test.talk\n    with: { seconds: 1000 }\n")
        .await;
    let other = Fixture::open(fixture.directory.path()).await;
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let heard = async {
        loop {
            let lines = other.logs(&run, None).await.unwrap();
            let progress = other.store().progress(&run).await.unwrap();
            if let ([line], [progress]) = (lines.as_slice(), progress.as_slice()) {
                return (line.message.clone(), progress.fraction, progress.message.clone());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = tokio::select! {
        ended = fixture.engine.execute(&run, observer, cancel) => panic!("it ended: {ended:?}"),
        heard = heard => heard,
    };
    assert_eq!(heard, ("first words".to_owned(), 0.25, "a quarter".to_owned()));
    // The engine that comes next moves them to the bucket, where every attempt's log stands.
    fixture.engine.store().ask_to_cancel(&run, "ada").await.unwrap();
    sqlx::query("UPDATE runs SET lease_until = 1")
        .execute(&database(&fixture).await)
        .await
        .unwrap();
    drive(&fixture, &run).await;
    let bucket = fixture.engine.bucket();
    let log = bucket
        .get(&format!("runs/{run}/a/1/log.ndjson"))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&log).contains("first words"));
    let points = bucket
        .get(&format!("runs/{run}/a/1/metrics.ndjson"))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&points).contains("\"name\":\"loss\""));
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM said")
        .fetch_one(&database(&fixture).await)
        .await
        .unwrap();
    assert_eq!(kept, 0, "what stands in the bucket is not kept twice");
    assert_eq!(
        fixture.engine.logs(&run, Some("a")).await.unwrap()[0].message,
        "first words"
    );
}

const PARTS: &str = "\
name: parts
params:
  times: { type: integer, default: 2 }
tasks:
  raw:
    uses: test.echo
    with: { value: 5 }
  middle:
    uses: test.echo
    with: { value: \"${{ tasks.raw.value * params.times }}\" }
  last:
    uses: test.fail
    needs: [middle]
    with: { attempts: 1, retryable: false }
  beside:
    uses: test.echo
    needs: [raw]
    with: { value: 7 }
";

fn attempts(ended: &Ended) -> Vec<(&str, u32)> {
    ended
        .tasks
        .iter()
        .map(|task| (task.id.as_str(), task.attempts))
        .collect()
}

#[tokio::test]
async fn a_retry_keeps_what_succeeded_and_runs_what_follows_from_a_change() {
    let fixture = Fixture::new().await;
    let first = fixture.run(PARTS).await;
    assert_eq!(first.run.status, RunStatus::Failed);
    let retry = async |repeat: Repeat, params: &[(&str, &str)]| {
        let params: BTreeMap<String, String> = params
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let run = fixture.engine.retry(&first.run.id, &repeat, &params, "ada").await?;
        Ok::<_, EngineError>(drive(&fixture, &run).await)
    };
    let failed_only = retry(Repeat::default(), &[]).await.unwrap();
    assert_eq!(failed_only.run.retry_of.as_deref(), Some(first.run.id.as_str()));
    assert_eq!(
        attempts(&failed_only),
        [("raw", 0), ("middle", 0), ("last", 1), ("beside", 0)]
    );
    assert_eq!(failed_only.task("middle").outputs, first.task("middle").outputs);

    let edited = retry(Repeat::default(), &[("times", "3")]).await.unwrap();
    assert_eq!(
        attempts(&edited),
        [("raw", 0), ("middle", 1), ("last", 1), ("beside", 0)],
        "what reads the parameter and what follows it"
    );
    assert_eq!(edited.task("middle").outputs["value"], Output::Value(json!(15)));

    let from = |only| Repeat {
        from: vec!["raw".to_owned()],
        only,
        reserved: false,
    };
    let all = retry(from(false), &[]).await.unwrap();
    assert_eq!(attempts(&all), [("raw", 1), ("middle", 1), ("last", 1), ("beside", 1)]);
    let one = retry(from(true), &[]).await.unwrap();
    assert_eq!(attempts(&one), [("raw", 1), ("middle", 0), ("last", 0), ("beside", 0)]);
    assert_eq!(one.run.status, RunStatus::Succeeded);
    assert_eq!(one.task("last").state, TaskState::Skipped);

    let error = retry(Repeat::default(), &[("times", "many")]).await.err().unwrap();
    assert!(error.to_string().contains("takes"), "{error}");
    let error = fixture
        .engine
        .retry(&one.run.id, &from(false), &BTreeMap::new(), "ada")
        .await;
    assert!(error.is_ok(), "a retry can be repeated: {error:?}");
}

#[tokio::test]
async fn a_mark_corrects_the_run_and_the_next_retry_keeps_it() {
    let fixture = Fixture::new().await;
    let text = PARTS.replace("needs: [raw]", "needs: [last]");
    let first = fixture.run(&text).await;
    assert_eq!(first.task("beside").state, TaskState::Skipped);
    let status = fixture
        .engine
        .mark(&first.run.id, "last", TaskState::Succeeded, "ada")
        .await
        .unwrap();
    assert_eq!(status, RunStatus::Succeeded);
    let run = fixture
        .engine
        .retry(&first.run.id, &Repeat::default(), &BTreeMap::new(), "ada")
        .await
        .unwrap();
    let ended = drive(&fixture, &run).await;
    assert_eq!(
        attempts(&ended),
        [("raw", 0), ("middle", 0), ("last", 0), ("beside", 1)]
    );
    let events = fixture.engine.store().events(&first.run.id).await.unwrap();
    assert!(format!("{events:?}").contains("marked succeeded by ada"));
    let unknown = fixture
        .engine
        .mark(&first.run.id, "lost", TaskState::Failed, "ada")
        .await;
    assert!(matches!(unknown, Err(EngineError::UnknownTask { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_part_of_a_dag_takes_the_rest_from_the_newest_run_that_has_it() {
    let fixture = Fixture::new().await;
    let dag = dag(PARTS);
    let middle = BTreeSet::from(["middle".to_owned()]);
    let error = fixture.engine.only(&dag, &middle).await.unwrap_err();
    assert!(
        error.to_string().contains("comes after `raw`, which is left out"),
        "{error}"
    );
    let chosen = ratchet_runtime::until(&dag, &["middle".to_owned()]).unwrap();
    assert_eq!(chosen, BTreeSet::from(["raw".to_owned(), "middle".to_owned()]));
    let begin = async |tasks: &BTreeSet<String>| {
        let beginning = fixture.engine.only(&dag, tasks).await.unwrap();
        let now = jiff::Timestamp::now();
        let new = ratchet_runtime::NewRun {
            dag: dag.clone(),
            params: dag.bind(&BTreeMap::new()).unwrap(),
            logical_date: now,
            interval_start: now,
            trigger: ratchet_runtime::RunTrigger::Manual,
            actor: "ada".to_owned(),
        };
        let run = fixture.engine.create_run_from(new, &beginning).await.unwrap();
        drive(&fixture, &run).await
    };
    let until = begin(&chosen).await;
    assert_eq!(until.run.status, RunStatus::Succeeded);
    assert_eq!(
        attempts(&until),
        [("raw", 1), ("middle", 1), ("last", 0), ("beside", 0)]
    );
    let only = begin(&middle).await;
    assert_eq!(attempts(&only), [("raw", 0), ("middle", 1), ("last", 0), ("beside", 0)]);
    assert_eq!(only.task("middle").outputs["value"], Output::Value(json!(10)));
}

/// Y-064
#[tokio::test]
async fn an_attempt_over_its_memory_limit_is_ended_and_one_below_is_not() {
    let fixture = Fixture::new().await;
    let text = |limit| {
        format!(
            "name: hog\ntasks:\n  a:\n    uses: test.hog\n    retry: {{ attempts: 3, initial: 10ms }}\n    resources: {{ memory: {limit} }}\n    with: {{ mebibytes: 160 }}\n"
        )
    };
    let ended = fixture.run(&text("96MiB")).await;
    let task = ended.task("a");
    assert_eq!((task.state, task.attempts), (TaskState::Failed, 1), "{:?}", task.error);
    let message = &task.error.as_ref().unwrap().message;
    assert!(message.starts_with("attempt 1 was ended because it used "), "{message}");
    assert!(message.ends_with("MiB of memory; its limit is 96.0 MiB"), "{message}");
    let ended = fixture.run(&text("1GiB")).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.task("a").error);
}
