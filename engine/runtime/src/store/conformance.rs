//! What a store promises, tried on SQLite and on a Postgres server that the test starts.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::plugin::Output;
use ratchet_core::spec::Dag;
use ratchet_core::state::{Snapshot, TaskState};
use ratchet_database::Address;
use ratchet_database::test_server::PostgresServer;
use serde_json::json;

use super::{AttemptEnd, Store, TaskChange, TaskResult, Transition};
use crate::beginning::Beginning;
use crate::error::StoreError;
use crate::event::RunEvent;
use crate::record::{AttemptOutcome, NewRun, RunTrigger};

mod approvals;
mod backfills;
mod driven;
mod instances;
mod pools;
mod recorded;
mod removed;
mod triggers;
mod waits;

#[path = "../../tests/it/plugins.rs"]
mod plugins;

type Case = fn(Address) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// Each gets an empty database of its own.
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |address| Box::pin($module::$name(address)))),*];
    };
}

cases![
    recorded::engines_that_start_at_once_migrate_once,
    recorded::a_run_is_read_back_whole,
    recorded::a_run_is_found_by_the_beginning_and_the_end_of_its_id,
    recorded::runs_are_listed_newest_first,
    recorded::runs_are_read_a_page_at_a_time,
    recorded::a_run_may_begin_with_finished_tasks,
    recorded::a_tick_has_one_run_whoever_makes_it,
    driven::one_of_many_engines_gets_the_lease,
    driven::a_lease_is_renewed_released_and_taken_over,
    driven::a_step_is_written_as_a_whole_or_not_at_all,
    driven::an_attempt_is_completed_once,
    driven::events_of_concurrent_steps_have_no_gap,
    driven::the_end_of_a_run_is_asked_for_once,
    driven::a_task_of_an_ended_run_is_marked,
    driven::the_newest_success_is_found,
    driven::what_attempts_say_is_kept_and_moved,
    driven::two_engines_drive_a_run_once,
    removed::a_run_that_ended_is_removed_with_all_its_rows,
    waits::a_pause_is_kept_and_its_first_author_with_it,
    backfills::a_backfill_keeps_its_limit_whoever_looks_after_it,
    backfills::a_tick_of_a_backfill_has_one_run_together_with_the_schedule,
    backfills::a_run_is_repeated_by_one_run_of_a_backfill,
    backfills::a_stopped_backfill_starts_nothing_and_a_request_is_one_backfill,
    approvals::of_many_answers_the_first_stands,
    approvals::a_person_answers_before_the_deadline_and_the_deadline_after_it,
    instances::instances_are_rows_behind_their_task_and_come_as_a_whole,
    instances::instances_are_kept_for_a_retry_and_correct_their_task,
    pools::slots_are_taken_once_and_come_free_with_the_end_of_the_attempt,
    pools::slots_of_an_engine_that_is_gone_are_free_when_its_lease_ends,
    pools::who_waits_with_a_higher_priority_comes_first,
    pools::many_engines_never_take_more_slots_than_there_are,
    triggers::a_change_is_kept_by_one_of_those_who_saw_it_and_has_one_run,
    triggers::what_is_held_back_waits_passes_or_starts_one_run,
    triggers::a_triggered_run_is_judged_once,
    triggers::a_run_is_marked_late_once,
];

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_every_promise() {
    for (name, case) in CASES {
        println!("{name}");
        let directory = tempfile::tempdir().unwrap();
        case(Address::file(&directory.path().join("engine.sqlite"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Postgres; `make test` runs it where there is one"]
async fn postgres_keeps_every_promise() {
    let server = PostgresServer::start().await;
    for (name, case) in CASES {
        println!("{name}");
        case(Address::parse(&server.database(name).await).unwrap()).await;
    }
}

#[tokio::test]
#[ignore = "needs Postgres; `make test` runs it where there is one"]
async fn postgres_that_cannot_be_used_is_named_without_its_password() {
    let server = PostgresServer::start().await;
    let url = server.url("missing");
    let wrong = url.replace("secret", "wrong");
    for (url, said) in [
        (url.as_str(), "\"missing\" does not exist"),
        (wrong.as_str(), "password authentication failed"),
        ("postgres://ada:secret@127.0.0.1:1/ml", "refused"),
    ] {
        let error = Store::open(&Address::parse(url).unwrap()).await.err().unwrap();
        let message = error.to_string();
        assert!(
            message.contains(said) && message.contains("check that the server runs"),
            "{message}"
        );
        assert!(!message.contains("secret") && !message.contains("wrong"), "{message}");
    }
}

async fn open(address: &Address) -> Store {
    Store::open(address).await.unwrap()
}

fn dag(name: &str) -> Dag {
    let text = format!(
        "name: {name}\ntasks:\n  first:\n    uses: test.echo\n    with: {{ value: 1 }}\n  second:\n    \
         uses: test.echo\n    needs: [first]\n    with: {{ value: 2 }}\n"
    );
    ratchet_core::load("some.yaml", &text, &plugins::registry()).unwrap()
}

fn new_run(name: &str, trigger: RunTrigger) -> NewRun {
    NewRun {
        dag: dag(name),
        params: BTreeMap::from([("city".to_owned(), json!("Zürich ' \" \u{1F692}"))]),
        logical_date: "2026-03-01T00:00:00Z".parse().unwrap(),
        interval_start: "2026-02-01T00:00:00Z".parse().unwrap(),
        trigger,
        actor: "ada".to_owned(),
    }
}

async fn create(store: &Store, name: &str) -> String {
    let new = new_run(name, RunTrigger::Manual);
    store.create_run(&new, &Beginning::default()).await.unwrap()
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

fn change(position: usize, state: TaskState, attempts: u32) -> TaskChange {
    TaskChange {
        position,
        snapshot: Snapshot {
            state,
            skip_cause: None,
            reason: None,
            attempts,
            failures: 0,
            losses: 0,
        },
        started: state == TaskState::Running,
        retry_at: None,
        result: None,
    }
}

fn started(position: usize, attempt: u32) -> Transition {
    Transition {
        tasks: vec![change(position, TaskState::Running, attempt)],
        started: vec![(position, attempt)],
        events: vec![event(attempt)],
        at: Timestamp::now(),
        ..Transition::default()
    }
}

fn succeeded(position: usize, attempt: u32, seconds: Option<f64>) -> Transition {
    let mut change = change(position, TaskState::Succeeded, attempt);
    change.result = Some(TaskResult {
        outputs: BTreeMap::from([("value".to_owned(), Output::Value(json!({ "n": [1.5, null, "é"] })))]),
        seconds,
        ..TaskResult::default()
    });
    Transition {
        tasks: vec![change],
        ended_attempts: vec![AttemptEnd {
            position,
            attempt,
            outcome: AttemptOutcome::Succeeded,
            error: None,
        }],
        events: vec![event(attempt)],
        at: Timestamp::now(),
        ..Transition::default()
    }
}

fn event(attempt: u32) -> RunEvent {
    RunEvent::TaskStarted {
        task: "first".to_owned(),
        attempt,
    }
}

fn is_lost(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Leased { .. }))
}
