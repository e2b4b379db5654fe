//! `monitoring/<model>/<date>/<ulid>.json`: what serving saw of a model, window by window.
//!
//! A replica of the prediction service writes a window for each stretch of time that it looked at: how far the requests
//! lie from what training saw (`drift`), or how good the answers were once the truth was known (`accuracy`). The engine
//! reads them to start retrains. A window is written once, by one replica, and never changed.
//!
//! The day in the path is that on which the window was written, and the ULID begins with the millisecond: paths in
//! alphabetical order are windows in the order in which they were written.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::names::check_name;
use crate::versions::{decode, encode};
use crate::{Bucket, BucketError};

/// Directory in the bucket.
const DIRECTORY: &str = "monitoring";

/// Letters of a ULID: Crockford's base 32.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What a window looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// How far requests or answers lie from what training saw.
    Drift,
    /// How good answers were, for the rows whose truth is known.
    Accuracy,
}

/// One measure of drift with the threshold that it was compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftStatistic {
    /// The field of the request, or the name of the answer.
    pub field: String,
    /// What is measured, such as `psi`, `missing`, `unseen`, `out_of_range`.
    pub measure: String,
    /// Its value in this window.
    pub value: f64,
    /// Above this it is an alarm.
    pub threshold: f64,
}

impl DriftStatistic {
    /// True if the value lies above the threshold.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.value > self.threshold
    }
}

/// A window to write.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWindow {
    /// The model that answered.
    pub model: String,
    /// Its version; a window is about one.
    pub version: u64,
    /// What it looks at.
    pub kind: WindowKind,
    /// Begin of the stretch of time that it covers.
    pub from: Timestamp,
    /// End of it.
    pub to: Timestamp,
    /// Requested rows in it.
    pub rows: u64,
    /// Rows of these whose truth is known; 0 for drift of requests alone.
    pub labels: u64,
    /// Value by metric over the labelled rows, named as in training: `mae`, `r2`.
    pub metrics: BTreeMap<String, f64>,
    /// All measures of drift, alarms or not.
    pub statistics: Vec<DriftStatistic>,
}

/// A window as it stands in the bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitoringWindow {
    /// 1.
    pub format: u32,
    /// ULID; also the file's name.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// What it looks at.
    pub kind: WindowKind,
    /// Begin of the stretch of time that it covers.
    pub from: Timestamp,
    /// End of it.
    pub to: Timestamp,
    /// Requested rows in it.
    pub rows: u64,
    /// Rows of these whose truth is known.
    pub labels: u64,
    /// Value by metric over the labelled rows.
    pub metrics: BTreeMap<String, f64>,
    /// All measures of drift, alarms or not.
    pub statistics: Vec<DriftStatistic>,
    /// When it was written.
    pub written_at: Timestamp,
}

impl MonitoringWindow {
    /// The measures that lie above their thresholds.
    pub fn alarms(&self) -> impl Iterator<Item = &DriftStatistic> {
        self.statistics.iter().filter(|statistic| statistic.is_alarm())
    }
}

/// Writes a window under an id of its own.
///
/// # Errors
///
/// If the model's name is none, a number is not finite, or the bucket fails.
pub async fn write(bucket: &Bucket, window: NewWindow) -> Result<MonitoringWindow, BucketError> {
    check_name("model", &window.model)?;
    let written_at = Timestamp::now();
    let id = ulid(Uuid::now_v7());
    let path = path(&window.model, day_of(written_at), &id);
    check_numbers(bucket, &path, &window)?;
    let NewWindow {
        model,
        version,
        kind,
        from,
        to,
        rows,
        labels,
        metrics,
        statistics,
    } = window;
    let window = MonitoringWindow {
        format: 1,
        id,
        model,
        version,
        kind,
        from,
        to,
        rows,
        labels,
        metrics,
        statistics,
        written_at,
    };
    let content = encode(bucket, &path, &window)?;
    // 'Exists' is our own write whose answer got lost: nobody else makes this id.
    let _ = bucket.create(&path, content).await?;
    Ok(window)
}

