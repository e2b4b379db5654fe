//! Follows the promotion log and brings the service to what it says.
//!
//! One task follows the log and one thread a load does the work; both send what happened to one loop, which alone decides and alone
//! replaces the snapshot. A promotion that comes while a load is under way starts a load of its own at once and makes the older one
//! stop at its next step, so that the newest entry never waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratchet_artifacts::{Bucket, PromotionEntry, PromotionLog};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::books::{self, Book, Place, champions, wanted};
use super::follow::{Event, follow, pass_on};
use super::load::{self, Job, Outcome, Problem, Reason};
use super::lookups::{self, Sighting};
use super::registry::{CHAMPION, Command, Served, Snapshot};
use super::retire::Retirement;
use super::route;
use super::shelf::Shelf;
use crate::openapi;
use crate::service::Application;

/// Pauses before a failed load is tried again: the first, and the longest when the bucket or when the bundle is to blame.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_UNREACHABLE_RETRY: Duration = Duration::from_secs(10);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// The running watcher; it stops when it is told to or dropped.
pub struct Watcher {
    commands: JoinHandle<()>,
    follower: JoinHandle<()>,
    lookups: JoinHandle<()>,
    decider: JoinHandle<()>,
}

impl Watcher {
    /// Starts from the entry `head`, the newest when the service started (none: nothing was ever promoted).
    pub fn start(
        application: Arc<Application>,
        bucket: Bucket,
        head: Option<PromotionEntry>,
        memory_limit: Option<u64>,
    ) -> Watcher {
        let (events, received) = unbounded_channel();
        let next = head.as_ref().map_or(1, |entry| entry.number + 1);
        let follower = tokio::spawn(follow(PromotionLog::new(bucket.clone()), next, events.clone()));
        let commands = tokio::spawn(pass_on(application.models.commands(), events.clone()));
        let (wanted, wanted_lookups) = watch::channel(BTreeMap::new());
        let lookups = tokio::spawn(lookups::follow(bucket.clone(), wanted_lookups, events.clone()));
        let decider = Decider {
            application,
            bucket,
            events,
            lookups: Shelf::new(wanted),
            memory_limit,
            retirement: Retirement::start(),
            books: BTreeMap::new(),
            head: None,
            log_problem: None,
            starting: true,
        };
        Watcher {
            commands,
            follower,
            lookups,
            decider: tokio::spawn(decider.run(head, received)),
        }
    }

