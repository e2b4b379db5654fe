//! Writes what was recorded, on a thread of its own, and keeps the log small.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::Bucket;
use ratchet_model::TargetKind;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, oneshot, watch};
use uuid::Uuid;

use super::asked::{Entry, Outcome, Recorded, Refused};
use super::feeder::Feeder;
use super::monitor::{Judge, Monitor};
use super::options::RecordOptions;
use super::recorder::{Recorder, Waiting, told};
use super::store::{Address, NewRow, Store, StoreError};
use crate::models::registry::{Chosen, Served};
use crate::predict::answer::{Answering, Predicted};
use crate::telemetry::Telemetry;

/// Before the database is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the log's size.
const TRIM: Duration = Duration::from_secs(60);
/// Longest text of inputs of a refused request.
const REFUSED_INPUTS: usize = 64 * 1024;
/// How long the rest may take when the service stops.
const DRAIN: Duration = Duration::from_secs(10);
/// What stands in the place of a masked value.
const MASKED: &str = "(masked)";

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
            options: options.clone(),
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
    options: RecordOptions,
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
                let entries = match stopping {
                    true => waiting.take_waiting(),
                    false => tokio::select! {
                        entries = waiting.take() => entries,
                        _ = stopped.changed() => continue,
                        () = tokio::time::sleep_until(trim_at) => Vec::new(),
                    },
                };
                if entries.is_empty() && stopping {
                    return;
                }
                for entry in &entries {
                    if let Outcome::Answered(recorded) = &entry.outcome {
                        self.monitor.observe(recorded, entry.asked.at);
                    }
                }
                self.monitor.look(Timestamp::now());
                rows = entries.into_iter().flat_map(|entry| self.rows(entry)).collect();
            }
            match self.write(&rows, &mut trim_at).await {
                Ok(()) => {
                    self.telemetry.record_written(rows.len() as u64);
                    rows.clear();
                    if !reachable {
                        tracing::info!("the log can be written again");
                    }
                    reachable = true;
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
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        _ = stopped.changed() => {}
                    }
                }
            }
            self.telemetry.record_reachable(reachable);
        }
    }

    async fn write(&self, rows: &[NewRow], trim_at: &mut tokio::time::Instant) -> Result<(), StoreError> {
        let store = self.store.get().await?;
        store.append(rows).await?;
        if *trim_at <= tokio::time::Instant::now() {
            let age = SignedDuration::from_hours(24 * i64::from(self.options.days));
            let oldest = (Timestamp::now() - age).as_millisecond();
            let gone = store.trim(oldest, self.options.bytes).await?;
            if gone > 0 {
                tracing::info!(entries = gone, "the oldest entries of the log went");
            }
            *trim_at = tokio::time::Instant::now() + TRIM;
        }
        Ok(())
    }

    fn rows(&self, entry: Entry) -> Vec<NewRow> {
        let Entry {
            asked,
            elapsed,
            outcome,
        } = entry;
        let row = NewRow {
            request: asked.id.to_string(),
            at: asked.at.as_millisecond(),
            microseconds: elapsed.as_micros() as i64,
            path: asked.path.to_string(),
            caller: asked.caller.as_deref().map(str::to_owned),
            ..NewRow::default()
        };
        match outcome {
            Outcome::Answered(_) if !is_kept(asked.id, self.options.share) => Vec::new(),
            Outcome::Answered(recorded) => {
                let mut rows = self.beside(&row, &recorded);
                rows.extend(self.answered(&row, recorded));
                rows
            }
            Outcome::Refused(refused) => vec![self.refused(row, refused)],
        }
    }

    fn answered(&self, row: &NewRow, recorded: Recorded) -> Vec<NewRow> {
        let served = &recorded.served;
        let parts = recorded
            .inputs
            .into_iter()
            .zip(recorded.predictions)
            .zip(recorded.answers);
        parts
            .map(|((inputs, predicted), answer)| {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                self.given(row, served, inputs, &predicted, answer)
            })
            .collect()
    }

    /// What shadows answer to the same rows. It is worked out here, where nobody waits for it.
    fn beside(&self, row: &NewRow, recorded: &Recorded) -> Vec<NewRow> {
        let mut rows = Vec::new();
        for shadow in &recorded.shadows {
            let chosen = Chosen {
                served: shadow.clone(),
                shadows: Vec::new(),
            };
            let Ok(answering) = Answering::new(chosen, false) else {
                continue;
            };
            for (inputs, given) in recorded.inputs.iter().zip(&recorded.predictions) {
                let began = Instant::now();
                let answered = answering.row(inputs);
                let row = NewRow {
                    microseconds: began.elapsed().as_micros() as i64,
                    beside: Some(given.id.to_string()),
                    ..row.clone()
                };
                rows.push(match answered {
                    Ok(answered) => {
                        self.telemetry.predictions(&shadow.name, &shadow.alias, 1, 0);
                        let answer = Value::Object(answered.answer).to_string();
                        self.given(&row, shadow, inputs.clone(), &answered.predicted, answer)
                    }
                    Err(faults) => {
                        let refused = Refused {
                            id: Uuid::now_v7(),
                            served: Some(shadow.clone()),
                            status: 422,
                            error: told("the shadow refuses the row", &faults),
                            inputs: Some(Value::Object(inputs.clone())),
                        };
                        self.refused(row, refused)
                    }
                });
            }
        }
        rows
    }

    fn given(
        &self,
        row: &NewRow,
        served: &Served,
        mut inputs: Map<String, Value>,
        predicted: &Predicted,
        answer: String,
    ) -> NewRow {
        let content = served.bundle.content();
        let kind = match content.target.kind {
            TargetKind::Regression { .. } => "number",
            TargetKind::Binary { .. } => "binary",
            TargetKind::Ordinal { .. } => "class",
        };
        let slices = content.slices.as_ref();
        let slice = slices.and_then(|slices| content.schema.fields.get(slices.field));
        let slice = slice.and_then(|field| inputs.get(&field.name)).and_then(Value::as_str);
        let slice = slice.map(|slice| storable(slice.to_owned()));
        let prediction = &predicted.prediction;
        self.mask(Some(served), &mut inputs);
        NewRow {
            id: predicted.id.to_string(),
            status: 200,
            inputs: Some(Value::Object(inputs).to_string()),
            answer: Some(answer),
            kind: Some(kind.to_owned()),
            value: Some(prediction.value),
            probability: Some(prediction.probability()).filter(|share| share.is_finite()),
            lower: prediction.interval.map(|interval| interval.lower),
            upper: prediction.interval.map(|interval| interval.upper),
            slice,
            outside: predicted.outside as i64,
            ..of_version(row.clone(), served)
        }
    }

    fn refused(&self, row: NewRow, refused: Refused) -> NewRow {
        let row = match &refused.served {
            Some(served) => of_version(row, served),
            None => row,
        };
        let inputs = refused.inputs.map(|mut inputs| {
            let served = refused.served.as_deref();
            match &mut inputs {
                Value::Object(record) => self.mask(served, record),
                Value::Array(records) => {
                    for record in records.iter_mut().filter_map(Value::as_object_mut) {
                        self.mask(served, record);
                    }
                }
                _ => {}
            }
            inputs.to_string()
        });
        NewRow {
            id: refused.id.to_string(),
            status: i64::from(refused.status),
            error: Some(storable(refused.error)),
            // A part of JSON says nothing.
            inputs: inputs.filter(|text| text.len() <= REFUSED_INPUTS),
            ..row
        }
    }

    fn mask(&self, served: Option<&Served>, inputs: &mut Map<String, Value>) {
        for masked in &self.options.masked {
            let field = match masked.split_once('.') {
                Some((model, field)) if served.is_some_and(|served| served.name == model) => field,
                _ => masked.as_str(),
            };
            if let Some(value) = inputs.get_mut(field) {
                *value = Value::from(MASKED);
            }
        }
    }
}

/// Postgres keeps no text with the character 0, and one such row would hold up all that come after it.
fn storable(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{FFFD}"),
        false => text,
    }
}

fn of_version(row: NewRow, served: &Served) -> NewRow {
    NewRow {
        model: Some(served.name.clone()),
        version: Some(served.version.version as i64),
        digest: Some(served.version.digest.clone()),
        alias: Some(served.alias.clone()),
        ..row
    }
}

/// Whether a request is among the share that is kept: by the last bits of its id, so that all of its rows are or none. Those before
/// them count within a millisecond.
fn is_kept(id: Uuid, share: f64) -> bool {
    f64::from(id.as_u128() as u32) < share * 2_f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_is_kept() {
        let kept = |share| (0..10_000).filter(|_| is_kept(Uuid::now_v7(), share)).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        let tenth = kept(0.1);
        // Five standard deviations around a thousand.
        assert!((850..1150).contains(&tenth), "{tenth}");
    }
}
