//! Holds a frame against an expectation.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{AnyValue, Column, DataFrame, DataType};
use ratchet_core::plugin::{Table, TaskError};
use serde_json::{Value, json};

use super::drift::Earlier;
use super::expectation::{Allowed, Between, Expectation, NullShare, RowCount, Severity, Unique};
use super::finding::{Finding, OffendingRow};
use super::offending::MASK;
use crate::rows::to_json;
use crate::table;
use crate::words::count;

/// How many offending rows a report shows.
const SHOWN_ROWS: usize = 20;

/// Checks one expectation. There is one finding, or one a column where it names several. `key` names columns whose
/// values a report shows beside the row's index; `place` names the table in errors.
///
/// # Errors
/// A column that is not there or is of another type than the expectation needs.
pub fn check(
    expectation: &Expectation,
    frame: &DataFrame,
    key: &[String],
    around: &Surroundings,
    place: &str,
) -> Result<Vec<Finding>, TaskError> {
    let rows = Rows {
        frame,
        key,
        mask: &around.mask,
    };
    match expectation {
        Expectation::RowCount(expectation) => Ok(vec![row_count(expectation, frame)]),
        Expectation::NullShare(expectation) => expectation
            .columns
            .iter()
            .map(|name| null_share(expectation, name, &rows, place))
            .collect(),
        Expectation::Unique(expectation) => Ok(vec![unique(expectation, &rows, place)?]),
        Expectation::Between(expectation) => Ok(vec![between(expectation, &rows, place)?]),
        Expectation::Allowed(expectation) => Ok(vec![allowed(expectation, &rows, place)?]),
        Expectation::Pattern(rule) => Ok(vec![rule.check(&rows, place)?]),
        Expectation::Freshness(rule) => Ok(vec![rule.check(&rows, around.now, place)?]),
        Expectation::Monotone(rule) => Ok(vec![rule.check(&rows, place)?]),
        Expectation::Compare(rule) => Ok(vec![rule.check(&rows, place)?]),
        Expectation::Referential(rule) => {
            let other = around.tables.iter().find(|(table, _)| *table == rule.table);
            let (_, other) =
                other.ok_or_else(|| TaskError::permanent(format!("{} was not read", table::place_of(&rule.table))))?;
            Ok(vec![rule.check(&rows, other, place)?])
        }
        Expectation::Leak(rule) => rule.check(&rows, place),
        Expectation::Schema(rule) => Ok(vec![rule.check(frame)]),
        Expectation::Dates(rule) => Ok(vec![rule.check(&rows, place)?]),
        Expectation::Drift(rule) => match around.earlier.get(&rule.against) {
            Some(earlier) => rule.check(frame, earlier, place),
            None => Err(TaskError::permanent(format!("dataset `{}` was not read", rule.against))),
        },
        Expectation::Query(rule) => Ok(vec![rule.check(&rows)?]),
    }
}

/// What a rule may ask beside the table.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The run's logical date in seconds.
    pub now: i64,
    /// Other tables that rules refer to.
    pub tables: Vec<(Table, DataFrame)>,
    /// Columns whose values are not shown.
    pub mask: Vec<String>,
    /// Earlier versions, by what rules call them.
    pub earlier: BTreeMap<String, Earlier>,
}

/// The rows of a table and how to show one.
pub(super) struct Rows<'a> {
    pub(super) frame: &'a DataFrame,
    pub(super) key: &'a [String],
    pub(super) mask: &'a [String],
}

impl Rows<'_> {
    fn show(&self, offending: &[usize]) -> Result<Vec<OffendingRow>, TaskError> {
        offending
            .iter()
            .take(SHOWN_ROWS)
            .map(|row| {
                let mut key = BTreeMap::new();
                for name in self.key {
                    let column = table::column(self.frame, name, "the table")?;
                    let value = match self.mask.contains(name) {
                        true => Value::from(MASK),
                        false => column.get(*row).map_or(Value::Null, |value| to_json(&value)),
                    };
                    key.insert(name.clone(), value);
                }
                Ok(OffendingRow { row: *row as u64, key })
            })
            .collect()
    }

    pub(super) fn finding(&self, draft: Draft, offending: &[usize]) -> Result<Finding, TaskError> {
        let Draft {
            expectation,
            severity,
            passed,
            seen,
            detail,
            threshold,
        } = draft;
        // Rows that a tolerated share lets pass are listed all the same: they are what to look at next.
        let first_rows = self.show(offending)?;
        Ok(Finding {
            expectation,
            severity,
            passed,
            seen,
            detail,
            threshold,
            offending: offending.len() as u64,
            first_rows,
            rows: offending.to_vec(),
        })
    }
}