    /// Stops following. What serves goes on serving.
    pub fn stop(&self) {
        self.commands.abort();
        self.follower.abort();
        self.lookups.abort();
        self.decider.abort();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Decider {
    application: Arc<Application>,
    bucket: Bucket,
    events: UnboundedSender<Event>,
    memory_limit: Option<u64>,
    retirement: Retirement,
    books: BTreeMap<Place, Book>,
    lookups: Shelf,
    head: Option<Arc<PromotionEntry>>,
    log_problem: Option<String>,
    starting: bool,
}

impl Decider {
    async fn run(mut self, head: Option<PromotionEntry>, mut received: UnboundedReceiver<Event>) {
        self.application.telemetry.log_reachable(true);
        if let Some(head) = head {
            self.follow_entry(head, &BTreeSet::new());
        }
        self.publish();
        loop {
            let retry_at = self.books.values().filter_map(|book| book.retry_at).min();
            tokio::select! {
                event = received.recv() => match event {
                    Some(event) => self.decide(event),
                    None => return,
                },
                () = wait_until(retry_at) => self.retry(),
            }
        }
    }

    fn decide(&mut self, event: Event) {
        match event {
            Event::Entries(entry, touched) => {
                self.follow_entry(*entry, &touched);
                self.publish();
            }
            Event::Loaded(outcome) => {
                self.settle(*outcome);
                self.publish();
            }
            Event::Asked(Command::Load(name)) => {
                for place in self.places(&name) {
                    let Some(book) = self.books.get_mut(&place) else {
                        continue;
                    };
                    book.set_aside = false;
                    let in_hand = book.loading.is_some()
                        || book
                            .served
                            .as_ref()
                            .is_some_and(|served| served.version == book.promoted);
                    if !in_hand {
                        // An old failure would be taken for the outcome of this load.
                        book.problem = None;
                        self.start_load(&place);
                    }
                }
                self.publish();
            }
            Event::Looked(sighting) => {
                self.look(*sighting);
                self.publish();
            }
            Event::Asked(Command::Unload(name)) => self.set_aside(&name),
            Event::Reached if self.log_problem.is_some() => {
                tracing::info!("the promotion log can be read again");
                self.log_problem = None;
                self.application.telemetry.log_reachable(true);
                self.publish();
            }
            Event::Reached => {}
            Event::Unreachable(problem) => {
                if self.log_problem.as_ref() != Some(&problem) {
                    tracing::warn!(problem, "cannot read the promotion log; what serves goes on serving");
                    self.log_problem = Some(problem);
                    self.application.telemetry.log_reachable(false);
                    self.publish();
                }
            }
        }
    }

    /// Brings the books to the table of an entry. A model that the new entries name is tried afresh, whatever failed before.
    fn follow_entry(&mut self, entry: PromotionEntry, touched: &BTreeSet<String>) {
        let entry = Arc::new(entry);
        self.head = Some(entry.clone());
        let wanted = wanted(&entry);
        let gone: Vec<Place> = self
            .books
            .keys()
            .filter(|place| !wanted.contains_key(*place))
            .cloned()
            .collect();
        for place in gone {
            self.drop_alias(&place);
        }
        for (place, (promoted, share)) in wanted {
            let book = self.books.entry(place.clone()).or_insert_with(|| Book {
                share,
                promoted: promoted.clone(),
                served: None,
                problem: None,
                loading: None,
                failures: 0,
                retry_at: None,
                set_aside: false,
            });
            book.share = share;
            let unchanged = book.promoted == promoted;
            let in_hand =
                book.served.as_ref().is_some_and(|served| served.version == promoted) || book.loading.is_some();
            let rests = book.problem.is_some() || book.set_aside;
            if unchanged && (in_hand || (rests && !touched.contains(&place.0))) {
                continue;
            }
            tracing::info!(
                model = place.0,
                alias = place.1,
                version = promoted.version,
                digest = promoted.digest,
                entry = entry.number,
                "promoted"
            );
            book.promoted = promoted;
            book.problem = None;
            book.failures = 0;
            book.retry_at = None;
            book.set_aside = false;
            let serves_it = book
                .served
                .as_ref()
                .is_some_and(|served| served.version == book.promoted);
            if let Some(loading) = book.loading.take() {
                loading.store(true, Ordering::Relaxed);
            }
            if !serves_it {
                self.start_load(&place);
            }
        }
    }

    /// The aliases of a model that are followed.
    fn places(&self, model: &str) -> Vec<Place> {
        self.books.keys().filter(|place| place.0 == model).cloned().collect()
    }

    fn drop_alias(&mut self, place: &Place) {
        let Some(book) = self.books.remove(place) else { return };
        tracing::info!(model = place.0, alias = place.1, "no longer answers");
        if let Some(loading) = book.loading {
            loading.store(true, Ordering::Relaxed);
        }
        // Published before it is let go, so that no request can take it afterwards.
        self.publish();
        if let Some(served) = book.served {
            self.application.telemetry.model_dropped(&served);
            self.application.telemetry.lookups_dropped(&served);
            self.retirement.retire(served);
        }
    }

    /// Takes a model out of service until somebody loads or promotes it again.
    fn set_aside(&mut self, name: &str) {
        let mut retired = Vec::new();
        for place in self.places(name) {
            let Some(book) = self.books.get_mut(&place) else {
                continue;
            };
            tracing::info!(model = name, alias = place.1, "unloaded by an administrator");
            book.set_aside = true;
            book.retry_at = None;
            book.problem = None;
            if let Some(loading) = book.loading.take() {
                loading.store(true, Ordering::Relaxed);
            }
            retired.extend(book.served.take());
        }
        // Published before it is let go, so that no request can take it afterwards.
        self.publish();
        for served in retired {
            self.application.telemetry.model_dropped(&served);
            self.application.telemetry.lookups_dropped(&served);
            self.retirement.retire(served);
        }
    }

    fn start_load(&mut self, place: &Place) {
        let Some(book) = self.books.get_mut(place) else { return };
        let cancelled = Arc::new(AtomicBool::new(false));
        book.loading = Some(cancelled.clone());
        book.retry_at = None;
        let job = Job {
            model: place.0.clone(),
            alias: place.1.clone(),
            promoted: book.promoted.clone(),
            fall_back_from: self
                .head
                .clone()
                .filter(|_| book.served.is_none() && place.1 == CHAMPION),
            lookups: self.lookups.held(),
        };
        let (handle, bucket, events) = (Handle::current(), self.bucket.clone(), self.events.clone());
        let work = move || {
            let outcome = load::run(&handle, &bucket, job, &cancelled);
            // A job that was cancelled has a successor, whose outcome counts.
            if !cancelled.load(Ordering::Relaxed) {
                let _ = events.send(Event::Loaded(Box::new(outcome)));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("load-model".to_owned()).spawn(work) {
            tracing::error!(model = place.0, %error, "no thread to load a model on");
            book.loading = None;
            book.retry_at = Some(Instant::now() + FIRST_RETRY);
        }
    }

    fn retry(&mut self) {
        let now = Instant::now();
        let due = |book: &Book| book.retry_at.is_some_and(|retry_at| retry_at <= now);
        let places: Vec<Place> = self
            .books
            .iter()
            .filter(|(_, book)| due(book))
            .map(|(place, _)| place.clone())
            .collect();
        for place in places {
            self.start_load(&place);
        }
    }

    /// Takes what a load brought into service, or writes down why not.
    fn settle(&mut self, outcome: Outcome) {
        let Outcome {
            job,
            promoted,
            stand_in,
            duration,
        } = outcome;
        let place = (job.model.clone(), job.alias.clone());
        let current = self
            .books
            .get(&place)
            .is_some_and(|book| book.promoted == job.promoted && book.loading.is_some());
        if !current {
            // Overtaken between the thread's last look and here.
            return;
        }
        let admitted = promoted.and_then(|served| self.admit(served));
        let Some(book) = self.books.get_mut(&place) else {
            return;
        };
        book.loading = None;
        match admitted {
            Ok(served) => {
                book.problem = None;
                book.failures = 0;
                self.serve(served, duration);
            }
            Err(problem) => {
                self.application
                    .telemetry
                    .load_failed(&job.model, problem.reason.as_str());
                if book.problem.as_ref() != Some(&problem) {
                    let serving = book.served.as_ref().map(|served| served.version.version);
                    tracing::error!(
                        model = job.model, alias = job.alias, version = job.promoted.version, digest = job.promoted.digest,
                        reason = problem.reason.as_str(), %problem, serving, "a promoted version does not load"
                    );
                }
                let longest = match problem.reason {
                    Reason::Unreachable => LONGEST_UNREACHABLE_RETRY,
                    _ => LONGEST_RETRY,
                };
                let pause = FIRST_RETRY
                    .saturating_mul(2_u32.saturating_pow(book.failures))
                    .min(longest);
                book.failures += 1;
                book.retry_at = Some(Instant::now() + pause);
                book.problem = Some(problem);
                if let Some(served) = stand_in.filter(|_| book.served.is_none()) {
                    match self.admit(served) {
                        Ok(served) => self.serve(served, duration),
                        Err(problem) => tracing::error!(model = job.model, %problem, "an earlier version is refused"),
                    }
                }
            }
        }
    }

    /// The checks that depend on the other models: the route, and the memory of all together.
    fn admit(&self, served: Served) -> Result<Served, Problem> {
        // Requests of the other aliases come by the champion's route.
        if let Some(declared) = served.route.as_ref().filter(|_| served.alias == CHAMPION) {
            route::check(&served.name, declared, &self.routes())
                .map_err(|message| Problem::new(Reason::Route, message))?;
        }
        self.check_memory(served.memory_bytes())?;
        Ok(served)
    }

    /// Whether so many more bytes stay below the limit.
    fn check_memory(&self, bytes: usize) -> Result<(), Problem> {
        if let Some(limit) = self.memory_limit {
            // The old bundle stays until its last request is answered, so both count.
            let taken: usize = self
                .books
                .values()
                .filter_map(|book| book.served.as_ref())
                .map(|other| other.memory_bytes())
                .sum();
            let needed = (taken + bytes) as u64;
            if needed > limit {
                let message = format!(
                    "models would take {needed} bytes with this one, the limit is {limit}; raise RATCHET_MEMORY_LIMIT or \
                     promote a smaller model"
                );
                return Err(Problem::new(Reason::Memory, message));
            }
        }
        Ok(())
    }

    /// Takes a newer version of a lookup into the models that read it; one that it does not fit keeps what it has.
    fn look(&mut self, sighting: Sighting) {
        let Sighting {
            lookup: name,
            loaded,
            mut problem,
        } = sighting;
        if let Some(loaded) = loaded {
            match self.check_memory(loaded.table.memory_bytes()) {
                Ok(()) => self.lookups.keep(loaded),
                Err(refused) => problem = problem.or(Some(refused)),
            }
        }
        let refused = self.attach();
        let problem = problem.or_else(|| refused.get(&name).cloned());
        if let Some(problem) = self.lookups.note(&name, problem) {
            tracing::error!(lookup = name, %problem, "the newest version of a lookup cannot be used; the last good one goes on");
            self.application.telemetry.lookup_failed(&name);
        }
    }

    /// Gives every model the newest versions of its lookups; what does not fit comes back by the lookup's name.
    fn attach(&mut self) -> BTreeMap<String, Problem> {
        let mut refused = BTreeMap::new();
        let mut retired = Vec::new();
        for book in self.books.values_mut() {
            let Some(served) = &book.served else { continue };
            if let Some(refreshed) = self.lookups.refresh(served, &mut refused) {
                self.application.telemetry.lookups_read(&refreshed);
                retired.extend(book.served.replace(Arc::new(refreshed)));
            }
        }
        if !retired.is_empty() {
            // Published before the old ones are let go, so that no request can take them afterwards.
            self.publish();
        }
        retired.into_iter().for_each(|served| self.retirement.retire(served));
        refused
    }

    fn serve(&mut self, served: Served, duration: Duration) {
        let served = Arc::new(served);
        for lookup in served.lookups.values() {
            self.lookups.keep(lookup.clone());
        }
        self.application.telemetry.lookups_read(&served);
        let Some(book) = self.books.get_mut(&(served.name.clone(), served.alias.clone())) else {
            return;
        };
        let previous = book.served.replace(served.clone());
        self.application
            .telemetry
            .model_served(&served, previous.as_deref(), duration);
        tracing::info!(
            model = served.name,
            alias = served.alias,
            version = served.version.version,
            digest = served.version.digest,
            milliseconds = duration.as_millis() as u64,
            "serves"
        );
        // Published before the old one is let go, so that no request can take it afterwards.
        self.publish();
        if let Some(previous) = previous {
            self.retirement.retire(previous);
        }
        // A newer version of a lookup may have come while this model was loading.
        for (name, problem) in self.attach() {
            self.lookups.note(&name, Some(problem));
        }
    }

    fn routes(&self) -> BTreeMap<String, Arc<Served>> {
        champions(&self.books)
            .filter_map(|served| Some((served.route.clone()?, served.clone())))
            .collect()
    }

    fn publish(&mut self) {
        let settled = |book: &Book| book.served.is_some() || book.problem.is_some() || book.set_aside;
        let mut firsts = self.books.iter().filter(|(place, _)| place.1 == CHAMPION);
        self.starting = self.starting && !firsts.all(|(_, book)| settled(book));
        let served = self.books.values().filter_map(|book| book.served.as_deref());
        self.lookups.follow(served);
        let models = books::models(&self.books, self.head.as_deref());
        for (name, model) in &models {
            self.application.telemetry.model_behind(name, !model.is_current());
        }
        let openapi = openapi::with_models(champions(&self.books).map(Arc::as_ref));
        self.application.models.replace(Snapshot {
            models,
            routes: self.routes(),
            lookups: self.lookups.all().clone(),
            position: self.head.as_ref().map_or(0, |entry| entry.number),
            log_problem: self.log_problem.clone(),
            starting: self.starting,
            openapi,
        });
    }
}

async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
