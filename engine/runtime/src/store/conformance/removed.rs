//! Runs that go.

use std::collections::BTreeSet;

use ratchet_core::plugin::{Blob, Output, Report};
use ratchet_core::state::RunStatus;
use ratchet_database::Address;

use super::{create, in_seconds, open, started, succeeded};
use crate::store::{AttemptName, Saying, SayingKind, Transition};

pub(super) async fn a_run_that_ended_is_removed_with_all_its_rows(address: Address) {
    let store = open(&address).await;
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let (run, other) = (create(&store, "gone").await, create(&store, "stays").await);
    for run in [&run, &other] {
        assert!(store.lease(run, "me", in_seconds(60)).await.unwrap());
        store.transition(run, "me", &started(0, 1)).await.unwrap();
        let mut end = succeeded(0, 1, None);
        if let Some(result) = &mut end.tasks[0].result {
            let report = Report {
                summary: "a report".to_owned(),
                file_name: "gate.json".to_owned(),
                blob: Blob {
                    sha256: digest.to_owned(),
                    bytes: 3,
                },
            };
            result.outputs.insert("report".to_owned(), Output::Report(report));
        }
        store.transition(run, "me", &end).await.unwrap();
        let saying = Saying {
            run: run.clone(),
            task: "first".to_owned(),
            attempt: 1,
            number: 1,
            kind: SayingKind::Log,
            body: "{}".to_owned(),
        };
        store.keep_said(&[saying], &[]).await.unwrap();
    }
    assert!(!store.remove_run(&run).await.unwrap(), "it has not ended");
    assert!(store.oldest_unfinished().await.unwrap().is_some());
    let ended = Transition {
        ended: Some(RunStatus::Succeeded),
        at: in_seconds(0),
        ..Transition::default()
    };
    for run in [&run, &other] {
        store.transition(run, "me", &ended).await.unwrap();
    }
    assert_eq!(store.oldest_unfinished().await.unwrap(), None);
    let found = store.ended_runs().await.unwrap();
    assert_eq!(found.iter().map(|found| &found.id).collect::<Vec<_>>(), [&run, &other]);
    assert_eq!(
        (found[0].status, found[0].finished_at),
        (RunStatus::Succeeded, ended.at)
    );

    let nobody = BTreeSet::new();
    let named = store.referenced_digests(&nobody).await.unwrap();
    assert_eq!(named, BTreeSet::from([digest.to_owned()]));
    let both = BTreeSet::from([run.clone(), other.clone()]);
    assert_eq!(store.run_ids().await.unwrap(), both);
    assert_eq!(store.referenced_digests(&both).await.unwrap(), nobody);

    assert!(store.remove_run(&run).await.unwrap());
    assert!(!store.remove_run(&run).await.unwrap(), "it is gone");
    assert!(store.run(&run).await.unwrap().is_none() && store.tasks(&run).await.unwrap().is_empty());
    assert!(store.events(&run).await.unwrap().is_empty() && store.attempts(&run).await.unwrap().is_empty());
    let name = AttemptName {
        run: run.clone(),
        task: "first".to_owned(),
        attempt: 1,
    };
    assert!(store.said(&name, SayingKind::Log).await.unwrap().is_empty());
    assert_eq!(store.tasks(&other).await.unwrap().len(), 2, "the other one is whole");
    assert_eq!(store.said_attempts(&other).await.unwrap().len(), 1);
}
