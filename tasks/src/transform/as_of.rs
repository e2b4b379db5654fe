//! `transform.asof`: to each row what was known at its time.

use std::collections::HashMap;

use async_trait::async_trait;
use polars::prelude::{Column, DataFrame, IdxCa, NamedFrom};
use ratchet_core::plugin::{ConfigProblem, Outputs, Plugin, Port, PortKind, Table, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::{SECOND, keys, moments};
use super::{output, query};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About, place_of};
use crate::words::count;

/// Joins to each row of a table the newest row of another that was known at its time.
pub struct AsOf;

/// Configuration of `transform.asof`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsOfConfig {
    /// The rows that are kept, one each.
    pub left: TimedTable,
    /// The rows that are looked through. Its time says when a row was known, which may be long after what it tells of.
    pub right: TimedTable,
    /// Columns of both tables that have to agree. Missing agrees with nothing.
    #[serde(default)]
    pub by: Vec<String>,
    /// Columns that are taken from the right table. Empty: all but `by`.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Begins the names of the columns that are taken.
    #[serde(default)]
    pub prefix: String,
    /// Minutes after which the newest row is too old to be taken.
    #[serde(default)]
    pub tolerance_minutes: Option<u32>,
    /// Columns of the result by which its rows are sorted, ascending, nulls first; rows that tie by all others.
    pub sort: Vec<String>,
    /// When new columns are known. A column that keeps its name keeps its time and cannot be declared earlier.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

/// A table whose rows have a time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimedTable {
    /// The table.
    pub table: Table,
    /// Column with the time of each row.
    pub time: String,
}

#[async_trait]
impl Plugin for AsOf {
    type Config = AsOfConfig;
    const NAME: &'static str = "transform.asof";
    const SUMMARY: &'static str = "Joins to each row the newest row of another table that was known at its time.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "table",
            kind: PortKind::Table,
            description: "The left rows with what was known, sorted.",
        }]
    }

    fn validate(config: &AsOfConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        if config.sort.is_empty() {
            problems.push(ConfigProblem {
                pointer: "/sort".to_owned(),
                message: "names no column".to_owned(),
                help: Some("name the columns of the result that tell its rows apart".to_owned()),
            });
        }
        problems
    }

    async fn run(config: AsOfConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let left = table::read(&bucket, &config.left.table).await?;
        let right = table::read(&bucket, &config.right.table).await?;
        let mut about = About::inherited([&config.left.table]);
        let taken = About::inherited([&config.right.table]);
        if taken.source != about.source {
            about.source = format!("{} + {}", about.source, taken.source);
        }
        about.simulated |= taken.simulated;
        for (name, known) in taken.known {
            about.known.entry(format!("{}{name}", config.prefix)).or_insert(known);
        }
        let settings = config.clone();
        let (frame, found) = blocking("the join", move || join(&settings, &left, right)).await?;
        let (rows, found) = (frame.height() as u64, found as u64);
        context.info(format!(
            "{} of {} rows found one that was known",
            count(found),
            count(rows)
        ));
        output(context, frame, about, &config.known, config.dataset, "the joined table").await
    }
}

/// The joined rows, and how many of them found one.
fn join(config: &AsOfConfig, left: &DataFrame, right: DataFrame) -> Result<(DataFrame, usize), TaskError> {
    let (left_place, right_place) = (place_of(&config.left.table), place_of(&config.right.table));
    // Where several rows were known at one instant, the last in the order of all columns is taken, whatever their order here.
    let right = query::sorted(right, &[], &right_place)?;
    let mut known: HashMap<String, Vec<(i64, u32)>> = HashMap::new();
    let times = moments(&right, &config.right.time, &right_place)?;
    for (row, (key, time)) in keys(&right, &config.by, &right_place)?
        .into_iter()
        .zip(times)
        .enumerate()
    {
        if let (Some(key), Some(time)) = (key, time) {
            known.entry(key).or_default().push((time, row as u32));
        }
    }
    known.values_mut().for_each(|rows| rows.sort_unstable());
    for name in &config.by {
        let (ours, theirs) = (
            table::column(left, name, &left_place)?.dtype(),
            table::column(&right, name, &right_place)?.dtype(),
        );
        if ours != theirs {
            let message = format!("`{name}` is {ours} in {left_place} and {theirs} in {right_place}");
            return Err(TaskError::permanent(message).with_help("give it one type where the tables are extracted"));
        }
    }
    let tolerance = config.tolerance_minutes.map(|minutes| i64::from(minutes) * 60 * SECOND);
    let times = moments(left, &config.left.time, &left_place)?;
    let rows = keys(left, &config.by, &left_place)?.into_iter().zip(times);
    let picked: Vec<Option<u32>> = rows
        .map(|(key, time)| {
            let (rows, time) = (known.get(&key?)?, time?);
            let before = rows.partition_point(|(known_at, _)| *known_at <= time);
            let (known_at, row) = rows.get(before.checked_sub(1)?)?;
            tolerance
                .is_none_or(|tolerance| time - known_at <= tolerance)
                .then_some(*row)
        })
        .collect();
    let found = picked.iter().flatten().count();
    let picked = IdxCa::new("rows".into(), picked);
    let failed =
        |error: polars::prelude::PolarsError| TaskError::permanent(format!("the tables cannot be joined: {error}"));
    let mut columns: Vec<Column> = left.columns().to_vec();
    for name in taken(config, &right) {
        let values = table::column(&right, &name, &right_place)?;
        let named = format!("{}{name}", config.prefix);
        if columns.iter().any(|column| column.name().as_str() == named) {
            return Err(TaskError::permanent(format!("both tables have a column `{named}`"))
                .with_help("write a `prefix`, or name the wanted ones in `columns`"));
        }
        let mut values = values.take(&picked).map_err(failed)?;
        values.rename(named.as_str().into());
        columns.push(values);
    }
    let joined = DataFrame::new(left.height(), columns).map_err(failed)?;
    Ok((query::sorted(joined, &config.sort, "the joined table")?, found))
}

fn taken(config: &AsOfConfig, right: &DataFrame) -> Vec<String> {
    if !config.columns.is_empty() {
        return config.columns.clone();
    }
    let names = right.get_column_names().into_iter().map(|name| name.to_string());
    names.filter(|name| !config.by.contains(name)).collect()
}
