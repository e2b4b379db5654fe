//! What is different from an earlier version of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use polars::prelude::{Column, DataFrame, DataType};
use ratchet_core::plugin::TaskError;
use ratchet_model::drift::psi;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::statistics::{Statistics, percent};
use crate::train::{numbers, texts, timestamps};

/// Groups of a column's values, each as full as the others in the earlier version.
const GROUPS: usize = 10;

/// Frequent categories that are groups of their own.
const CATEGORIES: usize = 20;

/// New values that a warning names.
const NAMED: usize = 3;

/// New values that are too many for categories.
const MANY: usize = 100;

/// A population stability index below this is not worth a warning, however certain it is.
const WORTH: f64 = 0.1;

/// What is different.
pub struct Changes {
    /// The earlier version: `name@version`.
    pub earlier: String,
    /// Its rows.
    pub rows: usize,
    /// Columns that both have, those that moved most first.
    pub columns: Vec<ColumnChange>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One column then and now.
pub struct ColumnChange {
    /// Name.
    pub name: String,
    /// Missing values in percent, then and now.
    pub missing: (f64, f64),
    /// The mean of numbers or the number of different values, then and now.
    pub typical: (f64, f64),
    /// True if `typical` is a mean.
    pub is_mean: bool,
    /// Population stability index, missing values a group of their own.
    pub psi: f64,
}

/// Compares a table with an earlier version of it.
///
/// # Errors
/// A column of a type that tables do not have.
pub fn changes(
    (now, statistics): (&DataFrame, &Statistics),
    (before, earlier): (&DataFrame, &Statistics),
    place: &str,
) -> Result<Changes, TaskError> {
    let mut warnings = Vec::new();
    let mut columns = Vec::new();
    for old in &earlier.columns {
        let Some(new) = statistics.columns.iter().find(|new| new.name == old.name) else {
            warnings.push(format!("{} is gone since {place}", old.name));
            continue;
        };
        if old.kind != new.kind {
            warnings.push(format!(
                "{} is {} now, it was {} in {place}",
                new.name, new.kind, old.kind
            ));
            continue;
        }
        let (then, today) = (column(before, &old.name)?, column(now, &new.name)?);
        let missing = (percent(old.nulls, earlier.rows), percent(new.nulls, statistics.rows));
        if missing.1 - missing.0 >= 1.0 {
            warnings.push(format!(
                "{} is missing in {:.1} % of the rows, it was in {:.1} % in {place}",
                new.name, missing.1, missing.0
            ));
        }
        let moved = match then.dtype() {
            DataType::Int64 | DataType::Float64 | DataType::Date | DataType::Datetime(..) => {
                let mean = |values: &[f64]| {
                    let present: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                    present.iter().sum::<f64>() / present.len().max(1) as f64
                };
                let (then_values, values) = (as_numbers(then, place)?, as_numbers(today, place)?);
                let is_mean = !matches!(then.dtype(), DataType::Date | DataType::Datetime(..));
                let typical = if is_mean {
                    (mean(&then_values), mean(&values))
                } else {
                    (old.distinct as f64, new.distinct as f64)
                };
                Moved {
                    is_mean,
                    typical,
                    groups: of_numbers(&then_values, &values),
                }
            }
            _ => {
                let (then_values, values) = (as_texts(then, place)?, as_texts(today, place)?);
                let (groups, unknown) = of_texts(&then_values, &values);
                if !unknown.is_empty() {
                    let named = unknown.iter().take(NAMED).map(|value| format!("`{value}`"));
                    let named: Vec<String> = named.collect();
                    // The values of a key are always new.
                    if unknown.len() < MANY {
                        warnings.push(format!(
                            "{} has values that {place} did not have ({}), such as {}",
                            new.name,
                            unknown.len(),
                            named.join(", ")
                        ));
                    }
                }
                Moved {
                    is_mean: false,
                    typical: (old.distinct as f64, new.distinct as f64),
                    groups,
                }
            }
        };
        let index = moved.groups.index();
        if moved.groups.is_certain(index) {
            warnings.push(format!(
                "{} is distributed otherwise than in {place} (PSI {index:.2})",
                new.name
            ));
        }
        columns.push(ColumnChange {
            name: new.name.clone(),
            missing,
            typical: moved.typical,
            is_mean: moved.is_mean,
            psi: index,
        });
    }
    let known = |name: &str| earlier.columns.iter().any(|old| old.name == name);
    let new = statistics.columns.iter().filter(|new| !known(&new.name));
    warnings.extend(new.map(|new| format!("{} is new since {place}", new.name)));
    columns.sort_by(|a, b| b.psi.total_cmp(&a.psi));
    Ok(Changes {
        earlier: place.to_owned(),
        rows: earlier.rows,
        columns,
        warnings,
    })
}

struct Moved {
    is_mean: bool,
    typical: (f64, f64),
    groups: Groups,
}

/// Rows per group, then and now.
struct Groups(Vec<(u64, u64)>);

impl Groups {
    fn totals(&self) -> (f64, f64) {
        let sums = self
            .0
            .iter()
            .fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        (sums.0 as f64, sums.1 as f64)
    }

