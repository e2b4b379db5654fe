//! One look of one trigger.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::monitoring::{self, MonitoringWindow, WindowKind};
use ratchet_artifacts::{BucketError, CHAMPION, PromotionError, PromotionLog, datasets, models};
use ratchet_core::spec::{Dag, Limit, Trigger};
use ratchet_core::template::{Scope, render};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fingerprint::{self, Fingerprint, Sight};
use super::record::{NewEvent, TriggerRecord};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::store::to_json;

/// Replicas that write windows may have clocks that differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);
/// How often the bucket is looked at.
const BUCKET: Duration = Duration::from_secs(10);
/// When a source is looked at again that is being written.
const SOON: Duration = Duration::from_secs(2);

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// True if something was found that a run shall follow.
    pub found: bool,
    /// When to look again.
    pub again_in: Duration,
}

/// A trigger could not look. A lower-case fragment.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The metadata failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The promotion log cannot be read.
    #[error(transparent)]
    Promotions(#[from] PromotionError),
    /// The source cannot be looked at.
    #[error("{0}")]
    Source(String),
}

/// What a window says that a run shall follow, given the champion's metrics on the holdout; none if nothing.
type Describe<'a> = dyn Fn(&MonitoringWindow, &BTreeMap<String, f64>) -> Option<String> + Send + Sync + 'a;

/// How far windows were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Windows {
    /// Windows before this are no news.
    since: Timestamp,
    /// The newest that was read.
    until: Timestamp,
}

impl Engine {
    /// Lets a trigger of a DAG look. What it finds waits in the metadata until
    /// [`start_triggered`](Engine::start_triggered) makes a run of it.
    ///
    /// The first look only remembers what is there; but a source of a DAG that never ran is news to it.
    ///
    /// # Errors
    ///
    /// What is looked at, or the metadata, cannot be read.
    pub async fn look(&self, dag: &Dag, trigger: &Trigger, now: Timestamp) -> Result<Looked, LookError> {
        match trigger {
            Trigger::DataChange { from, every } => self.look_at_source(dag, trigger, from, *every, now).await,
            Trigger::Drift { model } => {
                let drifted = |window: &MonitoringWindow, _: &BTreeMap<String, f64>| described_drift(window);
                self.look_at_windows(dag, trigger, model, WindowKind::Drift, &drifted, now)
                    .await
            }
            Trigger::Degradation {
                model,
                metric,
                limit,
                min_labels,
            } => {
                let degraded = |window: &MonitoringWindow, holdout: &BTreeMap<String, f64>| {
                    described_degradation(window, holdout, metric, *limit, *min_labels)
                };
                self.look_at_windows(dag, trigger, model, WindowKind::Accuracy, &degraded, now)
                    .await
            }
            Trigger::Dataset { dataset } => self.look_at_dataset(dag, trigger, dataset, now).await,
            // Nobody looks: it is called.
            Trigger::Webhook { .. } => {
                self.store().begin_trigger(&dag.name, trigger, "null", &[], now).await?;
                Ok(Looked {
                    found: false,
                    again_in: Duration::from_secs(24 * 3600),
                })
            }
        }
    }

    async fn look_at_source(
        &self,
        dag: &Dag,
        trigger: &Trigger,
        from: &str,
        every: Duration,
        now: Timestamp,
    ) -> Result<Looked, LookError> {
        let looked = |found, again_in| Ok(Looked { found, again_in });
        let address = address(dag, from).map_err(LookError::Source)?;
        let known = self.store().trigger(&dag.name, trigger).await?;
        let before: Option<Fingerprint> = known.as_ref().map(read_seen).transpose()?.flatten();
        let directory = &self.inner.options.working_directory;
        let sight = fingerprint::look(&address, directory, before.as_ref())
            .await
            .map_err(LookError::Source)?;
        let seen = match sight {
            Sight::Settling => return looked(false, SOON.min(every)),
            Sight::Missing => None,
            Sight::Content(seen) => Some(seen),
        };
        let change = |seen: &Fingerprint, number: i64, what: &str| NewEvent {
            event: number.to_string(),
            what: format!("{address} {what}: {}", seen.shown()),
            subject: None,
            params: BTreeMap::new(),
        };
        let Some(known) = known else {
            let never_ran = self.store().list_runs(Some(&dag.name), 1).await?.is_empty();
            let first: Vec<NewEvent> = seen
                .iter()
                .filter(|_| never_ran)
                .map(|seen| change(seen, 0, "is there and the DAG never ran"))
                .collect();
            let begun = self
                .store()
                .begin_trigger(&dag.name, trigger, &to_json(&seen)?, &first, now)
                .await?;
            return looked(begun && !first.is_empty(), every);
        };
        let Some(seen) = seen.filter(|seen| before.as_ref() != Some(seen)) else {
            return looked(false, every);
        };
        // Another time of the same content is remembered, so that it is not read again.
        let changed = before.as_ref().is_none_or(|before| seen.differs(before));
        let what = if before.is_some() { "changed" } else { "appeared" };
        let event = changed.then(|| change(&seen, known.number + 1, what));
        let taken = self
            .store()
            .trigger_saw(&dag.name, &known, &to_json(&Some(&seen))?, event.as_slice(), now)
            .await?;
        looked(taken && changed, every)
    }

