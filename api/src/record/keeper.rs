//! Writes what was recorded, on a thread of its own, and keeps the log small.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::Bucket;
use ratchet_database::Address;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, oneshot, watch};

use super::asked::Outcome;
use super::feeder::Feeder;
use super::monitor::{Judge, Monitor};
use super::options::RecordOptions;
use super::recorder::{Recorder, Waiting};
use super::scribe::Scribe;
use super::store::{NewRow, Store, StoreError};
use crate::telemetry::Telemetry;

/// How long the first of some rows waits for more: whoever is woken for each of them does little else.
const GATHER: Duration = Duration::from_millis(5);
/// Before the database is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the log's size.
const TRIM: Duration = Duration::from_secs(60);
/// How long the rest may take when the service stops.
const DRAIN: Duration = Duration::from_secs(10);

/// The log of a service that runs: its database, and the threads that fill and empty it.
#[derive(Debug)]
pub struct Keeper {
    address: Address,
    reading: Arc<OnceCell<Store>>,
    stop: watch::Sender<bool>,
    ended: tokio::sync::Mutex<Vec<oneshot::Receiver<()>>>,
}

impl Keeper {
    /// Starts the threads. A database that does not answer is tried again and again; meanwhile requests are dropped and counted.
    pub fn start(
        options: &RecordOptions,
        address: Address,
        bucket: &Bucket,
        telemetry: &Arc<Telemetry>,
    ) -> (Keeper, Recorder) {
        let (recorder, waiting) = Recorder::new(telemetry.clone());
        let (stop, stopped) = watch::channel(false);
        let (written, all_written) = watch::channel(false);
        let reading = Arc::new(OnceCell::new());
        let (monitor, windows) = Monitor::new(options.drift);
        let judge = Judge {
            rate: options.drift.rate,
            store: StoreAt::new(&address, &reading),
            bucket: bucket.clone(),
            telemetry: telemetry.clone(),
        };
        let writer = Writer {
            monitor,
            scribe: Scribe {
                options: options.clone(),
                telemetry: telemetry.clone(),
            },
            store: StoreAt::new(&address, &reading),
            telemetry: telemetry.clone(),
        };
        let mut ended = Vec::from([on_a_thread("record", async move {
            writer.run(waiting, stopped).await;
            let _ = written.send(true);
        })]);
        ended.push(on_a_thread("drift", judge.run(windows, all_written.clone())));
        if options.feeds {
            let feeder = Feeder::new(StoreAt::new(&address, &reading), bucket.clone(), telemetry.clone());
            // What was still written goes along.
            ended.push(on_a_thread("feeds", feeder.run(all_written)));
        }
        let keeper = Keeper {
            address,
            reading,
            stop,
            ended: tokio::sync::Mutex::new(ended),
        };
        (keeper, recorder)
    }

    /// A log that nobody keeps, for tests of what needs none.
    pub fn idle(address: Address) -> Keeper {
        Keeper {
            address,
            reading: Arc::default(),
            stop: watch::channel(false).0,
            ended: tokio::sync::Mutex::default(),
        }
    }

    /// The database, opened if it is not yet.
    ///
    /// # Errors
    /// [`StoreError`] if it does not answer.
    pub async fn store(&self) -> Result<Store, StoreError> {
        StoreAt::new(&self.address, &self.reading).get().await
    }

    /// Writes what waits, sends it to the bucket, and ends.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let all = async {
            for ended in self.ended.lock().await.iter_mut() {
                // An error means that the thread is gone already.
                let _ = ended.await;
            }
        };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!("the log could not be written to its end in {} s", DRAIN.as_secs());
        }
        if let Some(store) = self.reading.get() {
            store.close().await;
        }
    }
}

/// Runs work of the current runtime on a thread that may be kept busy, and says when it ended.
fn on_a_thread(name: &str, work: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
    let (ending, ended) = oneshot::channel();
    let handle = Handle::current();
    let body = move || {
        handle.block_on(work);
        let _ = ending.send(());
    };
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
        tracing::error!(%error, "no thread for the log; it is not kept");
    }
    ended
}

/// A database that is opened when it is first needed.
#[derive(Clone, Debug)]
pub(super) struct StoreAt {
    address: Address,
    opened: Arc<OnceCell<Store>>,
}

impl StoreAt {
    fn new(address: &Address, opened: &Arc<OnceCell<Store>>) -> StoreAt {
        StoreAt {
            address: address.clone(),
            opened: opened.clone(),
        }
    }

    /// One that is open.
    #[cfg(test)]
    pub(super) fn of(store: Store) -> StoreAt {
        StoreAt {
            address: Address::file(std::path::Path::new("opened already")),
            opened: Arc::new(OnceCell::new_with(Some(store))),
        }
    }

    pub(super) async fn get(&self) -> Result<Store, StoreError> {
        let opened = self.opened.get_or_try_init(|| Store::open(&self.address)).await;
        opened.cloned()
    }
}

struct Writer {
    monitor: Monitor,
    scribe: Scribe,
    store: StoreAt,
    telemetry: Arc<Telemetry>,
}

impl Writer {
    async fn run(mut self, mut waiting: Waiting, mut stopped: watch::Receiver<bool>) {
        let mut rows: Vec<NewRow> = Vec::new();
        let mut trim_at = tokio::time::Instant::now();
        let mut reachable = true;
        loop {
            let stopping = *stopped.borrow();
            if rows.is_empty() {
                let first = match stopping {
                    true => waiting.first_waiting(),
                    false => tokio::select! {
                        first = waiting.first() => {
                            tokio::time::sleep(GATHER).await;
                            first
                        }
                        _ = stopped.changed() => continue,
                        () = tokio::time::sleep_until(trim_at) => None,
                    },
                };
                let entries = waiting.with_more(first);
                if entries.is_empty() && stopping {
                    return;
                }
                for entry in &entries {
                    if let Outcome::Answered(recorded) = &entry.outcome {
                        self.monitor.observe(recorded, entry.asked.at);
                    }
                }
                self.monitor.look(Timestamp::now());
                rows = entries.into_iter().flat_map(|entry| self.scribe.rows(entry)).collect();
            }
            match self.write(&rows, &mut trim_at).await {
                Ok(()) => {
                    self.telemetry.record_written(rows.len() as u64);
                    rows.clear();
                    if !reachable {
                        tracing::info!("the log can be written again");
                    }
                    reachable = true;
                    self.telemetry.record_reachable(true);
                }
                Err(error) if stopping => {
                    tracing::error!(%error, rows = rows.len(), "the last rows of the log are lost");
                    self.telemetry.record_dropped("stopped", rows.len() as u64);
                    return;
                }
                Err(error) => {
                    if reachable {
                        tracing::error!(%error, "the log cannot be written; predictions go on, what finds no room is dropped");
                    }
                    reachable = false;
                    self.telemetry.record_reachable(false);
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        _ = stopped.changed() => {}
                    }
                }
            }
        }
    }

    async fn write(&self, rows: &[NewRow], trim_at: &mut tokio::time::Instant) -> Result<(), StoreError> {
        let store = self.store.get().await?;
        store.append(rows).await?;
        if *trim_at <= tokio::time::Instant::now() {
            let age = SignedDuration::from_hours(24 * i64::from(self.scribe.options.days));
            let oldest = (Timestamp::now() - age).as_millisecond();
            let gone = store.trim(oldest, self.scribe.options.bytes).await?;
            if gone > 0 {
                tracing::info!(entries = gone, "the oldest entries of the log went");
            }
            *trim_at = tokio::time::Instant::now() + TRIM;
        }
        Ok(())
    }
}
