//! Expectations beyond shares and bounds: how text looks, how times run, how columns and tables agree.

use std::collections::{BTreeMap, HashSet};

use polars::prelude::{Column, DataFrame, DataType};
use ratchet_core::plugin::{ConfigProblem, Table, TaskError};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check::{Draft, Rows, is_null, share};
use super::expectation::{Severity, one};
use super::finding::Finding;
use crate::table;
use crate::train::{numbers, timestamps};
use crate::words::count;

/// How a column's text looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// A column of text.
    pub column: String,
    /// Regular expression that the whole value has to match, such as `\d{6}-\d{8}`. No look-around, no back-references.
    pub matches: String,
    /// The smallest share of the values that are not null, from 0 to 1. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// How old the newest value is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// A column of dates or times, also as text.
    pub column: String,
    /// Days between the newest value and the run's logical date, at most.
    pub days: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// Values that never fall from one row to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monotone {
    /// A column of numbers, dates or times. Nulls are passed over.
    pub column: String,
    /// True if two rows may not have the same value either.
    #[serde(default)]
    pub strict: bool,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// One column is at most another, row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The column that is smaller or earlier.
    pub smaller: String,
    /// The column that is greater or later.
    pub greater: String,
    /// The smallest share of the rows in which both are there, from 0 to 1. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// Every value stands in a column of another table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Referential {
    /// The column. Nulls are passed over.
    pub column: String,
    /// The other table.
    pub table: Table,
    /// Its column.
    pub references: String,
    /// The smallest share of the values that are not null, from 0 to 1. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// No column says almost the same as the target: it would come from the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// The column to be predicted.
    pub target: String,
    /// Columns of numbers that are held against it.
    pub columns: Vec<String>,
    /// The largest correlation (Pearson, without its sign), from 0 to 1. Default: 0.98.
    #[serde(default = "leak_limit")]
    pub max: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

fn leak_limit() -> f64 {
    0.98
}

/// A query that finds what should not be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// One SELECT over the table, which it calls `rows`. What it returns are offending rows.
    pub sql: String,
    /// The most rows that it may return. Default: 0.
    #[serde(default)]
    pub max: u64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

pub(super) fn bad_share(share: f64, field: &str) -> Option<(String, String, &'static str)> {
    (!(0.0..=1.0).contains(&share)).then(|| {
        (
            field.to_owned(),
            format!("{share} is not a share from 0 to 1"),
            "write 0.99 for 99 percent",
        )
    })
}

/// Problems as a gate reports them.
pub(super) fn problems(pointer: &str, found: Vec<(String, String, &'static str)>) -> Vec<ConfigProblem> {
    let problems = found.into_iter().map(|(field, message, help)| ConfigProblem {
        pointer: format!("{pointer}/{field}"),
        message,
        help: Some(help.to_owned()),
    });
    problems.collect()
}

impl Pattern {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut found: Vec<_> = bad_share(self.share, "pattern/share").into_iter().collect();
        if let Err(error) = self.regex() {
            let message = format!("`{}` is no regular expression: {error}", self.matches);
            found.push((
                "pattern/matches".to_owned(),
                message,
                "look-around and back-references are not known here",
            ));
        }
        problems(pointer, found)
    }

    fn regex(&self) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{})$", self.matches))
    }

    pub(super) fn check(&self, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
        let column = table::column(rows.frame, &self.column, place)?;
        let texts = column.str().map_err(|_| unfit("pattern", "text", column, place))?;
        let regex = self
            .regex()
            .map_err(|error| TaskError::permanent(format!("`{}` is no regular expression: {error}", self.matches)))?;
        let others: Vec<usize> = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| text.is_some_and(|text| !regex.is_match(text)))
            .map(|(row, _)| row)
            .collect();
        let present = texts.len() - texts.null_count();
        let seen = 1.0 - share(others.len(), present);
        let draft = Draft {
            expectation: format!("pattern({} ~ {}) >= {}", self.column, self.matches, self.share),
            severity: self.severity,
            passed: seen >= self.share,
            seen,
            detail: format!("{seen:.4} of {} values match", count(present as u64)),
            threshold: json!({ "matches": self.matches, "share": self.share }),
        };
        rows.finding(draft, &others)
    }
}