/// Paths of a model's windows that were written on the day of `since` or later, oldest first.
///
/// # Errors
///
/// If the model's name is none or the bucket fails.
pub async fn list(bucket: &Bucket, model: &str, since: Timestamp) -> Result<Vec<String>, BucketError> {
    check_name("model", model)?;
    let first = day_of(since);
    let mut paths = Vec::new();
    for day in bucket.directories(&format!("{DIRECTORY}/{model}")).await? {
        if day.parse::<Date>().is_ok_and(|day| day >= first) {
            let listed = bucket.list(&format!("{DIRECTORY}/{model}/{day}")).await?;
            paths.extend(listed.into_iter().filter(|path| path.ends_with(".json")));
        }
    }
    Ok(paths)
}

/// Reads a window by its path; `None` if there is none.
///
/// # Errors
///
/// If it is damaged or of a newer format, or the bucket fails.
pub async fn read(bucket: &Bucket, path: &str) -> Result<Option<MonitoringWindow>, BucketError> {
    match bucket.get(path).await? {
        Some(content) => decode(bucket, path, &content).map(Some),
        None => Ok(None),
    }
}

/// Windows of a model that were written after `after`, oldest first. Clocks of replicas differ: a window that was
/// written a moment before by a slower clock may appear later, so that a reader asks again for the last minutes.
///
/// # Errors
///
/// If the model's name is none, a window is damaged or the bucket fails.
pub async fn written_after(
    bucket: &Bucket,
    model: &str,
    after: Timestamp,
) -> Result<Vec<MonitoringWindow>, BucketError> {
    let mut windows = Vec::new();
    // The name begins with the moment, so that the older ones of the first day need not be read. A replica stamps the
    // document a moment before it makes the name.
    let oldest = time_letters(after.checked_sub(1.second()).unwrap_or(after));
    for path in list(bucket, model, after).await? {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name.get(..oldest.len()).is_some_and(|time| time < oldest.as_str()) {
            continue;
        }
        if let Some(window) = read(bucket, &path).await?
            && window.written_at > after
        {
            windows.push(window);
        }
    }
    Ok(windows)
}

fn path(model: &str, day: Date, id: &str) -> String {
    format!("{DIRECTORY}/{model}/{day}/{id}.json")
}

fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// JSON has no NaN: a window with one could be written and not be read.
fn check_numbers(bucket: &Bucket, path: &str, window: &NewWindow) -> Result<(), BucketError> {
    let metrics = window.metrics.iter().map(|(name, value)| (name, *value));
    let statistics = window.statistics.iter().flat_map(|statistic| {
        [
            (&statistic.field, statistic.value),
            (&statistic.field, statistic.threshold),
        ]
    });
    match metrics.chain(statistics).find(|(_, value)| !value.is_finite()) {
        Some((name, value)) => Err(BucketError::Refused {
            url: bucket.url().to_owned(),
            path: path.to_owned(),
            detail: format!("`{name}` is {value}; leave out what cannot be computed"),
        }),
        None => Ok(()),
    }
}

/// The 128 bits of a UUIDv7, which begins with the millisecond as a ULID does, in the letters of a ULID.
pub(crate) fn ulid(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..26).rev().map(|place| letter(bits >> (5 * place))).collect()
}

/// The ten letters with which ULIDs of this millisecond begin.
fn time_letters(at: Timestamp) -> String {
    let millisecond = at.as_millisecond().max(0).unsigned_abs();
    (0..10)
        .rev()
        .map(|place| letter(u128::from(millisecond) >> (5 * place)))
        .collect()
}

fn letter(bits: u128) -> char {
    char::from(LETTERS[(bits & 31) as usize])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_time() {
        let ids: Vec<String> = (0..100).map(|_| ulid(Uuid::now_v7())).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26));
        let at: Timestamp = "2017-05-01T02:00:00Z".parse().unwrap();
        let later: Timestamp = "2017-05-01T02:00:00.001Z".parse().unwrap();
        assert!(time_letters(at) < time_letters(later));
        let id = ulid(Uuid::now_v7());
        let now = Timestamp::now();
        let near = [now - 2.seconds(), now + 2.seconds()].map(time_letters);
        assert!(near[0].as_str() < &id[..10] && &id[..10] < near[1].as_str());
    }

    #[test]
    fn the_largest_number_is_the_largest_ulid() {
        assert_eq!(ulid(Uuid::from_u128(u128::MAX)), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(ulid(Uuid::from_u128(32)), "00000000000000000000000010");
    }
}
