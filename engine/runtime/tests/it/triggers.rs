//! What triggers find, and the one run that follows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::datasets::{self, NewDataset};
use ratchet_artifacts::models::{self, NewModel};
use ratchet_artifacts::monitoring::{self, DriftStatistic, NewWindow, WindowKind};
use ratchet_artifacts::{BlobRef, Expected, Lineage, NewPromotion, PromotionLog};
use ratchet_core::spec::Dag;
use ratchet_runtime::{Engine, RunStatus, TriggerOutcome, Triggered};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::fixture::{Fixture, dag};
use crate::notifications::hook;

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

/// A DAG with these triggers.
fn watched(triggers: &str, tasks: &str) -> Dag {
    dag(&format!(
        "name: watched\ntriggers: [{triggers}]\ncooldown: 6h\nparams: {{ city: {{ type: string, default: York }} }}\ntasks:\n{tasks}\n"
    ))
}

const ECHO: &str = "  a: { uses: test.echo, with: { value: '${{ params.city }}' } }";
const TRAINS: &str = "  t: { uses: test.table, with: { content: '${{ params.city }}${{ run.id }}' } }\n  m: { uses: test.model, with: { content: '${{ run.id }}', table: '${{ tasks.t.table }}' } }";
const PROMOTES: &str = "  t: { uses: test.table, with: { content: '${{ params.city }}${{ run.id }}' } }\n  m: { uses: test.model, with: { content: '${{ run.id }}', table: '${{ tasks.t.table }}' } }\n  p: { uses: test.promote, with: { model: '${{ tasks.m.model }}' } }";

/// Every trigger of the DAG looks once; true if any found something.
async fn look(engine: &Engine, dag: &Dag, now: Timestamp) -> bool {
    let mut found = false;
    for trigger in &dag.triggers {
        found |= engine.look(dag, trigger, now).await.unwrap().found;
    }
    found
}

/// The run that was started, driven to its end.
async fn run(engine: &Engine, triggered: Triggered) -> String {
    let Triggered::Started { run } = triggered else {
        panic!("{triggered:?}")
    };
    let (events, _) = mpsc::unbounded_channel();
    let (_, never) = watch::channel(false);
    engine.execute(&run, events, never).await.unwrap();
    run
}

fn write(fixture: &Fixture, name: &str, content: &str, seconds_ago: u64) {
    let path = fixture.path(name);
    std::fs::write(&path, content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds_ago))
        .unwrap();
}

/// Y-140, Y-144
#[tokio::test]
async fn a_changed_source_starts_one_run_whoever_looks_and_the_cooldown_holds_the_next_back() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.engine.clone(), Fixture::open(fixture.directory.path()).await);
    let dag = watched("{ on_data_change: { from: 'a.csv', every: 1m } }", ECHO);
    let now = Timestamp::now();
    // Nothing is there yet; and what appears is news.
    assert!(!look(&one, &dag, now).await);
    write(&fixture, "a.csv", "one", 60);
    assert!(look(&one, &dag, now).await);
    let both = tokio::join!(one.start_triggered(&dag, now), other.start_triggered(&dag, now));
    let started: Vec<Triggered> = [both.0.unwrap(), both.1.unwrap()].into();
    let first = started
        .iter()
        .find(|one| matches!(one, Triggered::Started { .. }))
        .unwrap();
    assert!(
        started.contains(&Triggered::Nothing) || started.iter().any(|one| matches!(one, Triggered::CoolsDown { .. }))
    );
    let first = run(&one, first.clone()).await;
    let record = one.run(&first).await.unwrap();
    assert_eq!(
        (record.trigger.name(), record.actor.as_str()),
        ("event", "on_data_change a.csv")
    );
    assert!(!look(&other, &dag, now).await, "nothing changed");

    // Two changes within the cooldown, seen by both: one run afterwards.
    write(&fixture, "a.csv", "two", 50);
    let both = tokio::join!(look(&one, &dag, now), look(&other, &dag, now));
    assert!(both.0 ^ both.1, "one of them keeps it: {both:?}");
    let held = one.start_triggered(&dag, now + hours(5)).await.unwrap();
    let Triggered::CoolsDown { until } = held else {
        panic!("{held:?}")
    };
    assert_eq!(until, record.created_at + hours(6));
    write(&fixture, "a.csv", "one", 40);
    assert!(look(&other, &dag, now).await, "back to the former content is a change");
    let later = now + hours(7);
    run(&other, other.start_triggered(&dag, later).await.unwrap()).await;
    assert_eq!(
        one.start_triggered(&dag, later + hours(7)).await.unwrap(),
        Triggered::Nothing
    );
    assert_eq!(one.store().list_runs(Some("watched"), 10).await.unwrap().len(), 2);
    let events = one.store().trigger_events("watched", 10).await.unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events.iter().all(|event| event.outcome == TriggerOutcome::Started));
    assert!(
        events[2].what.starts_with("a.csv appeared: SHA-256 7692c3ad3540"),
        "{events:?}"
    );
}

