//! Windows of answered rows, judged against what training saw.
//!
//! The thread that writes the log counts each row ([`Monitor`]); a full window goes to another thread ([`Judge`]), which knows the thresholds
//! for its size, tells the metrics, and writes the window to `monitoring/` in the bucket, where the engine's triggers read it. Sampling of
//! the log does not touch the windows: every answered row counts, until a model's window is full; the next one begins after a pause.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::Bucket;
use ratchet_artifacts::monitoring::{self, DriftStatistic, NewWindow, WindowKind};
use ratchet_model::drift::{Calibration, Counts, Drift, Reference};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::asked::Recorded;
use super::keeper::StoreAt;
use super::measures::measure;
use super::options::DriftOptions;
use crate::models::registry::CHAMPION;
use crate::telemetry::Telemetry;

/// Versions that are watched at once.
const WATCHED: usize = 64;
/// A window that is not full is judged after this long, if it has as many rows.
const EARLY: [(Duration, u64); 2] = [(Duration::from_secs(3600), 300), (Duration::from_secs(86_400), 50)];
/// Between two looks at the labels.
const ACCURACY: Duration = Duration::from_secs(900);
/// How far back they go.
const ACCURACY_HOURS: i64 = 24;
/// Fewest labels of a window of accuracy.
const FEWEST_LABELS: i64 = 30;
/// Most labelled rows that are looked at.
const LABELS: i64 = 100_000;

/// A window whose rows are counted.
#[derive(Debug)]
pub(super) struct Full {
    model: String,
    version: u64,
    reference: Arc<Reference>,
    counts: Counts,
    from: Timestamp,
    to: Timestamp,
}

#[derive(Debug)]
struct Watched {
    reference: Arc<Reference>,
    counts: Counts,
    from: Timestamp,
    to: Timestamp,
    not_before: Timestamp,
}

/// Counts answered rows.
#[derive(Debug)]
pub(super) struct Monitor {
    options: DriftOptions,
    watched: HashMap<(String, u64), Watched>,
    full: UnboundedSender<Full>,
}

impl Monitor {
    /// The counter, and where its windows arrive.
    pub(super) fn new(options: DriftOptions) -> (Monitor, UnboundedReceiver<Full>) {
        let (full, arrived) = unbounded_channel();
        let monitor = Monitor {
            options,
            watched: HashMap::new(),
            full,
        };
        (monitor, arrived)
    }

    /// Counts rows of one version.
    pub(super) fn observe(&mut self, recorded: &Recorded, at: Timestamp) {
        let served = &recorded.served;
        let key = (served.name.clone(), served.version.version);
        if self.watched.len() >= WATCHED && !self.watched.contains_key(&key) {
            self.forget_oldest();
        }
        let watched = self.watched.entry(key.clone()).or_insert_with(|| {
            let content = served.bundle.content();
            let names = content.schema.fields.iter().map(|field| field.name.clone()).collect();
            let reference = Reference::new(&content.profile, names, content.target.answer.clone());
            Watched {
                counts: reference.counts(),
                reference: Arc::new(reference),
                from: at,
                to: at,
                not_before: at,
            }
        });
        let mut predictions = recorded.predictions.as_slice();
        for rows in &recorded.rows {
            let mut begin = 0;
            while begin < rows.len() && predictions.len() >= rows.len() - begin && at >= watched.not_before {
                if watched.counts.rows() == 0 {
                    watched.from = at;
                }
                watched.to = at;
                let room = (self.options.rows - watched.counts.rows()) as usize;
                let end = rows.len().min(begin + room);
                let (these, rest) = predictions.split_at(end - begin);
                predictions = rest;
                let answers: Vec<f64> = these.iter().map(|predicted| predicted.prediction.monitored()).collect();
                let strange = these.iter().filter(|predicted| predicted.outside > 0).count() as u64;
                let reference = watched.reference.clone();
                if begin == 0 && end == rows.len() {
                    reference.count(&mut watched.counts, rows, &answers, strange);
                } else {
                    let part: Vec<usize> = (begin..end).collect();
                    reference.count(&mut watched.counts, &rows.select(&part), &answers, strange);
                }
                begin = end;
                if watched.counts.rows() >= self.options.rows {
                    send(&self.full, &key, watched, self.options.every);
                }
            }
        }
    }

    /// Sends windows that have waited long enough for more rows.
    pub(super) fn look(&mut self, now: Timestamp) {
        for (key, watched) in &mut self.watched {
            let age = now.duration_since(watched.from);
            let rows = watched.counts.rows();
            let due = |(after, least): &(Duration, u64)| {
                rows >= *least && SignedDuration::try_from(*after).is_ok_and(|after| age >= after)
            };
            if EARLY.iter().any(due) {
                send(&self.full, key, watched, self.options.every);
            }
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.watched.iter().min_by_key(|(_, watched)| watched.to);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.watched.remove(&key);
        }
    }
}

