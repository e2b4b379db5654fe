//! Runs within runs.

use std::time::{Duration, Instant};

use ratchet_core::plugin::Output;
use ratchet_runtime::{RunRecord, RunStatus, RunTrigger, TaskState};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fixture::{Ended, Fixture, dag};

const INNER: &str = "name: inner
params: { rows: { type: integer, default: 1 }, note: { type: string, default: none } }
tasks:
  table: { uses: test.table, with: { content: abc } }
  value: { uses: test.echo, with: { value: '${{ params.rows }} ${{ params.note }}' } }
";

const OUTER: &str = "name: outer
params: { rows: { type: integer, default: 3 } }
tasks:
  sub: { uses: core.dag, with: { dag: inner, params: { rows: '${{ params.rows }}' } } }
  model: { uses: test.model, with: { content: one, table: '${{ tasks.sub.outputs.table.table }}' } }
  value: { uses: test.echo, with: { value: '${{ tasks.sub.outputs.value.value }}' } }
";

/// The directory of the files is that of the fixture: runs of it are called `test.yaml` there.
async fn fixture(files: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::new().await;
    for (name, text) in files {
        std::fs::write(fixture.path(name), text).unwrap();
    }
    fixture
}

fn value(ended: &Ended, task: &str, port: &str) -> Value {
    match &ended.task(task).outputs[port] {
        Output::Value(value) => value.clone(),
        other => panic!("{other:?}"),
    }
}

async fn inner_runs(fixture: &Fixture, name: &str) -> Vec<RunRecord> {
    fixture.engine.store().list_runs(Some(name), 100).await.unwrap()
}

/// Y-200
#[tokio::test]
async fn a_dag_within_a_dag_gets_parameters_and_gives_what_its_tasks_made() {
    let fixture = fixture(&[("inner.yaml", INNER), ("notes.yaml", "name: notes\ntasks: {}\n")]).await;
    let ended = fixture.run(OUTER).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(value(&ended, "value", "value"), json!("3 none"));
    let runs = inner_runs(&fixture, "inner").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(value(&ended, "sub", "run"), json!(runs[0].id));
    assert_eq!(runs[0].trigger, RunTrigger::Dag);
    assert_eq!(runs[0].parent_run.as_deref(), Some(ended.run.id.as_str()));
    assert_eq!(runs[0].logical_date, ended.run.logical_date);
    let model = ratchet_artifacts::models::get(fixture.engine.bucket(), "test-model", 1).await;
    let inputs = model.unwrap().unwrap().lineage.inputs;
    assert_eq!(inputs, ["inner-table@1"], "lineage goes through the inner run");
}

/// Y-201
#[tokio::test]
async fn a_failure_within_is_told_with_its_task() {
    let fails = "name: inner\ntasks:\n  broken: { uses: test.fail, with: { attempts: 1, retryable: false } }\n";
    let fixture = fixture(&[("inner.yaml", fails)]).await;
    let outer =
        "name: outer\ntasks:\n  sub: { uses: core.dag, retry: { attempts: 3, initial: 1ms }, with: { dag: inner } }\n";
    let ended = fixture.run(outer).await;
    assert_eq!(ended.run.status, RunStatus::Failed);
    let error = ended.task("sub").error.clone().unwrap().to_string();
    let run = inner_runs(&fixture, "inner").await.remove(0);
    let expected = format!("run {} of DAG `inner` failed: task `broken`: attempt 1 fails", run.id);
    assert!(error.contains(&expected), "{error}");
    assert_eq!(ended.task("sub").attempts, 1, "its tasks have retries of their own");
}

