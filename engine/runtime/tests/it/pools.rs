//! Pools that several engines share.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use ratchet_runtime::{AttemptRecord, Engine, NewRun, RunStatus, RunTrigger, TaskState};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Fixture, assert_gone, dag, pids, wait_for_file, worker};

/// The registry of these tests declares `gpu` with two slots.
fn sleepers(name: &str, count: usize, lines: &str) -> String {
    let items: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    format!(
        "name: {name}\ntasks:\n  each:\n    uses: test.sleep\n    isolation: inline\n    foreach: {{ items: [{}] }}\n    \
         pool: gpu\n    with: {{ seconds: 0.1 }}\n{lines}",
        items.join(", ")
    )
}

async fn begin(engine: &Engine, text: &str) -> String {
    let now = Timestamp::now();
    let dag = dag(text);
    let new = NewRun {
        params: dag.bind(&Default::default()).unwrap(),
        dag,
        logical_date: now,
        interval_start: now,
        trigger: RunTrigger::Manual,
        actor: "test".to_owned(),
    };
    engine.create_run(new).await.unwrap()
}

async fn drive(engine: &Engine, run: &str) -> RunStatus {
    let (observer, _) = mpsc::unbounded_channel();
    let (_stay, cancel) = watch::channel(false);
    engine.execute(run, observer, cancel).await.unwrap().status
}

/// The most slots that were taken at one time; `slots` says how many an attempt takes.
fn most_at_once(attempts: &[AttemptRecord], slots: impl Fn(&AttemptRecord) -> usize) -> usize {
    let at = |one: &AttemptRecord| {
        let others = attempts
            .iter()
            .filter(|other| other.started_at <= one.started_at && other.finished_at > Some(one.started_at));
        others.map(&slots).sum()
    };
    attempts.iter().map(at).max().unwrap_or(0)
}

/// Y-120
#[tokio::test(flavor = "multi_thread")]
async fn two_engines_on_one_store_never_take_more_slots_than_the_pool_has() {
    let fixture = Fixture::new().await;
    let other = Fixture::open(fixture.directory.path()).await;
    let wide = "  wide:\n    uses: test.sleep\n    isolation: inline\n    pool: gpu\n    slots: 2\n    with: { seconds: 0.1 }\n";
    let one = begin(&fixture.engine, &sleepers("one", 6, wide)).await;
    let two = begin(&other, &sleepers("two", 6, "")).await;
    let ended = tokio::join!(drive(&fixture.engine, &one), drive(&other, &two));
    assert_eq!(ended, (RunStatus::Succeeded, RunStatus::Succeeded));
    let store = fixture.engine.store();
    let mut attempts = store.attempts(&one).await.unwrap();
    attempts.extend(store.attempts(&two).await.unwrap());
    assert_eq!(attempts.len(), 13);
    let slots = |attempt: &AttemptRecord| if attempt.task == "wide" { 2 } else { 1 };
    assert_eq!(most_at_once(&attempts, slots), 2, "both slots were used, and no third");
    let pools = fixture.engine.pools().await.unwrap();
    let pool = pools.iter().find(|pool| pool.name == "gpu").unwrap();
    assert_eq!(pool.slots, Some(2));
    assert!(pool.holders.is_empty() && pool.waiting.is_empty(), "{pool:?}");
}

/// Y-122
#[tokio::test]
async fn a_higher_priority_comes_first_within_a_run_and_among_runs() {
    let fixture = Fixture::new().await;
    // Both slots at once, so that only one of them runs.
    let task = |id: &str, priority: i32| {
        format!(
            "  {id}:\n    uses: test.sleep\n    isolation: inline\n    pool: gpu\n    slots: 2\n    priority: {priority}\n    with: {{ seconds: 0.7 }}\n"
        )
    };
    let first = begin(
        &fixture.engine,
        &format!("name: first\ntasks:\n{}{}", task("a", 0), task("b", -1)),
    )
    .await;
    let second = begin(&fixture.engine, &format!("name: second\ntasks:\n{}", task("c", 5))).await;
    let late = async {
        // Its wish comes when `a` holds the slots and `b` waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        drive(&fixture.engine, &second).await
    };
    let ended = tokio::join!(drive(&fixture.engine, &first), late);
    assert_eq!(ended, (RunStatus::Succeeded, RunStatus::Succeeded));
    let store = fixture.engine.store();
    let mut attempts = store.attempts(&first).await.unwrap();
    attempts.extend(store.attempts(&second).await.unwrap());
    attempts.sort_by_key(|attempt| attempt.started_at);
    let order: Vec<&str> = attempts.iter().map(|attempt| attempt.task.as_str()).collect();
    assert_eq!(order, ["a", "c", "b"]);
    assert_eq!(most_at_once(&attempts, |_| 2), 2);
}

