//! An engine that is gone.

use std::process::Stdio;
use std::time::Duration;

use ratchet_artifacts::{PromotionLog, models};
use ratchet_runtime::{AttemptOutcome, EngineError, RunStatus, StoreError};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Fixture, assert_gone, pids, wait_for_file, worker};

async fn database(fixture: &Fixture) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
    SqlitePool::connect_with(options).await.unwrap()
}

/// The engine is killed after the bucket has all and before the database knows it.
#[tokio::test]
async fn an_attempt_that_is_completed_again_promotes_once() {
    let fixture = Fixture::new().await;
    let text = "\
name: twice
tasks:
  raw:
    uses: test.table
    with: { content: rows }
  train:
    uses: test.model
    with: { content: bundle, table: \"${{ tasks.raw.table }}\" }
  promote:
    uses: test.promote
    with: { model: \"${{ tasks.train.model }}\" }
";
    let first = fixture.run(text).await;
    assert_eq!(first.run.status, RunStatus::Succeeded);
    let pool = database(&fixture).await;
    for statement in [
        "UPDATE runs SET status = 'running', finished_at = NULL",
        "UPDATE tasks SET state = 'running', outputs = '{}', promotions = '[]' WHERE id = 'train'",
        "UPDATE tasks SET state = 'pending', attempts = 0, promotions = '[]' WHERE id = 'promote'",
        "UPDATE attempts SET outcome = NULL WHERE position = 1",
        "DELETE FROM attempts WHERE position = 2",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let (_stay, cancel) = watch::channel(false);
    let second = fixture.execute(&first.run.id, cancel).await;
    assert_eq!(second.run.status, RunStatus::Succeeded);
    assert_eq!(second.task("raw").attempts, 1, "what is finished is not run again");
    assert_eq!(second.task("train").attempts, 2);
    assert_eq!(second.task("train").outputs, first.task("train").outputs);
    assert_eq!(second.task("promote").promotions, first.task("promote").promotions);
    let bucket = fixture.engine.bucket();
    assert_eq!(models::versions(bucket, "test-model").await.unwrap(), [1]);
    assert_eq!(PromotionLog::new(bucket.clone()).entries().await.unwrap().len(), 1);
    let attempts = fixture.engine.store().attempts(&first.run.id).await.unwrap();
    let outcomes: Vec<_> = attempts
        .iter()
        .filter(|one| one.task == "train")
        .map(|one| one.outcome)
        .collect();
    assert_eq!(outcomes, [Some(AttemptOutcome::Lost), Some(AttemptOutcome::Succeeded)]);
}

#[tokio::test]
async fn a_killed_engine_leaves_no_worker_and_its_run_goes_on_when_the_lease_ended() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let file = fixture.path("killed.yaml");
    let text = format!(
        "name: killed\n\
         tasks:\n\
         \x20 before:\n    uses: test.echo\n    with: {{ value: 1 }}\n\
         \x20 a:\n    uses: test.sleep\n    needs: [before]\n    with: {{ seconds: 3, pids: {} }}\n",
        path.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut engine = tokio::process::Command::new(worker())
        .args(["drive".as_ref(), fixture.directory.path().as_os_str(), file.as_os_str()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let started = pids(&wait_for_file(&path).await);
    engine.start_kill().unwrap();
    engine.wait().await.unwrap();
    // The worker's supervisor ends its group. Who left the group is ended by whoever takes the run over.
    assert_gone(&started[..2]).await;

    let [run] = fixture
        .engine
        .store()
        .list_runs(None, 9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(run.status, RunStatus::Running);
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let refused = fixture
        .engine
        .execute(&run.id, observer, cancel.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EngineError::Store(StoreError::Leased { .. })),
        "{refused}"
    );

    sqlx::query("UPDATE runs SET lease_until = 1")
        .execute(&database(&fixture).await)
        .await
        .unwrap();
    let ended = fixture.execute(&run.id, cancel).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_eq!((ended.task("before").attempts, ended.task("a").attempts), (1, 2));
    assert_gone(&started).await;
    assert_eq!(
        std::fs::read_dir(fixture.path("tmp")).unwrap().count(),
        0,
        "temporary directories are removed"
    );
}

#[tokio::test]
async fn an_engine_that_lost_its_lease_stops_and_writes_nothing() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let run = fixture
        .create(&format!(
            "name: lost\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 2, pids: {} }}\n",
            path.display()
        ))
        .await;
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let (executed, started) = tokio::join!(fixture.engine.execute(&run, observer, cancel), async {
        let started = pids(&wait_for_file(&path).await);
        let taken = "UPDATE runs SET owner = 'another', lease_until = lease_until + 100000";
        sqlx::query(taken).execute(&database(&fixture).await).await.unwrap();
        started
    });
    let error = executed.unwrap_err();
    assert!(
        matches!(error, EngineError::Store(StoreError::Leased { .. })),
        "{error}"
    );
    let tasks = fixture.engine.store().tasks(&run).await.unwrap();
    assert_eq!(tasks[0].state, ratchet_runtime::TaskState::Running);
    assert_gone(&started[..2]).await;
    let owner: String = sqlx::query_scalar("SELECT owner FROM runs")
        .fetch_one(&database(&fixture).await)
        .await
        .unwrap();
    assert_eq!(owner, "another", "what is not ours is not given back");
}

#[tokio::test]
async fn dropping_the_execution_ends_its_workers() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let run = fixture
        .create(&format!(
            "name: dropped\ntasks:\n  a:\n    uses: test.sleep\n    with: {{ seconds: 1000, pids: {} }}\n",
            path.display()
        ))
        .await;
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    let started = tokio::select! {
        ended = fixture.engine.execute(&run, observer, cancel) => panic!("it ended: {ended:?}"),
        text = wait_for_file(&path) => pids(&text),
    };
    assert_gone(&started[..2]).await;
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(started[2]),
        nix::sys::signal::Signal::SIGKILL,
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Y-089
#[tokio::test]
async fn a_tick_has_one_run() {
    let fixture = Fixture::new().await;
    let dag = crate::fixture::dag("name: ticks\ntasks:\n  a:\n    uses: test.echo\n    with: { value: 1 }\n");
    let tick: jiff::Timestamp = "2024-05-15T01:00:00Z".parse().unwrap();
    let new = ratchet_runtime::NewRun {
        dag,
        params: Default::default(),
        logical_date: tick,
        interval_start: tick,
        trigger: ratchet_runtime::RunTrigger::Schedule,
        actor: "schedule".to_owned(),
    };
    let manual = ratchet_runtime::NewRun {
        trigger: ratchet_runtime::RunTrigger::Manual,
        ..new.clone()
    };
    let (one, other) = tokio::join!(fixture.engine.create_run(new.clone()), fixture.engine.create_run(new));
    assert_eq!(one.unwrap(), other.unwrap());
    fixture.engine.create_run(manual.clone()).await.unwrap();
    fixture.engine.create_run(manual).await.unwrap();
    assert_eq!(
        fixture.engine.store().list_runs(Some("ticks"), 9).await.unwrap().len(),
        3
    );
}
