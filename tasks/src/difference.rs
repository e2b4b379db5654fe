//! What changed from one table to another: columns, rows, and the numbers of each column.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use polars::prelude::{AnyValue, Column, DataFrame};
use ratchet_core::plugin::TaskError;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::profile::{ColumnStatistics, Summary, measure};
use crate::rows::to_json;
use crate::table::missing_column;

/// Rows that are shown of each kind.
const SHOWN: usize = 10;

/// The whole difference.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Rows of the earlier and of the later table.
    pub rows: [usize; 2],
    /// Every column of either, those of the later table first.
    pub columns: Vec<ColumnDifference>,
    /// The rows one by one.
    pub by_row: RowDifference,
}

/// One column on both sides.
#[derive(Debug, Serialize)]
pub struct ColumnDifference {
    /// Name.
    pub name: String,
    /// `same`, `values`, `type`, `added` or `removed`.
    pub change: &'static str,
    /// In the earlier table.
    pub from: Option<ColumnNumbers>,
    /// In the later one.
    pub to: Option<ColumnNumbers>,
}

/// A column in numbers.
#[derive(Debug, PartialEq, Serialize)]
pub struct ColumnNumbers {
    /// Type, in a word.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Values that are missing.
    pub nulls: usize,
    /// Different values.
    pub distinct: usize,
    /// Of numbers: mean, least and greatest; of times in seconds since 1970.
    pub mean: Option<f64>,
    /// See `mean`.
    pub least: Option<f64>,
    /// See `mean`.
    pub greatest: Option<f64>,
}

/// Rows that are on one side only, and rows of one key that differ.
#[derive(Debug, Serialize)]
pub struct RowDifference {
    /// Columns that name a row; none: all columns that both tables have, so that a changed row is one removed and one
    /// added.
    pub key: Vec<String>,
    /// Rows of the later table alone.
    pub added: usize,
    /// Rows of the earlier table alone.
    pub removed: usize,
    /// Rows of both with another value in at least one column.
    pub changed: usize,
    /// Columns that both tables have, with the number of rows in which they differ; those that differ only.
    pub changed_in: Map<String, Value>,
    /// Keys of the first few rows that were added, removed and changed; empty without a key.
    pub examples: Examples,
}

/// See [`RowDifference::examples`].
#[derive(Debug, Default, Serialize)]
pub struct Examples {
    /// Of the later table alone.
    pub added: Vec<Map<String, Value>>,
    /// Of the earlier table alone.
    pub removed: Vec<Map<String, Value>>,
    /// Of both.
    pub changed: Vec<Map<String, Value>>,
}

/// Compares two tables. `key` names the columns by which a row of one is found in the other.
///
/// # Errors
///
/// A key column that is not in both tables, or a key that names several rows of one.
pub fn difference(from: &DataFrame, to: &DataFrame, key: &[String]) -> Result<Difference, TaskError> {
    let (before, after) = (measure(from, "the earlier table")?, measure(to, "the later table")?);
    let by_row = by_row(from, to, key)?;
    let numbers = |columns: &[ColumnStatistics], name: &str| {
        let found = columns.iter().find(|column| column.name == name);
        found.map(column_numbers)
    };
    let names = to
        .columns()
        .iter()
        .chain(from.columns())
        .map(|column| column.name().as_str());
    let mut columns: Vec<ColumnDifference> = Vec::new();
    for name in names {
        if columns.iter().any(|column| column.name == name) {
            continue;
        }
        let (earlier, later) = (numbers(&before.columns, name), numbers(&after.columns, name));
        let change = match (&earlier, &later) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(earlier), Some(later)) if earlier.kind != later.kind => "type",
            (earlier, later) if earlier == later && !by_row.changed_in.contains_key(name) => "same",
            _ => "values",
        };
        columns.push(ColumnDifference {
            name: name.to_owned(),
            change,
            from: earlier,
            to: later,
        });
    }
    Ok(Difference {
        rows: [from.height(), to.height()],
        columns,
        by_row,
    })
}