/// Y-140
#[tokio::test]
async fn the_first_look_remembers_and_only_a_dag_that_never_ran_takes_it_for_news() {
    let fixture = Fixture::new().await;
    write(&fixture, "a.csv", "one", 60);
    let engine = &fixture.engine;
    let now = Timestamp::now();
    let fresh = watched("{ on_data_change: { from: 'a.csv' } }", ECHO);
    assert!(look(engine, &fresh, now).await, "it never ran");
    run(engine, engine.start_triggered(&fresh, now).await.unwrap()).await;
    // Another text is another trigger, and the DAG has run.
    let edited = watched("{ on_data_change: { from: './a.csv' } }", ECHO);
    assert!(!look(engine, &edited, now).await);
    write(&fixture, "a.csv", "two", 30);
    assert!(look(engine, &edited, now).await);
    // The trigger is taken out of the file: what it found starts nothing.
    let without = watched("{ on_dataset: { dataset: other } }", ECHO);
    assert_eq!(
        engine.start_triggered(&without, now + hours(7)).await.unwrap(),
        Triggered::Nothing
    );
    assert_eq!(
        engine.start_triggered(&edited, now + hours(7)).await.unwrap(),
        Triggered::Nothing
    );
}

/// Y-141
#[tokio::test]
async fn a_dataset_of_another_dag_starts_a_run_and_its_own_does_not() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    let dag = watched("{ on_dataset: { dataset: trips } }", ECHO);
    let register = async |by: &str, content: &str| {
        let new = NewDataset {
            name: "trips".to_owned(),
            files: vec![BlobRef::of(content.as_bytes())],
            raw: Vec::new(),
            collected: None,
            rows: 1,
            columns: Vec::new(),
            lineage: Lineage {
                dag: by.to_owned(),
                ..Lineage::default()
            },
            key: format!("{by}/{content}"),
        };
        datasets::register(engine.bucket(), new).await.unwrap();
    };
    let now = Timestamp::now();
    register("other", "1").await;
    assert!(!look(engine, &dag, now).await, "the first look remembers");
    register("watched", "2").await;
    assert!(!look(engine, &dag, now).await, "its own");
    register("other", "3").await;
    register("watched", "4").await;
    assert!(look(engine, &dag, now).await);
    assert!(!look(engine, &dag, now).await);
    let events = engine.store().trigger_events("watched", 10).await.unwrap();
    assert_eq!(events[0].what, "trips@3 was registered by other");
    run(engine, engine.start_triggered(&dag, now).await.unwrap()).await;
}

/// Registers a version of `eta` and promotes it.
async fn promote(engine: &Engine, number: u64) {
    let bucket = engine.bucket();
    let bundle = bucket.put_blob(format!("bundle {number}").into()).await.unwrap();
    let new = NewModel {
        name: "eta".to_owned(),
        bundle: bundle.clone(),
        metrics: BTreeMap::from([("mae".to_owned(), 75.0), ("r2".to_owned(), 0.6)]),
        rows: BTreeMap::new(),
        parameters: Value::Null,
        report: Value::Null,
        lineage: Lineage::default(),
        key: format!("run{number}/train"),
    };
    let manifest = models::register(bucket, new).await.unwrap();
    let promotion = NewPromotion {
        model: "eta".to_owned(),
        version: manifest.version,
        digest: bundle.sha256,
        alias: "champion".to_owned(),
        expected: Expected::Any,
        actor: "ada".to_owned(),
        reason: "looks better".to_owned(),
        comparison: Value::Null,
        key: format!("promotion {number}"),
        attended: true,
    };
    PromotionLog::new(bucket.clone()).promote(promotion).await.unwrap();
}

fn window(version: u64, kind: WindowKind) -> NewWindow {
    NewWindow {
        model: "eta".to_owned(),
        version,
        kind,
        from: Timestamp::now() - hours(1),
        to: Timestamp::now(),
        rows: 500,
        labels: 400,
        metrics: BTreeMap::new(),
        statistics: Vec::new(),
    }
}