impl Freshness {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        if self.days.is_finite() && self.days >= 0.0 {
            return Vec::new();
        }
        let message = format!("{} is not a number of days from 0", self.days);
        problems(
            pointer,
            vec![(
                "freshness/days".to_owned(),
                message,
                "write 40 for a table that comes monthly",
            )],
        )
    }

    /// `now` is the run's logical date in civil seconds (UTC).
    pub(super) fn check(&self, rows: &Rows, now: i64, place: &str) -> Result<Finding, TaskError> {
        let times = timestamps(table::column(rows.frame, &self.column, place)?, place)?;
        let newest = times.iter().flatten().max();
        let age = newest.map(|newest| (now - newest) as f64 / 86_400.0);
        let draft = Draft {
            expectation: format!("freshness({}) <= {} days", self.column, self.days),
            severity: self.severity,
            passed: age.is_some_and(|age| age <= self.days),
            seen: age.unwrap_or(0.0),
            detail: match (newest, age) {
                (Some(newest), Some(age)) => format!(
                    "the newest value is {}, {age:.1} days before the run's logical date",
                    ratchet_model::schema::format_timestamp(*newest)
                ),
                _ => "there is no value".to_owned(),
            },
            threshold: json!({ "days": self.days }),
        };
        rows.finding(draft, &[])
    }
}

impl Monotone {
    pub(super) fn check(&self, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
        let values = ordered(table::column(rows.frame, &self.column, place)?, place)?;
        let mut offending = Vec::new();
        let mut before = f64::NEG_INFINITY;
        for (row, value) in values.into_iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            if value < before || (self.strict && value == before) {
                offending.push(row);
            }
            before = value;
        }
        let word = if self.strict { "rises" } else { "never falls" };
        let draft = Draft {
            expectation: format!("monotone({} {word})", self.column),
            severity: self.severity,
            passed: offending.is_empty(),
            seen: offending.len() as f64,
            detail: format!("{} rows break the order", count(offending.len() as u64)),
            threshold: json!({ "strict": self.strict }),
        };
        rows.finding(draft, &offending)
    }
}

impl Compare {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        problems(pointer, bad_share(self.share, "compare/share").into_iter().collect())
    }

    pub(super) fn check(&self, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
        let smaller = ordered(table::column(rows.frame, &self.smaller, place)?, place)?;
        let greater = ordered(table::column(rows.frame, &self.greater, place)?, place)?;
        let pairs = || smaller.iter().zip(&greater).enumerate();
        let present = pairs().filter(|(_, (a, b))| !a.is_nan() && !b.is_nan()).count();
        let offending: Vec<usize> = pairs().filter(|(_, (a, b))| a > b).map(|(row, _)| row).collect();
        let seen = 1.0 - share(offending.len(), present);
        let draft = Draft {
            expectation: format!("compare({} <= {}) >= {}", self.smaller, self.greater, self.share),
            severity: self.severity,
            passed: seen >= self.share,
            seen,
            detail: format!("{seen:.4} of {} rows with both values agree", count(present as u64)),
            threshold: json!({ "share": self.share }),
        };
        rows.finding(draft, &offending)
    }
}

impl Referential {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        problems(
            pointer,
            bad_share(self.share, "referential/share").into_iter().collect(),
        )
    }

    pub(super) fn check(&self, rows: &Rows, other: &DataFrame, place: &str) -> Result<Finding, TaskError> {
        let column = table::column(rows.frame, &self.column, place)?;
        let there = keys(table::column(other, &self.references, &table::place_of(&self.table))?)?;
        let there: HashSet<String> = there.into_iter().flatten().collect();
        let values = keys(column)?;
        let present = values.iter().flatten().count();
        let missing = values.iter().enumerate();
        let missing: Vec<usize> = missing
            .filter(|(_, value)| value.as_ref().is_some_and(|value| !there.contains(value)))
            .map(|(row, _)| row)
            .collect();
        let seen = 1.0 - share(missing.len(), present);
        let draft = Draft {
            expectation: format!("referential({} in {}) >= {}", self.column, self.references, self.share),
            severity: self.severity,
            passed: seen >= self.share,
            seen,
            detail: format!(
                "{seen:.4} of {} values stand among the {} of {}",
                count(present as u64),
                count(there.len() as u64),
                table::place_of(&self.table)
            ),
            threshold: json!({ "share": self.share }),
        };
        rows.finding(draft, &missing)
    }
}

