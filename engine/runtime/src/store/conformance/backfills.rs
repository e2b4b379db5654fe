//! Runs for ticks of the past.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratchet_core::state::RunStatus;
use ratchet_database::Address;

use super::{new_run, open};
use crate::backfill::{BackfillDate, DatePlan, NewBackfill, RequestKey};
use crate::beginning::Beginning;
use crate::record::{NewRun, RunTrigger};
use crate::store::{Store, Transition};

fn day(number: i8) -> Timestamp {
    format!("2026-03-{number:02}T00:00:00Z").parse().unwrap()
}

fn dates(count: i8) -> Vec<BackfillDate> {
    (1..=count)
        .map(|number| BackfillDate {
            logical_date: day(number),
            interval_start: day(number),
            plan: DatePlan::Run,
            found: None,
            found_status: None,
            run: None,
            status: None,
        })
        .collect()
}

fn wanted(max_active: u32) -> NewBackfill {
    NewBackfill {
        dag: super::dag("filled"),
        from: day(1),
        to: day(28),
        missing_only: false,
        max_active,
        params: BTreeMap::new(),
        actor: "ada".to_owned(),
    }
}

fn template() -> NewRun {
    new_run("filled", RunTrigger::Backfill)
}

async fn made(store: &Store, dates: &[BackfillDate], max_active: u32) -> String {
    let made = store
        .create_backfill(&wanted(max_active), dates, None, day(28))
        .await
        .unwrap();
    made.unwrap()
}

async fn end(store: &Store, run: &str) {
    assert!(store.lease(run, "me", Timestamp::now()).await.unwrap());
    let ended = Transition {
        ended: Some(RunStatus::Succeeded),
        at: Timestamp::now(),
        ..Transition::default()
    };
    store.transition(run, "me", &ended).await.unwrap();
}

pub(super) async fn a_backfill_keeps_its_limit_whoever_looks_after_it(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let id = made(&one, &dates(5), 2).await;
    let template = template();
    let mut all = Vec::new();
    for round in 0..4 {
        let asked = (0..6).map(|number| {
            let store = if number % 2 == 0 { &one } else { &other };
            store.advance_backfill(&id, &template, false)
        });
        let advanced = futures::future::try_join_all(asked).await.unwrap();
        let started: Vec<String> = advanced.into_iter().flat_map(|one| one.started).collect();
        let expected = [2, 2, 1, 0][round];
        assert_eq!(started.len(), expected, "round {round}: {started:?}");
        for run in &started {
            end(&one, run).await;
        }
        all.extend(started);
    }
    let dates = other.backfill_dates(&id).await.unwrap();
    let runs: Vec<String> = dates.iter().filter_map(|date| date.run.clone()).collect();
    assert_eq!(runs, all, "oldest first, one for each tick");
    assert!(dates.iter().all(|date| date.status == Some(RunStatus::Succeeded)));
    assert!(other.backfill(&id).await.unwrap().unwrap().finished_at.is_some());
    assert!(one.unfinished_backfills().await.unwrap().is_empty());
}

pub(super) async fn a_tick_of_a_backfill_has_one_run_together_with_the_schedule(address: Address) {
    let store = open(&address).await;
    let scheduled = NewRun {
        logical_date: day(2),
        ..new_run("filled", RunTrigger::Schedule)
    };
    let scheduled_id = store.create_run(&scheduled, &Beginning::default()).await.unwrap();
    // Planned before the schedule made its run.
    let id = made(&store, &dates(2), 5).await;
    let advanced = store.advance_backfill(&id, &template(), false).await.unwrap();
    assert_eq!(advanced.started.len(), 1);
    let seen = store.backfill_dates(&id).await.unwrap();
    assert_eq!(seen[1].run.as_ref(), Some(&scheduled_id));
    // And the other way round.
    let late = NewRun {
        logical_date: day(1),
        ..scheduled
    };
    let found = store.create_run(&late, &Beginning::default()).await.unwrap();
    assert_eq!(seen[0].run.as_ref(), Some(&found));
    assert_eq!(store.list_runs(None, 10).await.unwrap().len(), 2);
    // They do not count for the schedule's limit.
    assert_eq!(store.active_runs("filled").await.unwrap(), [scheduled_id]);
}

pub(super) async fn a_run_is_repeated_by_one_run_of_a_backfill(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let first = made(&one, &dates(1), 1).await;
    let started = one.advance_backfill(&first, &template(), false).await.unwrap().started;
    end(&one, &started[0]).await;
    let mut again = dates(1);
    again[0].plan = DatePlan::Repeat;
    again[0].found = Some(started[0].clone());
    let (second, third) = (made(&one, &again, 1).await, made(&other, &again, 1).await);
    let template = template();
    let (left, right) = tokio::join!(
        one.advance_backfill(&second, &template, false),
        other.advance_backfill(&third, &template, false)
    );
    let repeated: Vec<String> = [left.unwrap().started, right.unwrap().started].concat();
    assert_eq!(repeated.len(), 1, "{repeated:?}");
    let run = one.run(&repeated[0]).await.unwrap().unwrap();
    assert_eq!(
        (run.retry_of.as_ref(), run.trigger),
        (Some(&started[0]), RunTrigger::Backfill)
    );
    for id in [second, third] {
        assert_eq!(one.backfill_dates(&id).await.unwrap()[0].run.as_ref(), Some(&run.id));
    }
}

pub(super) async fn a_stopped_backfill_starts_nothing_and_a_request_is_one_backfill(address: Address) {
    let store = open(&address).await;
    let key = RequestKey {
        key: "k".to_owned(),
        request: "r".to_owned(),
    };
    let create = async |key: &RequestKey| {
        store
            .create_backfill(&wanted(1), &dates(2), Some(key), day(28))
            .await
            .unwrap()
    };
    let id = create(&key).await.unwrap();
    assert_eq!(create(&key).await, Some(id.clone()));
    let other = RequestKey {
        request: "other".to_owned(),
        ..key
    };
    assert_eq!(create(&other).await, None, "the key stands for another request");
    assert_eq!(store.backfills(Some("filled"), 10).await.unwrap().len(), 1);
    assert!(store.stop_backfill(&id, "olga").await.unwrap());
    assert!(!store.stop_backfill(&id, "eve").await.unwrap());
    let advanced = store.advance_backfill(&id, &template(), false).await.unwrap();
    assert!(advanced.started.is_empty() && advanced.finished);
    let record = store.backfill(&id).await.unwrap().unwrap();
    assert_eq!(record.stopped_by.as_deref(), Some("olga"));
}