fn column_numbers(column: &ColumnStatistics) -> ColumnNumbers {
    let (mean, least, greatest) = match &column.summary {
        Summary::Numbers { mean, quantiles, .. } => (Some(*mean), Some(quantiles[0]), Some(quantiles[4])),
        _ => (None, None, None),
    };
    ColumnNumbers {
        kind: column.kind,
        nulls: column.nulls,
        distinct: column.distinct,
        mean,
        least,
        greatest,
    }
}

fn by_row(from: &DataFrame, to: &DataFrame, key: &[String]) -> Result<RowDifference, TaskError> {
    let common: Vec<(&Column, &Column)> = from
        .columns()
        .iter()
        .filter_map(|column| Some((column, to.column(column.name()).ok()?)))
        .collect();
    let mut keys: Vec<(&Column, &Column)> = Vec::new();
    for name in key {
        let found = common.iter().find(|(column, _)| column.name().as_str() == name);
        keys.push(*found.ok_or_else(|| {
            let names: Vec<&str> = common.iter().map(|(column, _)| column.name().as_str()).collect();
            missing_column(name, "one of the two versions", &names)
        })?);
    }
    if key.is_empty() {
        keys.clone_from(&common);
    }
    let side =
        |right: bool| -> Vec<&Column> { keys.iter().map(|(left, to)| if right { *to } else { *left }).collect() };
    let (left, right) = (hashes(&side(false), from.height()), hashes(&side(true), to.height()));
    // Rows of one key, those of the earlier table that found no partner yet; without a key equal rows are counted.
    let mut open: HashMap<u64, Vec<usize>> = HashMap::with_capacity(left.len());
    for (row, hash) in left.iter().enumerate().rev() {
        open.entry(*hash).or_default().push(row);
    }
    if !key.is_empty() {
        unique(open.values().map(Vec::len), "earlier", key)?;
        let mut seen: HashMap<u64, usize> = HashMap::with_capacity(right.len());
        for hash in &right {
            *seen.entry(*hash).or_default() += 1;
        }
        unique(seen.into_values(), "later", key)?;
    }
    let mut difference = RowDifference {
        key: key.to_vec(),
        added: 0,
        removed: 0,
        changed: 0,
        changed_in: Map::new(),
        examples: Examples::default(),
    };
    let mut pairs = Vec::new();
    for (row, hash) in right.iter().enumerate() {
        match open.get_mut(hash).and_then(Vec::pop) {
            Some(partner) => pairs.push((partner, row)),
            None => {
                difference.added += 1;
                show(&mut difference.examples.added, key, to, row);
            }
        }
    }
    let mut removed: Vec<usize> = open.into_values().flatten().collect();
    removed.sort_unstable();
    difference.removed = removed.len();
    for row in removed {
        show(&mut difference.examples.removed, key, from, row);
    }
    let mut changed = vec![false; pairs.len()];
    for (before, after) in common
        .iter()
        .filter(|(column, _)| !key.is_empty() && !key.contains(&column.name().to_string()))
    {
        let (before_values, after_values) = (hashes(&[*before], from.height()), hashes(&[*after], to.height()));
        let mut differing = 0;
        for (changed, (left, right)) in changed.iter_mut().zip(&pairs) {
            if before_values[*left] != after_values[*right] {
                differing += 1;
                *changed = true;
            }
        }
        if differing > 0 {
            difference
                .changed_in
                .insert(before.name().to_string(), differing.into());
        }
    }
    for ((_, row), _) in pairs.iter().zip(&changed).filter(|(_, changed)| **changed) {
        difference.changed += 1;
        show(&mut difference.examples.changed, key, to, *row);
    }
    Ok(difference)
}

fn unique(mut counts: impl Iterator<Item = usize>, side: &str, key: &[String]) -> Result<(), TaskError> {
    match counts.find(|count| *count > 1) {
        None => Ok(()),
        Some(count) => Err(TaskError::permanent(format!(
            "{} names {count} rows of the {side} version",
            key.join(", ")
        ))
        .with_help("name the columns that tell every row from every other")),
    }
}