impl Leak {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut found: Vec<_> = bad_share(self.max, "leak/max").into_iter().collect();
        if self.columns.is_empty() || self.columns.contains(&self.target) {
            let message = "names no column, or the target itself".to_owned();
            found.push((
                "leak/columns".to_owned(),
                message,
                "name the columns that features read",
            ));
        }
        problems(pointer, found)
    }

    /// One finding a column.
    pub(super) fn check(&self, rows: &Rows, place: &str) -> Result<Vec<Finding>, TaskError> {
        let target = ordered(table::column(rows.frame, &self.target, place)?, place)?;
        let findings = self.columns.iter().map(|name| {
            let values = ordered(table::column(rows.frame, name, place)?, place)?;
            let (correlation, pairs) = correlation(&values, &target);
            let seen = correlation.abs();
            let draft = Draft {
                expectation: format!("leak({name}, {}) <= {}", self.target, self.max),
                severity: self.severity,
                passed: seen <= self.max,
                seen,
                detail: format!("the correlation is {correlation:.4} over {} rows", count(pairs as u64)),
                threshold: json!({ "max": self.max }),
            };
            rows.finding(draft, &[])
        });
        findings.collect()
    }
}

impl Query {
    pub(super) fn check(&self, rows: &Rows) -> Result<Finding, TaskError> {
        let tables = BTreeMap::from([("rows".to_owned(), rows.frame.clone())]);
        let found = crate::transform::query(tables, &self.sql)?;
        let number = found.height() as u64;
        let names: Vec<String> = found.get_column_names().iter().map(|name| name.to_string()).collect();
        let shown = Rows {
            frame: &found,
            key: &names,
            mask: rows.mask,
        };
        let draft = Draft {
            expectation: format!(
                "query({}) <= {}",
                self.sql.split_whitespace().collect::<Vec<_>>().join(" "),
                self.max
            ),
            severity: self.severity,
            passed: number <= self.max,
            seen: number as f64,
            detail: format!("the query returns {} rows", count(number)),
            threshold: json!({ "max": self.max }),
        };
        let offending: Vec<usize> = (0..found.height()).collect();
        // The rows of the query are not those of the table.
        Ok(Finding {
            rows: Vec::new(),
            ..shown.finding(draft, &offending)?
        })
    }
}

/// Pearson's correlation over the rows in which both are there, and their number; 0 where one of them never changes.
pub(crate) fn correlation(left: &[f64], right: &[f64]) -> (f64, usize) {
    let pairs = || left.iter().zip(right).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let number = pairs().count();
    let mean = |sum: f64| sum / number.max(1) as f64;
    let (left_mean, right_mean) = (
        mean(pairs().map(|(a, _)| a).sum::<f64>()),
        mean(pairs().map(|(_, b)| b).sum::<f64>()),
    );
    let (mut both, mut left_square, mut right_square) = (0.0, 0.0, 0.0);
    for (a, b) in pairs() {
        both += (a - left_mean) * (b - right_mean);
        left_square += (a - left_mean) * (a - left_mean);
        right_square += (b - right_mean) * (b - right_mean);
    }
    let scale = (left_square * right_square).sqrt();
    (if scale > 0.0 { both / scale } else { 0.0 }, number)
}

/// Numbers, or times as seconds; NaN where there is none.
fn ordered(column: &Column, place: &str) -> Result<Vec<f64>, TaskError> {
    if matches!(
        column.dtype(),
        DataType::String | DataType::Date | DataType::Datetime(..)
    ) {
        let times = timestamps(column, place)?.into_iter();
        return Ok(times.map(|time| time.map_or(f64::NAN, |time| time as f64)).collect());
    }
    numbers(column, place)
}

/// Values as text that is the same for the same value, whether it is written 7 or 7.0.
fn keys(column: &Column) -> Result<Vec<Option<String>>, TaskError> {
    let nulls = is_null(column)?;
    let mut keys = Vec::with_capacity(nulls.len());
    for (row, null) in nulls.into_iter().enumerate() {
        let value = column
            .get(row)
            .map_err(|error| TaskError::permanent(error.to_string()))?;
        keys.push(match (null, value.get_str(), value.extract::<f64>()) {
            (true, ..) => None,
            (_, Some(text), _) => Some(text.trim().to_owned()),
            (_, None, Some(number)) => Some(number.to_string()),
            (_, None, None) => Some(value.to_string()),
        });
    }
    Ok(keys)
}

pub(super) fn unfit(rule: &str, wanted: &str, column: &Column, place: &str) -> TaskError {
    TaskError::permanent(format!(
        "`{rule}` needs {wanted}, and column `{}` of {place} is {}",
        column.name(),
        column.dtype()
    ))
    .with_help("declare its type where the table is extracted (`types`), or cast it in SQL")
}
