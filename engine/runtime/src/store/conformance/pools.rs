//! Slots of pools.

use std::time::Duration;

use super::{create, in_seconds, open, started, succeeded};
use crate::error::StoreError;
use ratchet_database::Address;

use crate::store::{Claim, Store};

fn claim<'a>(run: &'a str, owner: &'a str, position: usize) -> Claim<'a> {
    Claim {
        pool: "gpu",
        size: 2,
        slots: 1,
        priority: 0,
        run,
        owner,
        position,
        attempt: 1,
        task: "first",
    }
}

async fn driven(store: &Store, name: &str, owner: &str) -> String {
    let run = create(store, name).await;
    assert!(store.lease(&run, owner, in_seconds(60)).await.unwrap());
    run
}

async fn held(store: &Store) -> Vec<(String, u32)> {
    let holders = store.slot_holders().await.unwrap();
    holders.into_iter().map(|holder| (holder.run, holder.slot)).collect()
}

pub(super) async fn slots_are_taken_once_and_come_free_with_the_end_of_the_attempt(address: Address) {
    let store = open(&address).await;
    let run = driven(&store, "one", "me").await;
    assert!(store.claim_slots(&claim(&run, "me", 0)).await.unwrap());
    let mut both = claim(&run, "me", 1);
    both.slots = 2;
    assert!(!store.claim_slots(&both).await.unwrap(), "all or none");
    assert_eq!(held(&store).await, [(run.clone(), 1)]);
    let waiting = store.slot_waiters().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].slots), (1, 2));
    store.transition(&run, "me", &started(0, 1)).await.unwrap();
    let mut end = succeeded(0, 1, None);
    end.freed = vec![(0, 1)];
    store.transition(&run, "me", &end).await.unwrap();
    assert_eq!(held(&store).await, []);
    assert!(store.claim_slots(&both).await.unwrap());
    assert_eq!(held(&store).await, [(run.clone(), 1), (run.clone(), 2)]);
    assert!(store.slot_waiters().await.unwrap().is_empty());
    let lost = store.claim_slots(&claim(&run, "another", 0)).await;
    assert!(matches!(lost, Err(StoreError::Leased { .. })), "{lost:?}");
    store.release(&run, "me").await.unwrap();
    assert_eq!(held(&store).await, []);
}

pub(super) async fn slots_of_an_engine_that_is_gone_are_free_when_its_lease_ends(address: Address) {
    let store = open(&address).await;
    let (gone, next) = (
        driven(&store, "gone", "one").await,
        driven(&store, "next", "other").await,
    );
    for position in 0..2 {
        assert!(store.claim_slots(&claim(&gone, "one", position)).await.unwrap());
    }
    assert!(!store.claim_slots(&claim(&next, "other", 0)).await.unwrap());
    store.renew(&gone, "one", in_seconds(-1)).await.unwrap();
    assert_eq!(held(&store).await, []);
    assert!(store.claim_slots(&claim(&next, "other", 0)).await.unwrap());
    assert!(store.lease(&gone, "other", in_seconds(60)).await.unwrap());
    assert_eq!(
        held(&store).await,
        [(next.clone(), 1)],
        "who takes the run over holds nothing yet"
    );
    assert!(store.claim_slots(&claim(&gone, "other", 0)).await.unwrap());
}

pub(super) async fn who_waits_with_a_higher_priority_comes_first(address: Address) {
    let store = open(&address).await;
    let (low, high) = (
        driven(&store, "low", "one").await,
        driven(&store, "high", "other").await,
    );
    let mut first = claim(&low, "one", 0);
    first.size = 1;
    assert!(store.claim_slots(&first).await.unwrap());
    let mut second = claim(&low, "one", 1);
    second.size = 1;
    assert!(!store.claim_slots(&second).await.unwrap());
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut third = claim(&high, "other", 0);
    (third.size, third.priority) = (1, 5);
    assert!(!store.claim_slots(&third).await.unwrap());
    let mut fourth = claim(&high, "other", 1);
    fourth.size = 1;
    store.transition(&low, "one", &started(0, 1)).await.unwrap();
    let mut end = succeeded(0, 1, None);
    end.freed = vec![(0, 1)];
    store.transition(&low, "one", &end).await.unwrap();
    assert!(!store.claim_slots(&second).await.unwrap(), "a higher priority waits");
    assert!(!store.claim_slots(&fourth).await.unwrap(), "others came before");
    assert!(store.claim_slots(&third).await.unwrap());
    store.transition(&high, "other", &started(0, 1)).await.unwrap();
    store.transition(&high, "other", &end).await.unwrap();
    assert!(
        !store.claim_slots(&fourth).await.unwrap(),
        "the same priority, and later"
    );
    assert!(store.claim_slots(&second).await.unwrap());
}

pub(super) async fn many_engines_never_take_more_slots_than_there_are(address: Address) {
    let stores = [open(&address).await, open(&address).await];
    let mut runs = Vec::new();
    for number in 0..8 {
        let owner = format!("engine {number}");
        runs.push((driven(&stores[0], "raced", &owner).await, owner));
    }
    let claims = runs.iter().enumerate().map(|(number, (run, owner))| {
        let store = &stores[number % 2];
        async move {
            let mut claim = claim(run, owner, 0);
            claim.size = 3;
            // Whoever lost a race asks again, as a dispatcher does.
            for _ in 0..5 {
                if store.claim_slots(&claim).await? {
                    return Ok::<_, StoreError>(true);
                }
            }
            Ok(false)
        }
    });
    let taken = futures::future::try_join_all(claims).await.unwrap();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 3, "{taken:?}");
    let slots: Vec<u32> = held(&stores[1]).await.into_iter().map(|(_, slot)| slot).collect();
    assert_eq!(slots, [1, 2, 3]);
}