/// A finding without its rows.
pub(super) struct Draft {
    pub(super) expectation: String,
    pub(super) severity: Severity,
    pub(super) passed: bool,
    pub(super) seen: f64,
    pub(super) detail: String,
    pub(super) threshold: Value,
}

fn row_count(expectation: &RowCount, frame: &DataFrame) -> Finding {
    let RowCount { min, max, severity } = expectation;
    let rows = frame.height() as u64;
    Finding {
        expectation: bounds(
            "row_count",
            min.map(|min| min.to_string()),
            max.map(|max| max.to_string()),
        ),
        severity: *severity,
        passed: min.is_none_or(|min| rows >= min) && max.is_none_or(|max| rows <= max),
        seen: rows as f64,
        detail: format!("{} rows", count(rows)),
        threshold: json!({ "min": min, "max": max }),
        offending: 0,
        first_rows: Vec::new(),
        rows: Vec::new(),
    }
}

fn null_share(expectation: &NullShare, name: &str, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
    let column = table::column(rows.frame, name, place)?;
    let nulls = indices(&is_null(column)?, true);
    let total = rows.frame.height();
    let seen = share(nulls.len(), total);
    let draft = Draft {
        expectation: format!("null_share({name}) <= {}", expectation.max),
        severity: expectation.severity,
        passed: seen <= expectation.max,
        seen,
        detail: format!("{seen:.4} of {} rows are null", count(total as u64)),
        threshold: json!({ "max": expectation.max }),
    };
    rows.finding(draft, &nulls)
}

fn unique(expectation: &Unique, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
    let columns: Vec<&Column> = expectation
        .columns
        .iter()
        .map(|name| table::column(rows.frame, name, place))
        .collect::<Result<_, _>>()?;
    let mut first_seen: HashMap<Vec<u8>, usize> = HashMap::with_capacity(rows.frame.height());
    let mut repeated = Vec::new();
    let mut key = Vec::new();
    for row in 0..rows.frame.height() {
        key.clear();
        for column in &columns {
            append_key(
                &mut key,
                &column
                    .get(row)
                    .map_err(|error| TaskError::permanent(error.to_string()))?,
            );
        }
        if first_seen.contains_key(key.as_slice()) {
            repeated.push(row);
        } else {
            first_seen.insert(key.clone(), row);
        }
    }
    let number = repeated.len() as u64;
    let draft = Draft {
        expectation: format!("unique({})", expectation.columns.join(", ")),
        severity: expectation.severity,
        passed: repeated.is_empty(),
        seen: number as f64,
        detail: format!(
            "{} of {} rows repeat an earlier one",
            count(number),
            count(rows.frame.height() as u64)
        ),
        threshold: json!({ "max": 0 }),
    };
    rows.finding(draft, &repeated)
}

