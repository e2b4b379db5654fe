//! Runs that are made, found and listed.

use std::collections::BTreeMap;

use ratchet_core::plugin::Output;
use ratchet_core::state::{RunStatus, SkipCause, TaskState};
use ratchet_database::{Address, OpenError};
use serde_json::json;

use super::{create, new_run, open};
use crate::beginning::{Beginning, KeptTask};
use crate::error::StoreError;
use crate::record::RunTrigger;
use crate::store::{RunFilter, Store};

pub(super) async fn engines_that_start_at_once_migrate_once(address: Address) {
    let opened = futures::future::join_all((0..4).map(|_| open(&address))).await;
    let run = create(&opened[0], "shared").await;
    for store in &opened {
        assert_eq!(store.run(&run).await.unwrap().unwrap().dag, "shared");
    }
    assert_eq!(open(&address).await.list_runs(None, 10).await.unwrap().len(), 1);
    sqlx::query("INSERT INTO engine_migrations (version) VALUES (99)")
        .execute(&opened[0].pool)
        .await
        .unwrap();
    let refused = Store::open(&address).await.err().unwrap();
    assert!(
        matches!(&refused, StoreError::Open(OpenError::Newer { found: 99, .. })),
        "{refused}"
    );
}

pub(super) async fn a_run_is_read_back_whole(address: Address) {
    let store = open(&address).await;
    let new = new_run("whole", RunTrigger::Manual);
    let beginning = Beginning {
        retry_of: Some("another".to_owned()),
        ..Beginning::default()
    };
    let id = store.create_run(&new, &beginning).await.unwrap();
    let run = store.run(&id).await.unwrap().unwrap();
    assert_eq!(
        (run.dag.as_str(), run.status, run.trigger),
        ("whole", RunStatus::Running, RunTrigger::Manual)
    );
    assert_eq!((run.params, run.actor), (new.params, new.actor));
    assert_eq!(
        (run.logical_date, run.interval_start),
        (new.logical_date, new.interval_start)
    );
    assert_eq!((run.dag_text, run.file_name), (new.dag.text, new.dag.file_name));
    assert_eq!((run.retry_of.as_deref(), run.finished_at), (Some("another"), None));
    let tasks = store.stored_tasks(&id).await.unwrap();
    let seen: Vec<_> = tasks
        .iter()
        .map(|task| (task.record.id.as_str(), task.snapshot.state))
        .collect();
    assert_eq!(seen, [("first", TaskState::Pending), ("second", TaskState::Pending)]);
    assert!(
        tasks
            .iter()
            .all(|task| task.record.seconds.is_none() && task.retry_at.is_none())
    );
    assert!(store.events(&id).await.unwrap().is_empty());
}

pub(super) async fn a_run_is_found_by_the_beginning_and_the_end_of_its_id(address: Address) {
    let store = open(&address).await;
    let (one, other) = (create(&store, "one").await, create(&store, "other").await);
    let store = &store;
    let found = |part: String| async move { store.run(&part).await.unwrap().map(|run| run.id) };
    assert_eq!(found(one[20..].to_owned()).await, Some(one.clone()));
    assert_eq!(found(one[20..].to_ascii_uppercase()).await, Some(one.clone()));
    assert_eq!(found(other.to_ascii_uppercase()).await, Some(other));
    assert_eq!(found("%%%%".to_owned()).await, None);
    assert_eq!(found("ffffffff".to_owned()).await, None);
    let refused = store.run(&one[..6]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Ambiguous { count: 2, .. }), "{refused}");
}

