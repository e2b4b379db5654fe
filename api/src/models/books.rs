//! What is known about each alias of each model, and what a snapshot shows of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ratchet_artifacts::PromotionEntry;
use tokio::time::Instant;

use super::load::Problem;
use super::registry::{Beside, CHAMPION, Model, Served, Version};

/// A model and an alias of it.
pub(super) type Place = (String, String);

/// What the decider knows about an alias of a model.
pub(super) struct Book {
    /// Share of the requests in percent; none for a shadow.
    pub(super) share: Option<u32>,
    pub(super) promoted: Version,
    pub(super) served: Option<Arc<Served>>,
    pub(super) problem: Option<Problem>,
    pub(super) loading: Option<Arc<AtomicBool>>,
    pub(super) failures: u32,
    pub(super) retry_at: Option<Instant>,
    /// An administrator took it out of service; nothing is loaded until somebody loads or promotes it again.
    pub(super) set_aside: bool,
}

/// The aliases that answer or run as shadows, with what they hold and their share.
pub(super) fn wanted(entry: &PromotionEntry) -> BTreeMap<Place, (Version, Option<u32>)> {
    let mut wanted = BTreeMap::new();
    for model in entry.table.keys() {
        let answering = entry.answering(model);
        // A shadow runs beside somebody.
        let shadows = entry
            .shadows(model)
            .filter(|(alias, _)| *alias != CHAMPION && !answering.is_empty());
        let shadows: Vec<_> = shadows.map(|(alias, holder)| (alias, holder, None)).collect();
        let answering = answering
            .into_iter()
            .map(|(alias, holder)| (alias, holder, Some(holder.weight)));
        for (alias, holder, share) in answering.chain(shadows) {
            let version = Version {
                version: holder.version,
                digest: holder.digest.clone(),
            };
            wanted.insert((model.clone(), alias.to_owned()), (version, share));
        }
    }
    wanted
}

/// The versions that answer under the champion's alias.
pub(super) fn champions(books: &BTreeMap<Place, Book>) -> impl Iterator<Item = &Arc<Served>> {
    let books = books.iter().filter(|(place, _)| place.1 == CHAMPION);
    books.filter_map(|(_, book)| book.served.as_ref())
}

/// The models by name, each with the aliases beside its champion.
pub(super) fn models(books: &BTreeMap<Place, Book>, head: Option<&PromotionEntry>) -> BTreeMap<String, Model> {
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    for ((name, _), book) in books.iter().filter(|(place, _)| place.1 == CHAMPION) {
        let model = Model {
            promoted: book.promoted.clone(),
            served: book.served.clone(),
            problem: book.problem.clone(),
            set_aside: book.set_aside,
            beside: Vec::new(),
            sticky: head.and_then(|head| head.sticky.get(name)).cloned(),
        };
        models.insert(name.clone(), model);
    }
    for ((name, alias), book) in books.iter().filter(|(place, _)| place.1 != CHAMPION) {
        let beside = Beside {
            alias: alias.clone(),
            share: book.share,
            promoted: book.promoted.clone(),
            served: book.served.clone(),
            problem: book.problem.clone(),
        };
        models.entry(name.clone()).and_modify(|model| model.beside.push(beside));
    }
    models
}