/// Y-202
#[tokio::test]
async fn what_cannot_be_run_within_is_refused_with_the_reason() {
    let circle = "name: inner\ntasks:\n  back: { uses: core.dag, with: { dag: outer } }\n";
    let outer = "name: outer\ntasks:\n  sub: { uses: core.dag, with: { dag: inner } }\n";
    let fixture = fixture(&[
        ("inner.yaml", circle),
        ("outer.yaml", outer),
        ("broken.yaml", "name: ["),
    ])
    .await;
    for (text, expected) in [
        (outer, "DAG `outer` would run within itself: outer -> inner -> outer"),
        (
            "name: a\ntasks:\n  sub: { uses: core.dag, with: { dag: nowhere } }\n",
            "no DAG of",
        ),
        (
            "name: a\ntasks:\n  sub: { uses: core.dag, with: { dag: outer, params: { x: 1 } } }\n",
            "`x`",
        ),
    ] {
        let ended = fixture.run(text).await;
        assert_eq!(ended.run.status, RunStatus::Failed, "{text}");
        let error = ended.task("sub").error.clone().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Y-200
#[tokio::test]
async fn more_runs_within_than_slots_hold_up_nobody() {
    let fixture = fixture(&[("inner.yaml", INNER)]).await;
    // Four slots, and twelve tasks that wait for runs which need slots themselves.
    let outer = "name: outer\ntasks:\n  sub: { uses: core.dag, foreach: { items: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }, with: { dag: inner, params: { rows: '${{ item }}' } } }\n";
    let (_stay, cancel) = watch::channel(false);
    let ended = tokio::time::timeout(Duration::from_secs(120), fixture.run_until(outer, cancel))
        .await
        .unwrap();
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(inner_runs(&fixture, "inner").await.len(), 12);
}

/// Y-201
#[tokio::test]
async fn a_cancelled_run_cancels_the_one_within() {
    let slow = "name: inner\ntasks:\n  wait: { uses: test.sleep, with: { seconds: 600 } }\n";
    let fixture = fixture(&[("inner.yaml", slow)]).await;
    let outer = "name: outer\ntasks:\n  sub: { uses: core.dag, with: { dag: inner } }\n";
    let (stop, cancel) = watch::channel(false);
    let run = fixture.create(outer).await;
    let stopping = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let runs = inner_runs(&fixture, "inner").await;
            if let Some(run) = runs.first()
                && !fixture.engine.store().attempts(&run.id).await.unwrap().is_empty()
            {
                break;
            }
            assert!(Instant::now() < deadline, "the inner run does not begin");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send_replace(true);
    };
    let (ended, ()) = tokio::join!(fixture.execute(&run, cancel), stopping);
    assert_eq!(ended.run.status, RunStatus::Cancelled);
    assert_eq!(ended.task("sub").state, TaskState::Cancelled);
    assert_eq!(inner_runs(&fixture, "inner").await[0].status, RunStatus::Cancelled);
}

/// Y-201
#[tokio::test]
async fn an_engine_that_takes_over_finds_the_run_within_again() {
    let once = "name: inner\ntasks:\n  count: { uses: test.counted, with: { value: 1, count: HOME/count, reads: HOME/inner.yaml } }\n  wait: { uses: test.sleep, needs: [count], with: { seconds: 2 } }\n";
    let fixture = fixture(&[]).await;
    let home = fixture.path("").display().to_string();
    std::fs::write(fixture.path("inner.yaml"), once.replace("HOME/", &home)).unwrap();
    let outer = "name: outer\ntasks:\n  sub: { uses: core.dag, with: { dag: inner } }\n";
    let run = fixture.create(outer).await;
    // Dropped while the inner run waits: as if the engine had been killed, but for the leases.
    let (_stay, cancel) = watch::channel(false);
    let _ = tokio::time::timeout(Duration::from_secs(2), fixture.execute(&run, cancel)).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fixture.engine.store().unattended_runs().await.unwrap().contains(&run) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_stay, cancel) = watch::channel(false);
    let ended = fixture.execute(&run, cancel).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(inner_runs(&fixture, "inner").await.len(), 1);
    assert_eq!(
        std::fs::read_to_string(fixture.path("count")).unwrap(),
        "I",
        "what was done is not done again"
    );
    drop(dag(outer));
}

#[tokio::test]
async fn runs_within_a_list_or_a_pool_leave_the_only_slot_to_their_tasks() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("inner.yaml"), INNER).unwrap();
    let engine = Fixture::open_with(directory.path(), 1).await;
    let fixture = Fixture { directory, engine };
    let text = "name: outer
tasks:
  each:
    uses: core.dag
    foreach: { items: [1, 2, 3], max_parallel: 2 }
    with: { dag: inner, params: { rows: '${{ item }}' } }
  pooled: { uses: core.dag, pool: gpu, with: { dag: inner } }
";
    let ended = tokio::time::timeout(Duration::from_secs(60), fixture.run(text)).await;
    let ended = ended.unwrap_or_else(|_| panic!("somebody holds the slot that the inner tasks wait for"));
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(inner_runs(&fixture, "inner").await.len(), 4);
    assert!(fixture.engine.store().slot_holders().await.unwrap().is_empty());
}