pub(super) async fn runs_are_listed_newest_first(address: Address) {
    let store = open(&address).await;
    let mut made = Vec::new();
    for name in ["a", "b", "a"] {
        made.push(create(&store, name).await);
    }
    let ids = |runs: Vec<crate::RunRecord>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    let newest = vec![made[2].clone(), made[1].clone(), made[0].clone()];
    assert_eq!(ids(store.list_runs(None, 10).await.unwrap()), newest);
    assert_eq!(ids(store.list_runs(None, 2).await.unwrap()), newest[..2]);
    assert_eq!(
        ids(store.list_runs(Some("a"), 10).await.unwrap()),
        [made[2].clone(), made[0].clone()]
    );
    assert_eq!(store.unfinished_runs(None).await.unwrap(), made);
    assert_eq!(store.unfinished_runs(Some("b")).await.unwrap(), made[1..2]);
    assert!(store.unfinished_runs(Some("c")).await.unwrap().is_empty());
}

pub(super) async fn runs_are_read_a_page_at_a_time(address: Address) {
    let store = open(&address).await;
    let mut made = Vec::new();
    for name in ["a", "b", "a", "a"] {
        made.push(create(&store, name).await);
    }
    let of = |dag| RunFilter {
        dag,
        ..RunFilter::default()
    };
    let page = async |filter: RunFilter<'_>, before: Option<&str>| {
        let runs = store.runs_page(filter, before, 2).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(page(of(None), None).await, [made[3].clone(), made[2].clone()]);
    assert_eq!(page(of(None), Some(&made[2])).await, [made[1].clone(), made[0].clone()]);
    assert_eq!(
        page(of(Some("a")), Some(&made[3])).await,
        [made[2].clone(), made[0].clone()]
    );
    let failed = RunFilter {
        status: Some(RunStatus::Failed),
        trigger: Some(RunTrigger::Manual),
        ..RunFilter::default()
    };
    assert!(page(failed, None).await.is_empty());
    assert!(store.events_after(&made[0], 0).await.unwrap().is_empty());
    assert!(store.attempts_under_way(&made[0]).await.unwrap().is_empty());
    assert!(store.lines_after(&made[0], "first", 1, 0).await.unwrap().is_empty());
}

pub(super) async fn a_run_may_begin_with_finished_tasks(address: Address) {
    let store = open(&address).await;
    let outputs = BTreeMap::from([("value".to_owned(), Output::Value(json!(7)))]);
    let kept = BTreeMap::from([
        ("first".to_owned(), KeptTask::succeeded("another", outputs.clone())),
        ("second".to_owned(), KeptTask::left_out("not asked for")),
    ]);
    let beginning = Beginning {
        reserved: true,
        kept,
        ..Beginning::default()
    };
    let new = new_run("kept", RunTrigger::Manual);
    let id = store.create_run(&new, &beginning).await.unwrap();
    let tasks = store.stored_tasks(&id).await.unwrap();
    assert_eq!(tasks[0].snapshot.state, TaskState::Succeeded);
    assert_eq!(tasks[0].record.outputs, outputs);
    assert_eq!(tasks[1].snapshot.skip_cause, Some(SkipCause::Condition));
    assert_eq!(tasks[1].record.reason.as_deref(), Some("not asked for"));
    // Reserved for whoever made it.
    assert!(store.unattended_runs().await.unwrap().is_empty());
    let open_to_all = create(&store, "open").await;
    assert_eq!(store.unattended_runs().await.unwrap(), [open_to_all]);
}

pub(super) async fn a_tick_has_one_run_whoever_makes_it(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let new = new_run("tick", RunTrigger::Schedule);
    let beginning = Beginning::default();
    let made = (0..8).map(|number| if number % 2 == 0 { &one } else { &other }.create_run(&new, &beginning));
    let mut made: Vec<String> = futures::future::try_join_all(made).await.unwrap();
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(one.list_runs(None, 10).await.unwrap().len(), 1);
    assert_eq!(other.tasks(&made[0]).await.unwrap().len(), 2);
    // A run by hand of the same date is another one, as often as one likes.
    assert_ne!(create(&one, "tick").await, create(&other, "tick").await);
    assert_eq!(one.list_runs(None, 10).await.unwrap().len(), 3);
}
