//! What waits: paused DAGs.

use super::{new_run, open};
use crate::beginning::Beginning;
use crate::record::RunTrigger;
use ratchet_database::Address;

pub(super) async fn a_pause_is_kept_and_its_first_author_with_it(address: Address) {
    let (one, other) = (open(&address).await, open(&address).await);
    assert!(one.pauses().await.unwrap().is_empty());
    assert!(one.pause("a", "ada").await.unwrap());
    assert!(!other.pause("a", "olga").await.unwrap(), "it is paused already");
    assert!(other.pause("b", "olga").await.unwrap());
    let seen = other.pauses().await.unwrap();
    let by: Vec<(&str, &str)> = seen
        .iter()
        .map(|(dag, pause)| (dag.as_str(), pause.by.as_str()))
        .collect();
    assert_eq!(by, [("a", "ada"), ("b", "olga")]);
    // A run that somebody asks for is made all the same.
    let new = new_run("a", RunTrigger::Manual);
    one.create_run(&new, &Beginning::default()).await.unwrap();
    assert!(other.unpause("a").await.unwrap());
    assert!(!one.unpause("a").await.unwrap());
    assert_eq!(one.pauses().await.unwrap().len(), 1);
}