    fn index(&self) -> f64 {
        let then = self.totals().0.max(1.0);
        let filled = self.0.iter().filter(|group| group.0 + group.1 > 0);
        let (shares, counts): (Vec<f64>, Vec<u64>) =
            filled.map(|group| ((group.0 as f64).max(0.5) / then, group.1)).unzip();
        psi(&counts, &shares)
    }

    /// True if so great an index comes up less than once in a thousand times where nothing moved: then, times the harmonic size of both
    /// tables, it is distributed as chi-square (Yurdakul 2018).
    fn is_certain(&self, index: f64) -> bool {
        let (then, now) = self.totals();
        if then == 0.0 || now == 0.0 || index < WORTH {
            return false;
        }
        let filled = self.0.iter().filter(|group| group.0 + group.1 > 0).count();
        let freedom = (filled.max(2) - 1) as f64;
        ChiSquared::new(freedom).is_ok_and(|chi_square| chi_square.sf(index * then * now / (then + now)) < 0.001)
    }
}

fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, TaskError> {
    frame
        .column(name)
        .map_err(|error| TaskError::permanent(error.to_string()))
}

fn as_numbers(column: &Column, place: &str) -> Result<Vec<f64>, TaskError> {
    match column.dtype() {
        DataType::Date | DataType::Datetime(..) => {
            let times = timestamps(column, place)?.into_iter();
            Ok(times.map(|time| time.map_or(f64::NAN, |time| time as f64)).collect())
        }
        _ => numbers(column, place),
    }
}

fn as_texts(column: &Column, place: &str) -> Result<Vec<Option<Arc<str>>>, TaskError> {
    if column.dtype() != &DataType::Boolean {
        return texts(column, place);
    }
    let truths = numbers(column, place)?.into_iter();
    Ok(truths
        .map(|truth| Some((truth != 0.0).to_string().into()).filter(|_| !truth.is_nan()))
        .collect())
}

/// Groups between the deciles of the earlier values, and one of missing values.
fn of_numbers(then: &[f64], now: &[f64]) -> Groups {
    let mut sorted: Vec<f64> = then.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut edges: Vec<f64> = (1..GROUPS)
        .filter_map(|group| sorted.get(group * sorted.len() / GROUPS).copied())
        .collect();
    edges.dedup();
    let group_of = |value: f64| {
        if value.is_nan() {
            edges.len() + 1
        } else {
            edges.partition_point(|edge| *edge <= value)
        }
    };
    let mut groups = vec![(0, 0); edges.len() + 2];
    then.iter().for_each(|value| groups[group_of(*value)].0 += 1);
    now.iter().for_each(|value| groups[group_of(*value)].1 += 1);
    Groups(groups)
}

/// The frequent categories of the earlier version, all others, and missing values; and the values that it did not have.
fn of_texts<'a>(then: &'a [Option<Arc<str>>], now: &'a [Option<Arc<str>>]) -> (Groups, Vec<&'a str>) {
    let count = |values: &'a [Option<Arc<str>>]| {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        values
            .iter()
            .flatten()
            .for_each(|value| *counts.entry(value).or_default() += 1);
        counts
    };
    let (before, after) = (count(then), count(now));
    let mut frequent: Vec<(&str, u64)> = before.iter().map(|(value, rows)| (*value, *rows)).collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    frequent.truncate(CATEGORIES);
    let mut groups: Vec<(u64, u64)> = frequent
        .iter()
        .map(|(value, rows)| (*rows, after.get(value).copied().unwrap_or_default()))
        .collect();
    let (shown_before, shown_after) = groups
        .iter()
        .fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
    let (all_before, all_after) = (before.values().sum::<u64>(), after.values().sum::<u64>());
    groups.push((all_before - shown_before, all_after - shown_after));
    groups.push((then.len() as u64 - all_before, now.len() as u64 - all_after));
    let unknown = after.keys().filter(|value| !before.contains_key(*value)).copied();
    (Groups(groups), unknown.collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::super::statistics::measure;
    use super::*;

    fn found(before: &DataFrame, now: &DataFrame) -> Changes {
        let (old, new) = (measure(before, "then").unwrap(), measure(now, "now").unwrap());
        changes((now, &new), (before, &old), "houses@1").unwrap()
    }

    #[test]
    fn the_same_table_has_not_changed() {
        let frame = df!("n" => (0..500).map(f64::from).collect::<Vec<_>>(), "t" => vec!["a"; 500]).unwrap();
        let same = found(&frame, &frame);
        assert!(same.warnings.is_empty(), "{:?}", same.warnings);
        assert!(
            same.columns
                .iter()
                .all(|column| column.psi == 0.0 && column.typical.0 == column.typical.1)
        );
    }

    #[test]
    fn what_moved_is_said_and_comes_first() {
        let rows = 600;
        let noise = |row: i32| f64::from(row * 7919 % 601);
        let before = df!(
            "still" => (0..rows).map(noise).collect::<Vec<_>>(),
            "moved" => (0..rows).map(noise).collect::<Vec<_>>(),
            "gone" => vec![1_i64; 600],
            "kind" => vec!["a"; 600],
            "turned" => vec![1_i64; 600],
        )
        .unwrap();
        let now = df!(
            "still" => (0..rows).map(|row| noise(row + 37)).collect::<Vec<_>>(),
            "moved" => (0..rows).map(|row| Some(noise(row) * 2.0).filter(|_| row % 20 > 0)).collect::<Vec<_>>(),
            "kind" => (0..rows).map(|row| if row % 3 == 0 { "b" } else { "a" }).collect::<Vec<_>>(),
            "turned" => vec!["1"; 600],
            "fresh" => vec![1_i64; 600],
        )
        .unwrap();
        let found = found(&before, &now);
        for expected in [
            "moved is distributed otherwise than in houses@1",
            "moved is missing in 5.0 % of the rows, it was in 0.0 %",
            "kind has values that houses@1 did not have (1), such as `b`",
            "gone is gone since houses@1",
            "fresh is new since houses@1",
            "turned is text now, it was integer",
        ] {
            assert!(
                found.warnings.iter().any(|warning| warning.contains(expected)),
                "{expected}: {:?}",
                found.warnings
            );
        }
        assert!(
            !found.warnings.iter().any(|warning| warning.starts_with("still")),
            "{:?}",
            found.warnings
        );
        assert_eq!(found.columns.last().unwrap().name, "still");
    }
}