async fn held(engine: &Engine) -> Vec<String> {
    let holders = engine.store().slot_holders().await.unwrap();
    holders.into_iter().map(|holder| holder.task).collect()
}

async fn let_leases_end(home: &Path) {
    let options = SqliteConnectOptions::new().filename(home.join("engine.sqlite"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE runs SET lease_until = 1")
        .execute(&pool)
        .await
        .unwrap();
}

/// Y-120
#[tokio::test]
async fn all_slots_come_free_after_an_engine_was_killed() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let file = fixture.path("killed.yaml");
    let text = format!(
        "name: killed\ntasks:\n  a:\n    uses: test.sleep\n    pool: gpu\n    slots: 2\n    with: {{ seconds: 3, pids: {} }}\n",
        path.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut engine = tokio::process::Command::new(worker())
        .args(["drive".as_ref(), fixture.directory.path().as_os_str(), file.as_os_str()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let started = pids(&wait_for_file(&path).await);
    assert_eq!(held(&fixture.engine).await, ["a", "a"]);
    engine.start_kill().unwrap();
    engine.wait().await.unwrap();
    let_leases_end(fixture.directory.path()).await;
    assert!(held(&fixture.engine).await.is_empty(), "nobody holds them any more");
    // Another run takes them before the killed one is taken over, and both come to their end.
    let beside = begin(&fixture.engine, &sleepers("beside", 2, "")).await;
    assert_eq!(drive(&fixture.engine, &beside).await, RunStatus::Succeeded);
    let [killed] = fixture
        .engine
        .store()
        .unattended_runs()
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(drive(&fixture.engine, &killed).await, RunStatus::Succeeded);
    let tasks = fixture.engine.store().tasks(&killed).await.unwrap();
    assert_eq!((tasks[0].state, tasks[0].attempts), (TaskState::Succeeded, 2));
    assert!(held(&fixture.engine).await.is_empty());
    assert_gone(&started).await;
}

/// Y-120
#[tokio::test]
async fn a_cancelled_run_gives_its_slots_back_and_an_unknown_pool_fails_its_task() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let text = format!(
        "name: stopped\ntasks:\n  a:\n    uses: test.sleep\n    pool: gpu\n    slots: 2\n    with: {{ seconds: 1000, pids: {} }}\n  \
         b:\n    uses: test.echo\n    pool: gpu\n    with: {{ value: 1 }}\n",
        path.display()
    );
    let (stop, cancel) = watch::channel(false);
    let (ended, ()) = tokio::join!(fixture.run_until(&text, cancel), async {
        wait_for_file(&path).await;
        stop.send_replace(true);
    });
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    assert!(held(&fixture.engine).await.is_empty());

    // The registry that reads the file knows no pools, the engine does.
    let text = "name: unknown\ntasks:\n  a:\n    uses: test.echo\n    pool: tpu\n    with: { value: 1 }\n";
    let problem = ratchet_core::load("f.yaml", text, &crate::plugins::registry()).unwrap_err();
    assert!(problem.to_string().contains("unknown pool `tpu`"), "{problem}");
    let mut elsewhere = crate::plugins::registry();
    elsewhere.declare_pools([("tpu".to_owned(), 1)].into());
    let now = Timestamp::now();
    let new = NewRun {
        dag: ratchet_core::load("f.yaml", text, &elsewhere).unwrap(),
        params: Default::default(),
        logical_date: now,
        interval_start: now,
        trigger: RunTrigger::Manual,
        actor: "test".to_owned(),
    };
    let run = fixture.engine.create_run(new).await.unwrap();
    let (_stay, cancel) = watch::channel(false);
    let ended = fixture.execute(&run, cancel).await;
    let error = ended.task("a").error.as_ref().unwrap();
    assert_eq!(error.message, "the pool `tpu` is not declared where the engine runs");
    assert!(error.help.as_ref().unwrap().contains("`tpu = 1` under `[pools]`"));
}