/// A number for each row, the same for equal values of these columns.
fn hashes(columns: &[&Column], rows: usize) -> Vec<u64> {
    let mut hashers = vec![DefaultHasher::new(); rows];
    for column in columns {
        for (row, hasher) in hashers.iter_mut().enumerate() {
            match column.get(row) {
                Ok(AnyValue::Null) | Err(_) => 0_u8.hash(hasher),
                Ok(AnyValue::String(text)) => (1_u8, text).hash(hasher),
                Ok(AnyValue::Int64(value)) => (2_u8, value).hash(hasher),
                Ok(AnyValue::Float64(value)) => (3_u8, value.to_bits()).hash(hasher),
                Ok(other) => (4_u8, other.to_string()).hash(hasher),
            }
        }
    }
    hashers.iter().map(Hasher::finish).collect()
}

/// Adds the key of a row to the examples, if there is room.
fn show(examples: &mut Vec<Map<String, Value>>, key: &[String], frame: &DataFrame, row: usize) {
    if key.is_empty() || examples.len() == SHOWN {
        return;
    }
    let values = key.iter().filter_map(|name| {
        let value = frame.column(name).ok()?.get(row).ok()?;
        Some((name.clone(), to_json(&value)))
    });
    examples.push(values.collect());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;
    use serde_json::json;

    use super::*;

    fn earlier() -> DataFrame {
        df!("id" => [1_i64, 2, 3, 4], "city" => [Some("Leeds"), Some("York"), None, Some("Hull")], "old" => [1_i64, 1, 1, 1]).unwrap()
    }

    fn later() -> DataFrame {
        df!("id" => [2_i64, 3, 4, 5], "city" => [Some("York"), Some("Ripon"), Some("Hull"), Some("Bath")], "new" => [0.5, 1.0, 1.5, 2.0]).unwrap()
    }

    fn key(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_of_one_key_are_added_removed_and_changed() {
        let found = difference(&earlier(), &later(), &key(&["id"])).unwrap();
        let rows = &found.by_row;
        assert_eq!((rows.added, rows.removed, rows.changed), (1, 1, 1));
        assert_eq!(json!(rows.changed_in), json!({ "city": 1 }));
        assert_eq!(
            json!(rows.examples),
            json!({ "added": [{"id": 5}], "removed": [{"id": 1}], "changed": [{"id": 3}] })
        );
        let changes: Vec<(&str, &str)> = found
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.change))
            .collect();
        assert_eq!(
            changes,
            [
                ("id", "values"),
                ("city", "values"),
                ("new", "added"),
                ("old", "removed")
            ]
        );
        let numbers = found.columns[0].to.as_ref().unwrap();
        assert_eq!(
            (numbers.mean, numbers.least, numbers.greatest),
            (Some(3.5), Some(2.0), Some(5.0))
        );
    }

    #[test]
    fn without_a_key_equal_rows_are_counted_as_often_as_they_stand() {
        let from = df!("a" => [1_i64, 1, 2]).unwrap();
        let to = df!("a" => [1_i64, 2, 2, 3]).unwrap();
        let found = difference(&from, &to, &[]).unwrap();
        assert_eq!(
            (found.by_row.added, found.by_row.removed, found.by_row.changed),
            (2, 1, 0)
        );
        let same = difference(&from, &from, &[]).unwrap();
        assert_eq!(
            (same.by_row.added, same.by_row.removed, same.columns[0].change),
            (0, 0, "same")
        );
    }

    #[test]
    fn another_type_is_no_change_of_values() {
        let from = df!("a" => [1_i64, 2]).unwrap();
        let to = df!("a" => ["1", "2"]).unwrap();
        assert_eq!(difference(&from, &to, &[]).unwrap().columns[0].change, "type");
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let message = difference(&earlier(), &later(), &key(&["ID"])).unwrap_err().message;
        assert_eq!(message, "one of the two versions has no column `ID`");
        let double = df!("id" => [2_i64, 2], "city" => ["a", "b"]).unwrap();
        let message = difference(&earlier(), &double, &key(&["id"])).unwrap_err().message;
        assert_eq!(message, "id names 2 rows of the later version");
    }
}
