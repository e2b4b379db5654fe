//! `transform.resample`: rows of a stretch of time become one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use polars::prelude::{Column, DataFrame, DataType, IdxCa, NamedFrom, Series, TimeUnit};
use ratchet_core::plugin::{ConfigProblem, Outputs, Plugin, Port, PortKind, Table, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::{SECOND, keys, moments};
use super::{output, query};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About, place_of};
use crate::train::numbers;
use crate::words::count;

/// Makes one row of all rows of a stretch of time.
pub struct Resample;

/// Configuration of `transform.resample`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResampleConfig {
    /// The rows.
    pub table: Table,
    /// Column with the time of each row. It becomes the beginning of the row's stretch; rows without a time are left out.
    pub time: String,
    /// Columns whose values keep rows apart.
    #[serde(default)]
    pub by: Vec<String>,
    /// How long a stretch is. Stretches begin at midnight, those of several days on a Monday.
    pub every: Every,
    /// Zone such as `Europe/London`: the times of the table are UTC and become civil times of it, so that a day is a local
    /// day, of 23 or 25 hours where the clocks change, and an hour that comes twice is one stretch. Default: the times are
    /// civil times already.
    #[serde(default)]
    pub timezone: String,
    /// By numeric column: what is made of its values in a stretch, one column `<column>_<aggregation>` each. Missing
    /// values do not count; of none nothing is made but a count of 0.
    pub aggregate: BTreeMap<String, Vec<Aggregation>>,
    /// Name of the column with the end of the stretch, when a row of the result is known: the time to give to
    /// `transform.asof` and `publish.lookup`.
    #[serde(default = "default_known_at")]
    pub known_at: String,
    /// When columns of the result are known.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

fn default_known_at() -> String {
    "known_at".to_owned()
}

/// Length of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Every {
    /// So many minutes, a divisor of a day's 1440.
    Minutes(u32),
    /// So many hours, a divisor of 24.
    Hours(u32),
    /// So many days.
    Days(u32),
}

/// What is made of the values of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// Sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The value of the earliest row that has one.
    First,
    /// The value of the latest row that has one.
    Last,
    /// How many values there are.
    Count,
}

impl Aggregation {
    fn name(self) -> &'static str {
        match self {
            Aggregation::Mean => "mean",
            Aggregation::Sum => "sum",
            Aggregation::Minimum => "minimum",
            Aggregation::Maximum => "maximum",
            Aggregation::First => "first",
            Aggregation::Last => "last",
            Aggregation::Count => "count",
        }
    }

    /// Of values that are there, in the order of time.
    fn of(self, values: &[f64]) -> Option<f64> {
        let count = values.len() as f64;
        match self {
            Aggregation::Count => Some(count),
            _ if values.is_empty() => None,
            Aggregation::Mean => Some(values.iter().sum::<f64>() / count),
            Aggregation::Sum => Some(values.iter().sum()),
            Aggregation::Minimum => values.iter().copied().reduce(f64::min),
            Aggregation::Maximum => values.iter().copied().reduce(f64::max),
            Aggregation::First => values.first().copied(),
            Aggregation::Last => values.last().copied(),
        }
    }
}

/// Minutes of a day.
const DAY: u32 = 1440;

impl Every {
    /// Microseconds; none if it divides no day.
    fn length(self) -> Option<i64> {
        let minutes = match self {
            Every::Minutes(minutes) => Some(minutes),
            Every::Hours(hours) => hours.checked_mul(60),
            Every::Days(days) => return (days > 0).then(|| i64::from(days) * i64::from(DAY) * 60 * SECOND),
        };
        let minutes = minutes.filter(|minutes| *minutes > 0 && DAY.is_multiple_of(*minutes))?;
        Some(i64::from(minutes) * 60 * SECOND)
    }
}

/// 1970-01-05 was a Monday.
const MONDAY: i64 = 4 * DAY as i64 * 60 * SECOND;

#[async_trait]
impl Plugin for Resample {
    type Config = ResampleConfig;
    const NAME: &'static str = "transform.resample";
    const SUMMARY: &'static str = "Makes one row of all rows of a stretch of time.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "table",
            kind: PortKind::Table,
            description: "One row a stretch that has rows, sorted by `by` and time.",
        }]
    }

    fn validate(config: &ResampleConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        let mut problem = |pointer: &str, message: &str, help: &str| {
            problems.push(ConfigProblem {
                pointer: pointer.to_owned(),
                message: message.to_owned(),
                help: Some(help.to_owned()),
            });
        };
        if config.every.length().is_none() {
            problem(
                "/every",
                "divides no day",
                "write `{ minutes: 15 }`, `{ hours: 1 }` or `{ days: 7 }`",
            );
        }
        if !config.timezone.is_empty() && TimeZone::get(&config.timezone).is_err() {
            let message = format!("`{}` is no time zone", config.timezone);
            problem("/timezone", &message, "write it like Europe/London");
        }
        if config.aggregate.values().all(Vec::is_empty) {
            problem(
                "/aggregate",
                "makes nothing",
                "write, for example, `{ temperature: [mean, maximum] }`",
            );
        }
        problems
    }

    async fn run(config: ResampleConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let mut about = About::inherited([&config.table]);
        for (name, aggregations) in &config.aggregate {
            let known = about.known.get(name).copied();
            for aggregation in aggregations {
                let made = format!("{name}_{}", aggregation.name());
                about.known.extend(known.map(|known| (made, known)));
            }
        }
        let settings = config.clone();
        let (frame, without_time) = blocking("resampling", move || resample(&settings, &frame)).await?;
        if without_time > 0 {
            context.warn(format!(
                "{} rows without a time were left out",
                count(without_time as u64)
            ));
        }
        output(
            context,
            frame,
            about,
            &config.known,
            config.dataset,
            "the resampled table",
        )
        .await
    }
}