    async fn look_at_dataset(
        &self,
        dag: &Dag,
        trigger: &Trigger,
        dataset: &str,
        now: Timestamp,
    ) -> Result<Looked, LookError> {
        let looked = |found| {
            Ok(Looked {
                found,
                again_in: BUCKET,
            })
        };
        let bucket = self.bucket();
        let newest = datasets::versions(bucket, dataset)
            .await?
            .last()
            .copied()
            .unwrap_or_default();
        let Some(known) = self.store().trigger(&dag.name, trigger).await? else {
            self.store()
                .begin_trigger(&dag.name, trigger, &to_json(&newest)?, &[], now)
                .await?;
            return looked(false);
        };
        let before: u64 = read_seen(&known)?;
        if newest <= before {
            return looked(false);
        }
        // Versions that the DAG made itself start nothing: it would never end.
        let mut foreign = None;
        for version in before + 1..=newest {
            let manifest = datasets::get(bucket, dataset, version).await?;
            if let Some(manifest) = manifest.filter(|manifest| manifest.lineage.dag != dag.name) {
                foreign = Some(manifest);
            }
        }
        let event = foreign.map(|manifest| NewEvent {
            event: manifest.version.to_string(),
            what: format!(
                "{dataset}@{} was registered by {}",
                manifest.version, manifest.lineage.dag
            ),
            subject: None,
            params: BTreeMap::new(),
        });
        let taken = self
            .store()
            .trigger_saw(&dag.name, &known, &to_json(&newest)?, event.as_slice(), now)
            .await?;
        looked(taken && event.is_some())
    }

    async fn look_at_windows(
        &self,
        dag: &Dag,
        trigger: &Trigger,
        model: &str,
        kind: WindowKind,
        describe: &Describe<'_>,
        now: Timestamp,
    ) -> Result<Looked, LookError> {
        let looked = |found| {
            Ok(Looked {
                found,
                again_in: BUCKET,
            })
        };
        let Some(known) = self.store().trigger(&dag.name, trigger).await? else {
            let begin = Windows { since: now, until: now };
            self.store()
                .begin_trigger(&dag.name, trigger, &to_json(&begin)?, &[], now)
                .await?;
            return looked(false);
        };
        let seen: Windows = read_seen(&known)?;
        let head = PromotionLog::new(self.bucket().clone()).head().await?;
        let Some(champion) = head.as_ref().and_then(|head| head.holder(model, CHAMPION)) else {
            return looked(false);
        };
        // What was said of a version that no longer answers has passed.
        let subject = format!("{model}@{}", champion.version);
        self.store()
            .drop_passed_events(&dag.name, &known.trigger, &subject)
            .await?;
        let after = seen.since.max(seen.until - CLOCKS);
        let windows = monitoring::written_after(self.bucket(), model, after).await?;
        let Some(until) = windows.iter().map(|window| window.written_at).max() else {
            return looked(false);
        };
        let manifest = models::get(self.bucket(), model, champion.version).await?;
        let holdout = manifest.map(|manifest| manifest.metrics).unwrap_or_default();
        let events: Vec<NewEvent> = windows
            .iter()
            .filter(|window| window.kind == kind && window.version == champion.version)
            .filter_map(|window| {
                Some(NewEvent {
                    event: window.id.clone(),
                    what: describe(window, &holdout)?,
                    subject: Some(subject.clone()),
                    params: BTreeMap::new(),
                })
            })
            .collect();
        let next = Windows {
            until: seen.until.max(until),
            ..seen.clone()
        };
        if events.is_empty() && next == seen {
            return looked(false);
        }
        let new = self
            .store()
            .trigger_found(&dag.name, &known, &to_json(&next)?, &events, now)
            .await?;
        looked(new > 0)
    }
}

/// An address with the defaults of the DAG's parameters in it.
fn address(dag: &Dag, from: &str) -> Result<String, String> {
    let params = dag.bind(&BTreeMap::new()).map_err(|problems| problems.join("; "))?;
    let scope = Scope {
        params,
        ..Scope::default()
    };
    match render(&Value::String(from.to_owned()), &scope) {
        Ok(Value::String(address)) => Ok(address),
        Ok(other) => Err(format!("`from` is {other} and no address")),
        Err(error) => Err(format!("`from` cannot be evaluated: {error}")),
    }
}

fn read_seen<T: DeserializeOwned>(known: &TriggerRecord) -> Result<T, StoreError> {
    serde_json::from_str(&known.seen).map_err(|error| StoreError::Damaged {
        what: format!("what the trigger `{}` saw", known.trigger),
        message: error.to_string(),
    })
}

fn described_drift(window: &MonitoringWindow) -> Option<String> {
    let mut alarms: Vec<String> = window
        .alarms()
        .map(|alarm| {
            format!(
                "{} {} {:.3} > {:.3}",
                alarm.field, alarm.measure, alarm.value, alarm.threshold
            )
        })
        .collect();
    if alarms.is_empty() {
        return None;
    }
    let more = alarms.len().saturating_sub(3);
    alarms.truncate(3);
    if more > 0 {
        alarms.push(format!("and {more} more"));
    }
    Some(format!(
        "{}@{} drifted over {} rows: {}",
        window.model,
        window.version,
        window.rows,
        alarms.join(", ")
    ))
}

fn described_degradation(
    window: &MonitoringWindow,
    holdout: &BTreeMap<String, f64>,
    metric: &str,
    limit: Limit,
    min_labels: u64,
) -> Option<String> {
    let live = *window.metrics.get(metric)?;
    let less_is_better = Trigger::less_is_better(metric)?;
    let reference = holdout.get(metric).copied();
    let passed = match (limit, reference) {
        (Limit::Below(_), _) => limit.is_passed(less_is_better, live, live),
        (_, Some(reference)) => limit.is_passed(less_is_better, live, reference),
        (_, None) => false,
    };
    if !passed || window.labels < min_labels {
        return None;
    }
    let on_holdout = reference.map_or_else(String::new, |reference| format!(", {reference:.4} on the holdout"));
    Some(format!(
        "{metric} of {}@{} is {live:.4} over {} rows{on_holdout} ({limit})",
        window.model, window.version, window.labels
    ))
}