fn drift(version: u64, value: f64) -> NewWindow {
    let statistic = DriftStatistic {
        field: "hour".to_owned(),
        measure: "psi".to_owned(),
        value,
        threshold: 0.2,
    };
    NewWindow {
        statistics: vec![statistic],
        ..window(version, WindowKind::Drift)
    }
}

fn accuracy(version: u64, mae: f64, labels: u64) -> NewWindow {
    NewWindow {
        labels,
        metrics: BTreeMap::from([("mae".to_owned(), mae), ("r2".to_owned(), 0.55)]),
        ..window(version, WindowKind::Accuracy)
    }
}

/// Y-142
#[tokio::test]
async fn drift_of_the_champion_starts_a_run_and_passes_with_it() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    let dag = watched("{ on_drift: { model: eta } }", ECHO);
    let write = async |new| drop(monitoring::write(engine.bucket(), new).await.unwrap());
    let now = Timestamp::now();
    promote(engine, 1).await;
    write(drift(1, 0.9)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(
        !look(engine, &dag, Timestamp::now()).await,
        "what was before is no news"
    );
    write(drift(1, 0.1)).await;
    write(drift(9, 0.9)).await;
    assert!(
        !look(engine, &dag, now).await,
        "below its threshold, and of another version"
    );
    write(drift(1, 0.4)).await;
    assert!(look(engine, &dag, now).await);
    assert!(!look(engine, &dag, now).await, "a window counts once");
    let events = engine.store().trigger_events("watched", 10).await.unwrap();
    assert_eq!(events[0].what, "eta@1 drifted over 500 rows: hour psi 0.400 > 0.200");
    run(engine, engine.start_triggered(&dag, now).await.unwrap()).await;
    // Held back by the cooldown, and then another version took over.
    write(drift(1, 0.5)).await;
    assert!(look(engine, &dag, now).await);
    promote(engine, 2).await;
    assert!(!look(engine, &dag, now).await);
    assert_eq!(
        engine.start_triggered(&dag, now + hours(7)).await.unwrap(),
        Triggered::Nothing
    );
    let events = engine.store().trigger_events("watched", 10).await.unwrap();
    assert_eq!(events[0].outcome, TriggerOutcome::Dropped);
}

/// Y-142
#[tokio::test]
async fn degradation_is_measured_against_the_holdout_of_the_champion() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    let triggers = "{ on_degradation: { model: eta, metric: mae, worse_by: 10% } }, \
                    { on_degradation: { model: eta, metric: r2, below: 0.5 } }";
    let dag = watched(triggers, ECHO);
    promote(engine, 1).await;
    let now = Timestamp::now();
    assert!(!look(engine, &dag, now).await);
    for (mae, labels, found) in [(82.0, 400, false), (83.0, 29, false), (83.0, 30, true)] {
        monitoring::write(engine.bucket(), accuracy(1, mae, labels))
            .await
            .unwrap();
        assert_eq!(look(engine, &dag, now).await, found, "{mae} {labels}");
    }
    let events = engine.store().trigger_events("watched", 10).await.unwrap();
    assert_eq!(events.len(), 1, "r2 is above its bound: {events:?}");
    assert_eq!(
        events[0].what,
        "mae of eta@1 is 83.0000 over 30 rows, 75.0000 on the holdout (worse_by 10%)"
    );
}

