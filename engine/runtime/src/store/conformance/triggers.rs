//! What triggers saw, the one run that follows, and runs that are late.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::spec::{Dag, Trigger};
use ratchet_core::state::RunStatus;
use ratchet_database::Address;

use super::{open, plugins};
use crate::record::{NewRun, RunTrigger};
use crate::store::{Store, Transition};
use crate::trigger::{NewEvent, Triggered};

fn dag() -> Dag {
    let text = "name: watched\ntriggers: [{ on_dataset: { dataset: trips } }, { on_drift: { model: eta } }]\n\
                deadline: 1h\nparams: { city: { type: string, default: York } }\n\
                tasks:\n  a: { uses: test.echo, with: { value: '${{ params.city }}' } }\n";
    ratchet_core::load("some.yaml", text, &plugins::registry()).unwrap()
}

fn template() -> NewRun {
    NewRun {
        trigger: RunTrigger::Event,
        dag: dag(),
        params: BTreeMap::new(),
        ..super::new_run("watched", RunTrigger::Event)
    }
}

fn event(name: &str) -> NewEvent {
    NewEvent {
        event: name.to_owned(),
        what: format!("{name} happened"),
        subject: Some("eta@1".to_owned()),
        params: BTreeMap::from([("city".to_owned(), name.to_owned())]),
    }
}

async fn start(store: &Store, cooldown: i64) -> Triggered {
    store
        .start_triggered(&template(), SignedDuration::from_hours(cooldown), Timestamp::now())
        .await
        .unwrap()
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

pub(super) async fn a_change_is_kept_by_one_of_those_who_saw_it_and_has_one_run(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let dag = dag();
    let trigger: &Trigger = &dag.triggers[0];
    let now = Timestamp::now();
    let begun = tokio::join!(
        one.begin_trigger("watched", trigger, "1", &[], now),
        other.begin_trigger("watched", trigger, "1", &[], now)
    );
    assert!(begun.0.unwrap() ^ begun.1.unwrap());
    let known = one.trigger("watched", trigger).await.unwrap().unwrap();
    let event = [event("Leeds")];
    let saw = (0..6).map(|number| {
        let store = if number % 2 == 0 { &one } else { &other };
        store.trigger_saw("watched", &known, "2", &event, now)
    });
    let saw = futures::future::try_join_all(saw).await.unwrap();
    assert_eq!(saw.iter().filter(|saw| **saw).count(), 1, "{saw:?}");
    let started = futures::future::join_all((0..6).map(|number| {
        let store = if number % 2 == 0 { &one } else { &other };
        start(store, 1)
    }));
    let started = started.await;
    let runs: Vec<&Triggered> = started
        .iter()
        .filter(|one| matches!(one, Triggered::Started { .. }))
        .collect();
    assert_eq!(runs.len(), 1, "{started:?}");
    assert!(
        started.iter().all(|one| runs[0] == one || *one == Triggered::Nothing),
        "{started:?}"
    );
    let listed = other.list_runs(Some("watched"), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].params["city"], "Leeds");
    assert_eq!(listed[0].actor, "on_dataset trips");
    assert_eq!(other.trigger("watched", trigger).await.unwrap().unwrap().seen, "2");
}

pub(super) async fn what_is_held_back_waits_passes_or_starts_one_run(address: Address) {
    let store = open(&address).await;
    let dag = dag();
    let trigger: &Trigger = &dag.triggers[1];
    let now = Timestamp::now();
    store.begin_trigger("watched", trigger, "0", &[], now).await.unwrap();
    let find = async |name: &str| {
        let known = store.trigger("watched", trigger).await.unwrap().unwrap();
        store
            .trigger_found("watched", &known, "0", &[event(name)], now)
            .await
            .unwrap()
    };
    assert_eq!(find("a").await, 1);
    assert_eq!(find("a").await, 0, "the same name is the same event");
    let Triggered::Started { run } = start(&store, 0).await else {
        panic!("it waits")
    };
    find("b").await;
    assert_eq!(start(&store, 0).await, Triggered::Busy);
    end(&store, &run).await;
    assert!(matches!(start(&store, 1).await, Triggered::CoolsDown { until } if until > now));
    store.pause("watched", "ada").await.unwrap();
    assert_eq!(start(&store, 0).await, Triggered::Nothing);
    store.unpause("watched").await.unwrap();
    store
        .drop_passed_events("watched", "on_drift eta", "eta@2")
        .await
        .unwrap();
    assert_eq!(start(&store, 0).await, Triggered::Nothing);
    for name in ["c", "d"] {
        find(name).await;
    }
    let Triggered::Started { run } = start(&store, 0).await else {
        panic!("they wait")
    };
    assert_eq!(
        store.run(&run).await.unwrap().unwrap().params["city"],
        "d",
        "the newest word"
    );
    let events = store.trigger_events("watched", 10).await.unwrap();
    let of_the_run = events.iter().filter(|event| event.run.as_ref() == Some(&run)).count();
    assert_eq!((events.len(), of_the_run), (4, 2));
}

pub(super) async fn a_triggered_run_is_judged_once(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    let dag = dag();
    let trigger: &Trigger = &dag.triggers[1];
    let now = Timestamp::now();
    one.begin_trigger("watched", trigger, "0", &[], now).await.unwrap();
    let mut paused = 0;
    for round in 0..3 {
        let known = one.trigger("watched", trigger).await.unwrap().unwrap();
        let event = [event(&round.to_string())];
        one.trigger_found("watched", &known, "0", &event, now).await.unwrap();
        let Triggered::Started { run } = start(&one, 0).await else {
            panic!("it waits")
        };
        assert!(one.unjudged_runs().await.unwrap().is_empty(), "it has not ended");
        end(&one, &run).await;
        assert_eq!(one.unjudged_runs().await.unwrap(), std::slice::from_ref(&run));
        let judged = tokio::join!(one.judge(&run, Some(false), 3), other.judge(&run, Some(false), 3));
        paused += judged.0.unwrap().len() + judged.1.unwrap().len();
        assert_eq!(paused, usize::from(round == 2));
    }
    let record = &other.triggers("watched").await.unwrap()[0];
    assert!(record.paused_at.is_some() && record.fruitless == 3, "{record:?}");
    assert!(one.unpause("watched").await.unwrap());
    let record = &other.triggers("watched").await.unwrap()[0];
    assert_eq!((record.paused_at, record.fruitless), (None, 0));
}

pub(super) async fn a_run_is_marked_late_once(address: Address) {
    let store = open(&address).await;
    let id = store.create_run(&template(), &Default::default()).await.unwrap();
    let run = store.run(&id).await.unwrap().unwrap();
    let left = run.due_at.unwrap().duration_since(run.created_at);
    assert!((SignedDuration::from_secs(3599)..=SignedDuration::from_secs(3600)).contains(&left));
    assert!(store.mark_late(&id, Timestamp::now()).await.unwrap());
    assert!(!store.mark_late(&id, Timestamp::now()).await.unwrap());
    assert!(store.run(&id).await.unwrap().unwrap().late_at.is_some());
    let other = store.create_run(&template(), &Default::default()).await.unwrap();
    end(&store, &other).await;
    assert!(
        !store.mark_late(&other, Timestamp::now()).await.unwrap(),
        "it has ended"
    );
}