/// A stretch of one key: its beginning and its rows, by time.
struct Stretch {
    begin: i64,
    rows: Vec<usize>,
}

/// The rows of the result, and how many were left out because they have no time.
fn resample(config: &ResampleConfig, frame: &DataFrame) -> Result<(DataFrame, usize), TaskError> {
    let place = place_of(&config.table);
    let length = config
        .every
        .length()
        .ok_or_else(|| TaskError::permanent("`every` divides no day"))?;
    let times = civil(config, moments(frame, &config.time, &place)?)?;
    let texts = keys_of(frame, &config.by, &place)?;
    let mut order: Vec<usize> = (0..frame.height()).filter(|row| times[*row].is_some()).collect();
    let without_time = frame.height() - order.len();
    let mut values: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for name in config.aggregate.keys() {
        values.insert(name, numbers(table::column(frame, name, &place)?, &place)?);
    }
    // Rows of one instant in the order of their values, so that their order in the table decides nothing.
    let bits = |row: usize| {
        values
            .values()
            .map(|column| column[row].to_bits())
            .collect::<Vec<u64>>()
    };
    order.sort_by_cached_key(|row| (times[*row], bits(*row)));
    let mut stretches: BTreeMap<(&Vec<Option<String>>, i64), Stretch> = BTreeMap::new();
    for row in order {
        let time = times[row].unwrap_or_default();
        let begin = time - (time - MONDAY).rem_euclid(length);
        let stretch = stretches.entry((&texts[row], begin));
        stretch
            .or_insert(Stretch {
                begin,
                rows: Vec::new(),
            })
            .rows
            .push(row);
    }
    let stretches: Vec<Stretch> = stretches.into_values().collect();
    let failed =
        |error: polars::prelude::PolarsError| TaskError::permanent(format!("the rows cannot be resampled: {error}"));
    let first: IdxCa = IdxCa::new(
        "rows".into(),
        stretches
            .iter()
            .map(|stretch| stretch.rows[0] as u32)
            .collect::<Vec<_>>(),
    );
    let mut columns: Vec<Column> = Vec::new();
    for name in &config.by {
        columns.push(table::column(frame, name, &place)?.take(&first).map_err(failed)?);
    }
    for (name, shift) in [(&config.time, 0), (&config.known_at, length)] {
        let moments: Vec<i64> = stretches.iter().map(|stretch| stretch.begin + shift).collect();
        let moments = Series::new(name.as_str().into(), moments);
        let moments = moments
            .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
            .map_err(failed)?;
        columns.push(moments.into());
    }
    for (name, aggregations) in &config.aggregate {
        let column = &values[name];
        let of_stretches: Vec<Vec<f64>> = stretches
            .iter()
            .map(|stretch| {
                let seen = stretch.rows.iter().map(|row| column[*row]);
                seen.filter(|value| !value.is_nan()).collect()
            })
            .collect();
        for aggregation in aggregations {
            let made: Vec<Option<f64>> = of_stretches.iter().map(|values| aggregation.of(values)).collect();
            columns.push(Series::new(format!("{name}_{}", aggregation.name()).as_str().into(), made).into());
        }
    }
    let made = DataFrame::new(stretches.len(), columns).map_err(failed)?;
    let sort: Vec<String> = config.by.iter().chain([&config.time]).cloned().collect();
    Ok((query::sorted(made, &sort, "the resampled table")?, without_time))
}

/// The parts of each row's key. Missing is a value like any other here: its rows are one group.
fn keys_of(frame: &DataFrame, by: &[String], place: &str) -> Result<Vec<Vec<Option<String>>>, TaskError> {
    let mut parts = vec![Vec::with_capacity(by.len()); frame.height()];
    for name in by {
        let of_column = keys(frame, std::slice::from_ref(name), place)?;
        parts
            .iter_mut()
            .zip(of_column)
            .for_each(|(parts, part)| parts.push(part));
    }
    Ok(parts)
}

/// Civil times of the zone, if there is one.
fn civil(config: &ResampleConfig, times: Vec<Option<i64>>) -> Result<Vec<Option<i64>>, TaskError> {
    if config.timezone.is_empty() {
        return Ok(times);
    }
    let zone = TimeZone::get(&config.timezone).map_err(|error| {
        TaskError::permanent(format!("`timezone`: {error}")).with_help("write it like Europe/London")
    })?;
    let shifted = times.into_iter().map(|time| {
        let Some(time) = time else { return Ok(None) };
        let instant = Timestamp::from_microsecond(time)
            .map_err(|error| TaskError::permanent(format!("column `{}`: {error}", config.time)))?;
        let civil = zone.to_datetime(instant);
        let since = civil.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
        Ok(i64::try_from(since.as_micros()).ok())
    });
    shifted.collect()
}
