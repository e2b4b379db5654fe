//! Questions to people.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::state::TaskState;
use ratchet_database::Address;
use serde_json::json;

use super::{change, create, in_seconds, open};
use crate::approval::Answer;
use crate::store::{Question, Store, Taken, Transition};

fn asked(deadline: Option<Timestamp>) -> Transition {
    Transition {
        tasks: vec![change(0, TaskState::Awaiting, 0)],
        questions: vec![Question {
            position: 0,
            task: "first".to_owned(),
            message: "Promote „eta“?".to_owned(),
            deadline,
        }],
        at: Timestamp::now(),
        ..Transition::default()
    }
}

async fn asking(store: &Store, name: &str, deadline: Option<Timestamp>) -> String {
    let run = create(store, name).await;
    assert!(store.lease(&run, "me", in_seconds(60)).await.unwrap());
    store.transition(&run, "me", &asked(deadline)).await.unwrap();
    run
}

fn answer(approved: bool, by: Option<&str>) -> Answer {
    Answer {
        approved,
        by: by.map(str::to_owned),
        reason: by.map(|_| "for \"reasons\"".to_owned()),
        fields: BTreeMap::from([("ticket".to_owned(), json!(7))]),
    }
}

pub(super) async fn of_many_answers_the_first_stands(address: Address) {
    let (store, other) = (open(&address).await, open(&address).await);
    let run = asking(&store, "asks", None).await;
    let open_question = store.approvals(&run).await.unwrap();
    assert_eq!(
        (open_question[0].message.as_str(), open_question[0].answer.as_ref()),
        ("Promote „eta“?", None)
    );
    let people = ["ada", "bob", "eve", "joe"];
    let answers = people.iter().enumerate().map(|(number, by)| {
        let store = if number % 2 == 0 { &store } else { &other };
        let run = &run;
        async move { store.answer(run, "first", &answer(number % 2 == 0, Some(by))).await }
    });
    let taken = futures::future::try_join_all(answers).await.unwrap();
    assert_eq!(
        taken.iter().filter(|taken| **taken == Taken::Yes).count(),
        1,
        "{taken:?}"
    );
    let winner = taken.iter().position(|taken| *taken == Taken::Yes).unwrap();
    let kept = store.approvals(&run).await.unwrap().remove(0);
    assert_eq!(kept.answer, Some(answer(winner % 2 == 0, Some(people[winner]))));
    assert!(kept.answered_at.is_some());
    let missing = store.answer(&run, "second", &answer(true, Some("ada"))).await.unwrap();
    assert_eq!(missing, Taken::No);
}

pub(super) async fn a_person_answers_before_the_deadline_and_the_deadline_after_it(address: Address) {
    let store = open(&address).await;
    let now = Timestamp::now();
    let early = asking(&store, "early", Some(now + SignedDuration::from_secs(60))).await;
    assert_eq!(
        store.answer(&early, "first", &answer(false, None)).await.unwrap(),
        Taken::No
    );
    assert_eq!(
        store.answer(&early, "first", &answer(true, Some("ada"))).await.unwrap(),
        Taken::Yes
    );
    let late = asking(&store, "late", Some(now - SignedDuration::from_secs(1))).await;
    assert_eq!(
        store.answer(&late, "first", &answer(true, Some("ada"))).await.unwrap(),
        Taken::No
    );
    assert_eq!(
        store.answer(&late, "first", &answer(false, None)).await.unwrap(),
        Taken::Yes
    );
    let kept = store.approvals(&late).await.unwrap().remove(0);
    assert_eq!(kept.answer.and_then(|answer| answer.by), None);
    let cancelled = asking(&store, "cancelled", None).await;
    let end = Transition {
        tasks: vec![change(0, TaskState::Cancelled, 0)],
        at: Timestamp::now(),
        ..Transition::default()
    };
    store.transition(&cancelled, "me", &end).await.unwrap();
    assert_eq!(
        store
            .answer(&cancelled, "first", &answer(true, Some("ada")))
            .await
            .unwrap(),
        Taken::No
    );
}
