//! What happens to a replica: entries of the promotion log, loads that end, and commands of administrators, all in one line.

use std::collections::BTreeSet;
use std::time::Duration;

use ratchet_artifacts::{PromotionEntry, PromotionLog};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::load::Outcome;
use super::lookups::Sighting;
use super::registry::Command;

/// Shortest pause between two looks at the bucket, and how much chance adds: a fleet that started together spreads out.
const PAUSE: Duration = Duration::from_millis(700);
const JITTER_MILLISECONDS: u64 = 300;

/// Everything that happens.
pub(super) enum Event {
    /// New entries: the newest, and the models that any of them named.
    Entries(Box<PromotionEntry>, BTreeSet<String>),
    /// The log was read, and there was nothing new.
    Reached,
    /// The log could not be read.
    Unreachable(String),
    /// A lookup has a newer version, or cannot be read.
    Looked(Box<Sighting>),
    /// A load ended.
    Loaded(Box<Outcome>),
    /// An administrator asks.
    Asked(Command),
}

/// Commands of administrators, in line with all else that happens.
pub(super) async fn pass_on(mut commands: UnboundedReceiver<Command>, events: UnboundedSender<Event>) {
    while let Some(command) = commands.recv().await {
        if events.send(Event::Asked(command)).is_err() {
            return;
        }
    }
}

/// The pause between two looks.
pub(super) async fn pause() {
    let jitter = uuid::Uuid::now_v7().as_u128() as u64 % JITTER_MILLISECONDS;
    tokio::time::sleep(PAUSE + Duration::from_millis(jitter)).await;
}

/// Asks for the next entry about each second, and for all that follow at once.
pub(super) async fn follow(log: PromotionLog, mut next: u64, events: UnboundedSender<Event>) {
    loop {
        pause().await;
        let mut newest = None;
        let mut touched = BTreeSet::new();
        let problem = loop {
            match log.entry(next).await {
                Ok(Some(entry)) => {
                    touched.insert(entry.model.clone());
                    next = entry.number + 1;
                    newest = Some(entry);
                }
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        if let Some(entry) = newest {
            let _ = events.send(Event::Entries(Box::new(entry), touched));
        }
        let look = problem.map_or(Event::Reached, Event::Unreachable);
        if events.send(look).is_err() {
            return;
        }
    }
}
