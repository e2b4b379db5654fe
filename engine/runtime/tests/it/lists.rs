//! Tasks that run once for each item of a list.

use std::collections::BTreeMap;
use std::time::Duration;

use ratchet_artifacts::datasets;
use ratchet_core::plugin::Output;
use ratchet_runtime::{Repeat, RunEvent, RunStatus, TaskState};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Ended, Fixture, wait_for_file};

async fn drive(fixture: &Fixture, run: &str) -> Ended {
    let (_stay, cancel) = watch::channel(false);
    fixture.execute(run, cancel).await
}

fn value<'a>(ended: &'a Ended, task: &str) -> &'a Value {
    match &ended.task(task).outputs["value"] {
        Output::Value(value) => value,
        other => panic!("{other:?}"),
    }
}

fn attempts(ended: &Ended) -> Vec<(&str, u32)> {
    ended
        .tasks
        .iter()
        .map(|task| (task.id.as_str(), task.attempts))
        .collect()
}

const LIST: &str = "\
name: list
tasks:
  names:
    uses: test.echo
    with: { value: [{ name: north, n: 3 }, { name: south, n: 1 }, { name: west, n: 2 }] }
  each:
    uses: test.echo
    foreach:
      items: ${{ tasks.names.value }}
      key: ${{ item.name }}
      max_parallel: 2
    when: ${{ item.n > 1 }}
    with: { value: \"${{ item.n * 10 + index }}\" }
  sum:
    uses: test.echo
    with: { value: \"${{ tasks.each.value | sum }}\" }
";

/// Y-100, Y-101, Y-102
#[tokio::test]
async fn each_item_of_a_list_makes_an_instance_and_what_they_leave_is_a_list_in_its_order() {
    let fixture = Fixture::new().await;
    let ended = fixture.run(LIST).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(
        ended.states(),
        [
            ("names", TaskState::Succeeded),
            ("each", TaskState::Succeeded),
            ("each[north]", TaskState::Succeeded),
            ("each[south]", TaskState::Skipped),
            ("each[west]", TaskState::Succeeded),
            ("sum", TaskState::Succeeded),
        ],
        "instances stand behind their task"
    );
    assert_eq!(
        value(&ended, "each"),
        &json!([30, 22]),
        "what was skipped leaves nothing"
    );
    assert_eq!(value(&ended, "sum"), &json!(52));
    let instance = ended.task("each[west]").instance.as_ref().unwrap();
    assert_eq!(
        (instance.task.as_str(), instance.index, instance.key.as_str()),
        ("each", 2, "west")
    );
    assert_eq!(instance.item, json!({ "name": "west", "n": 2 }));
    let expanded = RunEvent::TaskExpanded {
        task: "each".to_owned(),
        instances: 3,
    };
    assert!(ended.events.contains(&expanded));
    // Seeds belong to keys: another order of the list gives the same models.
    assert_ne!(
        ended.task("each[north]").outputs["seed"],
        ended.task("each[west]").outputs["seed"]
    );
    let lines = fixture.engine.logs(&ended.run.id, Some("each")).await.unwrap();
    let of: Vec<&str> = lines.iter().map(|line| line.task.as_str()).collect();
    assert_eq!(of, ["each[north]", "each[west]"]);
}

/// Y-103
#[tokio::test]
async fn a_list_that_makes_no_instances_skips_or_fails_its_task() {
    let fixture = Fixture::new().await;
    let with = |items: &str| {
        LIST.replace(
            "[{ name: north, n: 3 }, { name: south, n: 1 }, { name: west, n: 2 }]",
            items,
        )
    };
    let ended = fixture.run(&with("[]")).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_eq!(ended.task("each").reason.as_deref(), Some("its list is empty"));
    assert_eq!(ended.task("sum").state, TaskState::Skipped);

    let ended = fixture.run(&with("[{ name: a, n: 1 }]")).await;
    assert_eq!(
        ended.task("each").reason.as_deref(),
        Some("all its instances were skipped")
    );
    for (items, message) in [
        ("3", "task `each`: its `foreach` got a number where it takes a list"),
        (
            "[{ name: a, n: 2 }, { name: a, n: 3 }]",
            "task `each`: its `foreach` has the key `a` for item 0 and for item 1",
        ),
    ] {
        let ended = fixture.run(&with(items)).await;
        assert_eq!(ended.run.status, RunStatus::Failed);
        let task = ended.task("each");
        assert_eq!((task.state, task.reason.as_deref()), (TaskState::Failed, Some(message)));
        assert_eq!(ended.task("sum").state, TaskState::Skipped);
        assert_eq!(ended.tasks.len(), 3, "no instance was made");
    }
}

const PARTLY: &str = "\
name: partly
tasks:
  each:
    uses: test.fail
    foreach: { items: [0, 9, 0, 9], max_parallel: 3 }
    with: { attempts: \"${{ item }}\", retryable: false }
  after:
    uses: test.echo
    needs: [each]
    with: { value: 1 }
  alarm:
    uses: test.echo
    needs: [each]
    trigger: one_failed
    with: { value: 2 }
";

/// Y-105
#[tokio::test]
async fn a_retry_repeats_the_instances_that_did_not_succeed_and_the_one_that_is_named() {
    let fixture = Fixture::new().await;
    let first = fixture.run(PARTLY).await;
    assert_eq!(first.run.status, RunStatus::Failed);
    let message = &first.task("each").error.as_ref().unwrap().message;
    assert_eq!(message, "2 of 4 instances failed; `each[1]`: attempt 1 fails");
    assert_eq!(
        (first.task("after").state, first.task("alarm").state),
        (TaskState::Skipped, TaskState::Succeeded)
    );
    let retry = async |from: &[&str]| {
        let repeat = Repeat {
            from: from.iter().map(|id| (*id).to_owned()).collect(),
            ..Repeat::default()
        };
        let run = fixture
            .engine
            .retry(&first.run.id, &repeat, &BTreeMap::new(), "ada")
            .await
            .unwrap();
        drive(&fixture, &run).await
    };
    let each = |ended: &Ended| -> Vec<u32> {
        let instances = ended.tasks.iter().filter(|task| task.instance.is_some());
        instances.map(|task| task.attempts).collect()
    };
    assert_eq!(each(&retry(&[]).await), [0, 1, 0, 1]);
    assert_eq!(each(&retry(&["each[0]"]).await), [1, 1, 0, 1]);
    assert_eq!(each(&retry(&["each"]).await), [1, 1, 1, 1]);
    let again = retry(&[]).await;
    let reports = match &again.task("each").outputs["report"] {
        Output::Value(Value::Array(reports)) => reports.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reports, 2, "those that were kept count");

    let mark = async |task: &str| {
        let marked = fixture
            .engine
            .mark(&first.run.id, task, TaskState::Succeeded, "ada")
            .await;
        marked.unwrap()
    };
    assert_eq!(mark("each[1]").await, RunStatus::Failed);
    assert_eq!(
        mark("each[3]").await,
        RunStatus::Succeeded,
        "its task succeeded with its last instance"
    );
    let run = fixture
        .engine
        .retry(&first.run.id, &Repeat::default(), &BTreeMap::new(), "ada")
        .await
        .unwrap();
    let ended = drive(&fixture, &run).await;
    assert_eq!(attempts(&ended), [("each", 0), ("after", 1), ("alarm", 0)]);
}

/// Y-104
#[tokio::test]
async fn no_more_instances_run_at_once_than_their_task_allows() {
    let fixture = Fixture::new().await;
    let text = "\
name: narrow
tasks:
  each:
    uses: test.sleep
    foreach: { items: [1, 2, 3, 4, 5, 6], max_parallel: 2 }
    isolation: inline
    with: { seconds: 0.1 }
  beside:
    uses: test.echo
    with: { value: 1 }
";
    let ended = fixture.run(text).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    let attempts = fixture.engine.store().attempts(&ended.run.id).await.unwrap();
    let sleeps: Vec<_> = attempts.iter().filter(|attempt| attempt.task != "beside").collect();
    assert_eq!(sleeps.len(), 6);
    for one in &sleeps {
        let beside = sleeps
            .iter()
            .filter(|other| other.started_at <= one.started_at && other.finished_at > Some(one.started_at));
        assert!(beside.count() <= 2, "{sleeps:?}");
    }
}

#[tokio::test]
async fn instances_go_on_under_the_next_engine_and_end_with_a_cancelled_run() {
    let fixture = Fixture::new().await;
    let path = fixture.path("pids");
    let text = format!(
        "name: goes-on\ntasks:\n  each:\n    uses: test.sleep\n    foreach: {{ items: [0, 2, 0], max_parallel: 1 }}\n    \
         with: {{ seconds: \"${{{{ item }}}}\", pids: \"{}-${{{{ index }}}}\" }}\n  join:\n    uses: test.echo\n    \
         with: {{ value: \"${{{{ tasks.each.value }}}}\" }}\n",
        path.display()
    );
    let run = fixture.create(&text).await;
    let interrupt = async |until: &std::path::Path| {
        let (observer, _) = mpsc::unbounded_channel();
        let (_stay, cancel) = watch::channel(false);
        tokio::select! {
            ended = fixture.engine.execute(&run, observer, cancel) => panic!("it ended: {ended:?}"),
            _ = wait_for_file(until) => {}
        }
        let options = SqliteConnectOptions::new().filename(fixture.path("engine.sqlite"));
        let pool = SqlitePool::connect_with(options).await.unwrap();
        sqlx::query("UPDATE runs SET lease_until = 1")
            .execute(&pool)
            .await
            .unwrap();
    };
    interrupt(&fixture.path("pids-1")).await;
    let ended = drive(&fixture, &run).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    assert_eq!(
        attempts(&ended),
        [("each", 0), ("each[0]", 1), ("each[1]", 2), ("each[2]", 1), ("join", 1)]
    );
    assert_eq!(value(&ended, "join"), &json!(["slept", "slept", "slept"]));

    let long = text.replace("[0, 2, 0]", "[0, 1000, 0]").replace("pids-", "long-");
    let (stop, cancel) = watch::channel(false);
    let (ended, ()) = tokio::join!(fixture.run_until(&long, cancel), async {
        wait_for_file(&fixture.path("long-1")).await;
        stop.send_replace(true);
    });
    assert_eq!(
        ended.states(),
        [
            ("each", TaskState::Cancelled),
            ("each[0]", TaskState::Succeeded),
            ("each[1]", TaskState::Cancelled),
            ("each[2]", TaskState::Cancelled),
            ("join", TaskState::Cancelled),
        ]
    );
}

/// Y-106
#[tokio::test]
async fn each_instance_makes_a_dataset_of_its_own_and_the_next_task_reads_all_of_them() {
    let fixture = Fixture::new().await;
    let text = "\
name: made
tasks:
  each:
    uses: test.table
    foreach: { items: [North.East, b_c], key: \"${{ item }}\" }
    with: { content: \"${{ item }}\" }
  after:
    uses: test.echo
    with: { value: \"${{ tasks.each.table }}\" }
";
    let ended = fixture.run(text).await;
    assert_eq!(ended.run.status, RunStatus::Succeeded, "{:?}", ended.tasks);
    let tables = value(&ended, "after").as_array().unwrap();
    let names: Vec<&str> = tables.iter().filter_map(|table| table["dataset"].as_str()).collect();
    assert_eq!(names, ["made-each-north-east", "made-each-b-c"]);
    let bucket = fixture.engine.bucket();
    let manifest = datasets::get(bucket, names[0], 1).await.unwrap().unwrap();
    assert_eq!(manifest.lineage.task, "each[North.East]");
}

#[tokio::test]
async fn ten_thousand_instances_are_made_and_end() {
    let fixture = Fixture::new().await;
    let text = "\
name: wide
tasks:
  each:
    uses: test.quiet
    foreach: { items: \"${{ range(10000) | list }}\" }
    with: { value: \"${{ item }}\" }
  last:
    uses: test.echo
    with: { value: \"${{ tasks.each.value | last }}\" }
";
    let start = std::time::Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(300), fixture.run(text))
        .await
        .unwrap();
    println!("10,000 instances: {:?}", start.elapsed());
    assert_eq!(ended.run.status, RunStatus::Succeeded);
    assert_eq!(ended.tasks.len(), 10_002);
    assert_eq!(value(&ended, "last"), &json!(9_999));
    let too_many = fixture.run(&text.replace("10000", "10001")).await;
    assert_eq!(
        too_many.task("each").reason.as_deref(),
        Some("task `each`: its `foreach` got 10001 items; at most 10000 make instances")
    );
}