/// Y-145
#[tokio::test]
async fn three_retrains_without_a_better_model_pause_the_trigger_until_somebody_ends_the_pause() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    let (trains, promotes, echo) = (
        watched("{ on_data_change: { from: 'a.csv', every: 1m } }", TRAINS),
        watched("{ on_data_change: { from: 'a.csv', every: 1m } }", PROMOTES),
        watched("{ on_data_change: { from: 'a.csv', every: 1m } }", ECHO),
    );
    let mut now = Timestamp::now();
    let mut round = 0;
    // Each with what pauses itself after it.
    let mut retrain = async |dag: &Dag| {
        round += 1;
        now += hours(7);
        write(&fixture, "a.csv", &format!("content {round}"), 1_000 - round);
        assert!(look(engine, dag, now).await);
        let id = run(engine, engine.start_triggered(dag, now).await.unwrap()).await;
        assert_eq!(engine.run(&id).await.unwrap().status, RunStatus::Succeeded);
        // Two schedulers judge at once: each run counts once.
        let (one, other) = tokio::join!(engine.judge_triggered(), engine.judge_triggered());
        [one.unwrap(), other.unwrap()].concat()
    };
    assert!(retrain(&trains).await.is_empty());
    assert!(retrain(&trains).await.is_empty());
    assert!(retrain(&promotes).await.is_empty(), "a better one: it begins anew");
    assert!(retrain(&trains).await.is_empty());
    assert!(retrain(&trains).await.is_empty());
    assert!(retrain(&echo).await.is_empty(), "nothing was trained: it says nothing");
    let paused = retrain(&trains).await;
    assert_eq!(paused.len(), 1, "{paused:?}");
    assert_eq!(paused[0].reason, "3 retrains in a row gave no better model");
    let (address, heard) = hook(&[200]).await;
    let text = format!(
        "{}notify: [{{ on: [trigger_paused], webhook: '{address}' }}]\n",
        trains.text
    );
    engine.tell_paused(&dag(&text), &paused[0]).await;
    let expected = "*watched* starts nothing any more by `on_data_change a.csv`: 3 retrains in a row gave no better \
                    model; `ratchet dags unpause watched` lets it go on";
    assert_eq!(heard.lock().unwrap()[0].1, expected);
    let record = &engine.store().triggers("watched").await.unwrap()[0];
    assert!(record.paused_at.is_some() && record.fruitless == 3, "{record:?}");
    // What is found nevertheless waits.
    write(&fixture, "a.csv", "more", 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(look(engine, &trains, now).await);
    let later = now + hours(100);
    assert_eq!(
        engine.start_triggered(&trains, later).await.unwrap(),
        Triggered::Nothing
    );
    assert!(engine.store().unpause("watched").await.unwrap());
    run(engine, engine.start_triggered(&trains, later).await.unwrap()).await;
    assert_eq!(engine.store().triggers("watched").await.unwrap()[0].paused_at, None);
}

#[tokio::test]
async fn a_paused_dag_and_as_many_active_runs_as_may_be_hold_back() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    write(&fixture, "a.csv", "one", 60);
    let dag = watched("{ on_data_change: { from: 'a.csv' } }", ECHO);
    let now = Timestamp::now();
    assert!(look(engine, &dag, now).await);
    engine.store().pause("watched", "ada").await.unwrap();
    assert_eq!(engine.start_triggered(&dag, now).await.unwrap(), Triggered::Nothing);
    engine.store().unpause("watched").await.unwrap();
    let Triggered::Started { .. } = engine.start_triggered(&dag, now).await.unwrap() else {
        panic!("it waits")
    };
    write(&fixture, "a.csv", "two", 30);
    assert!(look(engine, &dag, now).await);
    assert_eq!(
        engine.start_triggered(&dag, now + hours(7)).await.unwrap(),
        Triggered::Busy
    );
}

/// Y-143
#[tokio::test]
async fn a_webhook_takes_its_token_and_gives_its_parameters_once_for_each_key() {
    let fixture = Fixture::new().await;
    let engine = &fixture.engine;
    let text = "name: watched\nmax_active_runs: 9\nparams: { rows: { type: integer, maximum: 100 } }\n\
                triggers: [{ on_webhook: { token: \"${{ secrets.NOBODY_SETS_THIS | default('let me in') }}\", params: { rows: /n } } }]\n\
                tasks:\n  a: { uses: test.echo, with: { value: '${{ params.rows }}' } }\n";
    let dag = dag(text);
    let now = Timestamp::now();
    let call = async |token: &str, body: Value, key: Option<&str>| {
        engine
            .call_hook(Some(&dag), token, &body, key, now)
            .await
            .map_err(|error| error.to_string())
    };
    let refused = "there is no such webhook, or the token is not its own";
    assert_eq!(call("let me out", json!({ "n": 7 }), None).await.unwrap_err(), refused);
    let none = engine.call_hook(None, "let me in", &Value::Null, None, now).await;
    assert_eq!(none.unwrap_err().to_string(), refused);
    assert!(
        call("let me in", json!({ "n": 700 }), None)
            .await
            .unwrap_err()
            .contains("at most 100")
    );
    assert!(
        call("let me in", json!({}), None)
            .await
            .unwrap_err()
            .contains("no default")
    );
    let first = run(engine, call("let me in", json!({ "n": 7 }), Some("k")).await.unwrap()).await;
    assert_eq!(engine.run(&first).await.unwrap().params["rows"], json!(7));
    let again = call("let me in", json!({ "n": 7 }), Some("k")).await.unwrap();
    assert_eq!(again, Triggered::Nothing, "the same call");
    let second = run(engine, call("let me in", json!({ "n": 8 }), None).await.unwrap()).await;
    assert_eq!(engine.run(&second).await.unwrap().actor, "on_webhook");
    engine.store().pause("watched", "ada").await.unwrap();
    assert!(
        call("let me in", json!({ "n": 9 }), None)
            .await
            .unwrap_err()
            .contains("paused")
    );
}