fn between(expectation: &Between, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
    let Between {
        column: name,
        min,
        max,
        share: least,
        severity,
    } = expectation;
    let column = table::column(rows.frame, name, place)?;
    if !matches!(column.dtype(), DataType::Int64 | DataType::Float64) {
        return Err(TaskError::permanent(format!(
            "`between` needs numbers, and column `{name}` of {place} is {}",
            kind_word(column.dtype())
        ))
        .with_help(format!(
            "declare `{name}` a number where the table is extracted (`types`), or cast it in SQL"
        )));
    }
    let numbers = column
        .cast(&DataType::Float64)
        .map_err(|error| TaskError::permanent(error.to_string()))?;
    let numbers = numbers.f64().map_err(|error| TaskError::permanent(error.to_string()))?;
    let inside = |number: f64| min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max);
    let outside: Vec<usize> = numbers
        .iter()
        .enumerate()
        .filter(|(_, number)| number.is_some_and(|number| !inside(number)))
        .map(|(row, _)| row)
        .collect();
    let values = numbers.len() - numbers.null_count();
    let seen = 1.0 - share(outside.len(), values);
    let range = bounds(name, min.map(|min| min.to_string()), max.map(|max| max.to_string()));
    let draft = Draft {
        expectation: format!("between({range}) >= {least}"),
        severity: *severity,
        passed: seen >= *least,
        seen,
        detail: format!("{seen:.4} of {} values lie between the bounds", count(values as u64)),
        threshold: json!({ "min": min, "max": max, "share": least }),
    };
    rows.finding(draft, &outside)
}

fn allowed(expectation: &Allowed, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
    let Allowed {
        column: name,
        values,
        share: least,
        severity,
    } = expectation;
    let column = table::column(rows.frame, name, place)?;
    let nulls = is_null(column)?;
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    let mut offending = Vec::new();
    for (row, null) in nulls.iter().enumerate() {
        if *null {
            continue;
        }
        let value = to_json(
            &column
                .get(row)
                .map_err(|error| TaskError::permanent(error.to_string()))?,
        );
        if !values.iter().any(|allowed| same(allowed, &value)) {
            *others.entry(value.to_string()).or_default() += 1;
            offending.push(row);
        }
    }
    let present = nulls.iter().filter(|null| !**null).count();
    let seen = 1.0 - share(offending.len(), present);
    let mut frequent: Vec<(&String, &u64)> = others.iter().collect();
    frequent.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    let others: Vec<String> = frequent
        .iter()
        .take(5)
        .map(|(value, number)| format!("{value} ({})", count(**number)))
        .collect();
    let among = if others.is_empty() || rows.mask.contains(name) {
        String::new()
    } else {
        format!("; others are {}", others.join(", "))
    };
    let draft = Draft {
        expectation: format!("allowed({name}, {} values) >= {least}", values.len()),
        severity: *severity,
        passed: seen >= *least,
        seen,
        detail: format!("{seen:.4} of {} values are in the list{among}", count(present as u64)),
        threshold: json!({ "values": values, "share": least }),
    };
    rows.finding(draft, &offending)
}

pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `1 <= name <= 5`, with the bounds that are there.
fn bounds(name: &str, min: Option<String>, max: Option<String>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} <= {name} <= {max}"),
        (Some(min), None) => format!("{name} >= {min}"),
        (None, Some(max)) => format!("{name} <= {max}"),
        (None, None) => name.to_owned(),
    }
}

/// Which values are null; a number that is not a number counts as one.
pub(super) fn is_null(column: &Column) -> Result<Vec<bool>, TaskError> {
    if column.dtype() == &DataType::Float64 {
        let numbers = column.f64().map_err(|error| TaskError::permanent(error.to_string()))?;
        return Ok(numbers.iter().map(|number| number.is_none_or(f64::is_nan)).collect());
    }
    Ok(column.is_null().iter().map(|null| null.unwrap_or(true)).collect())
}

fn indices(mask: &[bool], wanted: bool) -> Vec<usize> {
    mask.iter()
        .enumerate()
        .filter(|(_, value)| **value == wanted)
        .map(|(row, _)| row)
        .collect()
}

fn same(allowed: &Value, value: &Value) -> bool {
    match (allowed.as_f64(), value.as_f64()) {
        (Some(allowed), Some(value)) => allowed == value,
        _ => allowed == value,
    }
}

