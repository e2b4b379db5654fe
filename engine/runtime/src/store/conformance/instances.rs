//! Instances of tasks with a list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::plugin::Output;
use ratchet_core::state::{RunStatus, TaskState};
use ratchet_database::Address;
use serde_json::json;

use super::{change, create, in_seconds, new_run, open, started};
use crate::beginning::{Beginning, KeptInstance};
use crate::record::RunTrigger;
use crate::store::{InstanceRow, TaskResult, Transition};

fn row(position: usize, key: &str, kept: bool) -> InstanceRow {
    InstanceRow {
        position,
        of: 0,
        index: position - 2,
        id: format!("first[{key}]"),
        key: key.to_owned(),
        item: json!({ "name": key, "n": [1.5, null] }),
        uses: "test.echo".to_owned(),
        kept: kept.then(|| BTreeMap::from([("value".to_owned(), Output::Value(json!("kept")))])),
    }
}

fn expanded() -> Transition {
    Transition {
        tasks: vec![change(0, TaskState::Running, 0)],
        instances: vec![row(2, "a", false), row(3, "b", true)],
        at: Timestamp::now(),
        ..Transition::default()
    }
}

pub(super) async fn instances_are_rows_behind_their_task_and_come_as_a_whole(address: Address) {
    let store = open(&address).await;
    let run = create(&store, "list").await;
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    assert!(store.transition(&run, "another", &expanded()).await.is_err());
    assert_eq!(store.tasks(&run).await.unwrap().len(), 2, "nothing of it is there");
    store.transition(&run, "me", &expanded()).await.unwrap();
    store.transition(&run, "me", &started(2, 1)).await.unwrap();
    let stored = store.stored_tasks(&run).await.unwrap();
    let positions: Vec<_> = stored.iter().map(|task| (task.position, task.instance_of)).collect();
    assert_eq!(positions, [(0, None), (1, None), (2, Some(0)), (3, Some(0))]);
    let tasks = store.tasks(&run).await.unwrap();
    let shown: Vec<_> = tasks.iter().map(|task| (task.id.as_str(), task.state)).collect();
    assert_eq!(
        shown,
        [
            ("first", TaskState::Running),
            ("first[a]", TaskState::Running),
            ("first[b]", TaskState::Succeeded),
            ("second", TaskState::Pending)
        ]
    );
    let instance = tasks[2].instance.as_ref().unwrap();
    assert_eq!(
        (instance.task.as_str(), instance.index, instance.key.as_str()),
        ("first", 1, "b")
    );
    assert_eq!(instance.item, json!({ "name": "b", "n": [1.5, null] }));
    assert_eq!(tasks[2].outputs["value"], Output::Value(json!("kept")));
    assert_eq!(store.attempts(&run).await.unwrap()[0].task, "first[a]");
}

pub(super) async fn instances_are_kept_for_a_retry_and_correct_their_task(address: Address) {
    let store = open(&address).await;
    let kept = KeptInstance {
        task: "first".to_owned(),
        key: "a".to_owned(),
        item: json!(7),
        outputs: BTreeMap::from([("value".to_owned(), Output::Value(json!(1)))]),
    };
    let beginning = Beginning {
        kept_instances: vec![kept.clone()],
        ..Beginning::default()
    };
    let run = store
        .create_run(&new_run("kept", RunTrigger::Manual), &beginning)
        .await
        .unwrap();
    assert_eq!(store.kept_instances(&run).await.unwrap(), [kept]);

    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    store.transition(&run, "me", &expanded()).await.unwrap();
    let mut failed = change(0, TaskState::Failed, 0);
    failed.result = Some(TaskResult {
        outputs: BTreeMap::from([("value".to_owned(), Output::Value(json!(["kept"])))]),
        ..TaskResult::default()
    });
    let end = Transition {
        tasks: vec![
            change(2, TaskState::Failed, 1),
            failed,
            change(1, TaskState::Skipped, 0),
        ],
        ended: Some(RunStatus::Failed),
        at: Timestamp::now(),
        ..Transition::default()
    };
    store.transition(&run, "me", &end).await.unwrap();
    let marked = store
        .mark_task(&run, "first[a]", TaskState::Succeeded, "by ada")
        .await
        .unwrap();
    assert_eq!(marked, Some(RunStatus::Succeeded));
    let tasks = store.tasks(&run).await.unwrap();
    assert_eq!((tasks[0].state, &tasks[0].error), (TaskState::Succeeded, &None));
    assert_eq!(
        tasks[0].outputs["value"],
        Output::Value(json!(["kept"])),
        "the corrected one left nothing"
    );
    let marked = store
        .mark_task(&run, "first[b]", TaskState::Failed, "by ada")
        .await
        .unwrap();
    assert_eq!(marked, Some(RunStatus::Failed));
    let tasks = store.tasks(&run).await.unwrap();
    assert_eq!(tasks[0].error.as_ref().unwrap().message, "1 of 2 instances failed");
    assert_eq!(tasks[0].outputs["value"], Output::Value(json!([])));
}