fn send(full: &UnboundedSender<Full>, key: &(String, u64), watched: &mut Watched, every: Duration) {
    let empty = watched.reference.counts();
    let window = Full {
        model: key.0.clone(),
        version: key.1,
        reference: watched.reference.clone(),
        counts: std::mem::replace(&mut watched.counts, empty),
        from: watched.from,
        to: watched.to,
    };
    let pause = SignedDuration::try_from(every).unwrap_or(SignedDuration::ZERO);
    watched.not_before = watched.from + pause;
    // Nobody receives any more when the service stops.
    let _ = full.send(window);
}

/// Judges windows.
pub(super) struct Judge {
    pub(super) rate: f64,
    pub(super) store: StoreAt,
    pub(super) bucket: Bucket,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Completes when it is time to stop, also because whoever would say so is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Thresholds that were worked out, by version, number of rows and rows of each season.
type Known = HashMap<(String, u64, u64, Vec<u64>), Arc<Calibration>>;

impl Judge {
    /// Judges windows until no more can come.
    pub(super) async fn run(self, mut arrived: UnboundedReceiver<Full>, mut stopped: watch::Receiver<bool>) {
        let mut known = Known::new();
        let mut labels = HashMap::new();
        let mut look_at = tokio::time::Instant::now() + ACCURACY;
        loop {
            tokio::select! {
                full = arrived.recv() => match full {
                    Some(full) => self.judge(full, &mut known).await,
                    None => return,
                },
                () = tokio::time::sleep_until(look_at) => {
                    self.accuracy(&mut labels).await;
                    look_at = tokio::time::Instant::now() + ACCURACY;
                }
                () = told(&mut stopped) => return,
            }
        }
    }

    async fn judge(&self, full: Full, known: &mut Known) {
        let rows = full.counts.rows();
        let key = (full.model.clone(), full.version, rows, full.counts.seasons().to_vec());
        let calibration = match known.get(&key) {
            Some(calibration) => calibration.clone(),
            None => {
                if known.len() >= WATCHED {
                    known.clear();
                }
                // This thread may be kept busy.
                let made = Arc::new(Calibration::new(&full.reference, &full.counts, self.rate));
                known.insert(key, made.clone());
                made
            }
        };
        let measured = calibration.measure(&full.reference, &full.counts);
        let alarms: Vec<&Drift> = measured.iter().filter(|drift| drift.is_alarm()).collect();
        self.telemetry.drift(&full.model, &measured, alarms.len() as u64);
        for alarm in &alarms {
            tracing::warn!(
                model = full.model,
                version = full.version,
                rows,
                field = alarm.field,
                measure = alarm.measure,
                value = alarm.value,
                threshold = alarm.threshold,
                "requests have drifted from what training saw"
            );
        }
        let statistics = measured.into_iter().map(|drift| DriftStatistic {
            field: drift.field,
            measure: drift.measure.to_owned(),
            value: drift.value,
            // What decides nothing has a threshold that nothing passes.
            threshold: drift.threshold.unwrap_or(f64::MAX),
        });
        self.write(NewWindow {
            model: full.model,
            version: full.version,
            kind: WindowKind::Drift,
            from: full.from,
            to: full.to,
            rows,
            labels: 0,
            metrics: BTreeMap::new(),
            statistics: statistics.collect(),
        })
        .await;
    }

    /// Writes how good the answers of the last day were, where there are new labels.
    async fn accuracy(&self, labels_before: &mut HashMap<(String, i64, String), i64>) {
        let to = Timestamp::now();
        let from = to - SignedDuration::from_hours(ACCURACY_HOURS);
        let Ok(store) = self.store.get().await else { return };
        let since = from.as_millisecond();
        let covered = match store.coverage(since).await {
            Ok(covered) => covered,
            Err(error) => {
                tracing::warn!(%error, "the labels cannot be read");
                return;
            }
        };
        for (model, version, alias, rows, labels) in covered {
            self.telemetry
                .label_coverage(&model, &alias, labels as f64 / rows.max(1) as f64);
            let before = labels_before.insert((model.clone(), version, alias.clone()), labels);
            if labels < FEWEST_LABELS || before == Some(labels) {
                continue;
            }
            let labeled = match store.labeled((&model, version, &alias), since, LABELS).await {
                Ok(labeled) => labeled,
                Err(error) => {
                    tracing::warn!(%error, "the labels cannot be read");
                    return;
                }
            };
            let metrics: BTreeMap<String, f64> = measure(&labeled)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            self.telemetry.live_metrics(&model, &alias, &metrics);
            // What is not given to everybody degrades nothing.
            if alias != CHAMPION {
                continue;
            }
            self.write(NewWindow {
                model,
                version: version.unsigned_abs(),
                kind: WindowKind::Accuracy,
                from,
                to,
                rows: rows.unsigned_abs(),
                labels: labels.unsigned_abs(),
                metrics,
                statistics: Vec::new(),
            })
            .await;
        }
    }

    async fn write(&self, window: NewWindow) {
        let (model, kind) = (window.model.clone(), window.kind);
        if let Err(error) = monitoring::write(&self.bucket, window).await {
            tracing::warn!(model, ?kind, %error, "a window does not reach the bucket");
        }
    }
}