/// Appends a value so that different rows never make the same bytes.
fn append_key(key: &mut Vec<u8>, value: &AnyValue) {
    let text = match value {
        AnyValue::Null => {
            key.push(0);
            return;
        }
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::Float64(number) => format!("{:016x}", number.to_bits()),
        other => other.to_string(),
    };
    key.push(1);
    key.extend_from_slice(&(text.len() as u64).to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

fn kind_word(kind: &DataType) -> &'static str {
    match kind {
        DataType::String => "text",
        DataType::Boolean => "boolean",
        DataType::Date => "a date",
        DataType::Datetime(..) => "a timestamp",
        _ => "of another type",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use polars::df;

    use super::*;

    fn frame() -> DataFrame {
        df!(
            "id" => ["a", "b", "b", "d"],
            "seconds" => [Some(10_i64), None, Some(2000), Some(30)],
            "kind" => [Some("Fire"), Some("fire"), None, Some("Fire")],
        )
        .unwrap()
    }

    fn only(yaml: Value) -> Finding {
        let expectation: Expectation = serde_json::from_value(yaml).unwrap();
        check(
            &expectation,
            &frame(),
            &["id".to_owned()],
            &Surroundings::default(),
            "table `t`",
        )
        .unwrap()
        .remove(0)
    }

    #[test]
    fn each_expectation_reports_what_it_saw_and_where() {
        let finding = only(json!({ "row_count": { "min": 5 } }));
        assert_eq!(finding.sentence(), "expectation `row_count >= 5` failed: 4 rows");

        let finding = only(json!({ "null_share": { "columns": ["seconds"], "max": 0.1 } }));
        assert_eq!(
            finding.sentence(),
            "expectation `null_share(seconds) <= 0.1` failed: 0.2500 of 4 rows are null (row 1)"
        );
        assert_eq!(finding.first_rows[0].key["id"], json!("b"));

        let finding = only(json!({ "unique": { "columns": ["id"] } }));
        assert_eq!(
            (finding.passed, finding.offending, finding.first_rows[0].row),
            (false, 1, 2)
        );
        assert!(only(json!({ "unique": { "columns": ["id", "seconds"] } })).passed);

        let finding = only(json!({ "between": { "column": "seconds", "min": 1, "max": 1200 } }));
        assert_eq!(
            finding.sentence(),
            "expectation `between(1 <= seconds <= 1200) >= 1` failed: 0.6667 of 3 values lie between the bounds (row 2)"
        );
        assert!(only(json!({ "between": { "column": "seconds", "max": 1200, "share": 0.6 } })).passed);

        let finding = only(json!({ "allowed": { "column": "kind", "values": ["Fire"] } }));
        assert!(
            finding
                .sentence()
                .contains("0.6667 of 3 values are in the list; others are \"fire\" (1)")
        );
        assert!(only(json!({ "allowed": { "column": "seconds", "values": [10, 30.0, 2000] } })).passed);
    }

    #[test]
    fn a_wrong_column_is_an_error_with_the_nearest_name() {
        let expectation: Expectation = serde_json::from_value(json!({ "unique": { "columns": ["idd"] } })).unwrap();
        let error = check(&expectation, &frame(), &[], &Surroundings::default(), "table `t`").unwrap_err();
        assert!(error.to_string().contains("table `t` has no column `idd`"), "{error}");
        assert!(error.to_string().contains("did you mean `id`?"), "{error}");
        let expectation: Expectation =
            serde_json::from_value(json!({ "between": { "column": "kind", "min": 1 } })).unwrap();
        assert!(
            check(&expectation, &frame(), &[], &Surroundings::default(), "table `t`")
                .unwrap_err()
                .message
                .contains("is text")
        );
    }

    #[test]
    fn a_report_shows_twenty_rows_and_counts_all() {
        let frame = df!("n" => (0..100_i64).collect::<Vec<_>>()).unwrap();
        let expectation: Expectation =
            serde_json::from_value(json!({ "between": { "column": "n", "min": 50 } })).unwrap();
        let finding = check(&expectation, &frame, &[], &Surroundings::default(), "t")
            .unwrap()
            .remove(0);
        assert_eq!((finding.offending, finding.first_rows.len()), (50, 20));
        assert!(finding.sentence().ends_with("(rows 0, 1, 2, ...)"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let wrong = json!({ "between": { "colum": "n", "min": 50 } });
        assert!(serde_json::from_value::<Expectation>(wrong).is_err());
    }
}
