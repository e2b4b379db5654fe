//! What people write under `expect`.

use super::drift::Drift;
use super::rules::{Compare, Freshness, Leak, Monotone, Pattern, Query, Referential};
use super::shape::{Dates, Schema};
use ratchet_core::plugin::ConfigProblem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happens when an expectation is not met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The gate says so and lets the table pass.
    Warn,
    /// The gate fails.
    #[default]
    Fail,
}

/// One expectation of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// The number of rows lies between two bounds.
    RowCount(RowCount),
    /// At most a share of each column's values is null.
    NullShare(NullShare),
    /// No two rows have the same values in these columns together.
    Unique(Unique),
    /// At least a share of a column's numbers lies between two bounds.
    Between(Between),
    /// At least a share of a column's values is one of a list.
    Allowed(Allowed),
    /// At least a share of a column's text matches a regular expression.
    Pattern(Pattern),
    /// The newest value of a column is not too old.
    Freshness(Freshness),
    /// A column never falls from one row to the next.
    Monotone(Monotone),
    /// One column is at most another in at least a share of the rows.
    Compare(Compare),
    /// At least a share of a column's values stands in a column of another table.
    Referential(Box<Referential>),
    /// No column is nearly the target.
    Leak(Leak),
    /// Columns are there and have their types.
    Schema(Schema),
    /// At least a share of a column's text is a date in one of several spellings.
    Dates(Dates),
    /// Columns are spread as in an earlier version of a dataset.
    Drift(Drift),
    /// A query over the table, called `rows`, returns nothing.
    Query(Query),
}

/// Bounds of the number of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// The fewest rows.
    #[serde(default)]
    pub min: Option<u64>,
    /// The most rows.
    #[serde(default)]
    pub max: Option<u64>,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// Bound of the share of nulls, column by column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullShare {
    /// The columns; each is held against `max` alone.
    pub columns: Vec<String>,
    /// The largest share, from 0 to 1. Default: 0.
    #[serde(default)]
    pub max: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// Columns that together name a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The columns. Two nulls count as the same value.
    pub columns: Vec<String>,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// Bounds of a column's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// A column of integers or numbers.
    pub column: String,
    /// The smallest value.
    #[serde(default)]
    pub min: Option<f64>,
    /// The largest value.
    #[serde(default)]
    pub max: Option<f64>,
    /// The smallest share of the values that are not null, from 0 to 1. Default: 1. Nulls are a matter of `null_share`.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// The list of a column's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// The column.
    pub column: String,
    /// Its values: text, numbers, true or false; dates and timestamps as text.
    pub values: Vec<Value>,
    /// The smallest share of the values that are not null, from 0 to 1. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

pub(super) fn one() -> f64 {
    1.0
}

impl Expectation {
    /// What happens when it is not met.
    pub fn severity(&self) -> Severity {
        match self {
            Expectation::RowCount(expectation) => expectation.severity,
            Expectation::NullShare(expectation) => expectation.severity,
            Expectation::Unique(expectation) => expectation.severity,
            Expectation::Between(expectation) => expectation.severity,
            Expectation::Allowed(expectation) => expectation.severity,
            Expectation::Pattern(expectation) => expectation.severity,
            Expectation::Freshness(expectation) => expectation.severity,
            Expectation::Monotone(expectation) => expectation.severity,
            Expectation::Compare(expectation) => expectation.severity,
            Expectation::Referential(expectation) => expectation.severity,
            Expectation::Leak(expectation) => expectation.severity,
            Expectation::Schema(expectation) => expectation.severity,
            Expectation::Dates(expectation) => expectation.severity,
            Expectation::Drift(expectation) => expectation.severity,
            Expectation::Query(expectation) => expectation.severity,
        }
    }

    /// What the types alone do not show. `pointer` is the place of the expectation.
    pub fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut problem = |field: &str, message: String, help: &str| {
            problems.push(ConfigProblem {
                pointer: format!("{pointer}/{field}"),
                message,
                help: (!help.is_empty()).then(|| help.to_owned()),
            });
        };
        let bad_share = |share: f64| !(0.0..=1.0).contains(&share);
        match self {
            Expectation::Pattern(rule) => return rule.problems(pointer),
            Expectation::Freshness(rule) => return rule.problems(pointer),
            Expectation::Compare(rule) => return rule.problems(pointer),
            Expectation::Referential(rule) => return rule.problems(pointer),
            Expectation::Leak(rule) => return rule.problems(pointer),
            Expectation::Schema(rule) => return rule.problems(pointer),
            Expectation::Dates(rule) => return rule.problems(pointer),
            Expectation::Drift(rule) => return rule.problems(pointer),
            Expectation::Monotone(_) => {}
            Expectation::Query(rule) => {
                if rule.sql.trim().is_empty() {
                    problem(
                        "query/sql",
                        "holds no statement".to_owned(),
                        "write one SELECT over `rows`",
                    );
                }
            }
            Expectation::RowCount(RowCount { min, max, .. }) => match (min, max) {
                (None, None) => problem(
                    "row_count",
                    "has neither `min` nor `max`".to_owned(),
                    "write at least one bound",
                ),
                (Some(min), Some(max)) if min > max => {
                    problem("row_count/min", format!("{min} is above `max` ({max})"), "");
                }
                _ => {}
            },
            Expectation::NullShare(NullShare { columns, max, .. }) => {
                if columns.is_empty() {
                    problem("null_share/columns", "names no column".to_owned(), "");
                }
                if bad_share(*max) {
                    problem(
                        "null_share/max",
                        format!("{max} is not a share from 0 to 1"),
                        "write 0.01 for one percent",
                    );
                }
            }
            Expectation::Unique(Unique { columns, .. }) => {
                if columns.is_empty() {
                    problem("unique/columns", "names no column".to_owned(), "");
                }
            }
            Expectation::Between(Between { min, max, share, .. }) => {
                match (min, max) {
                    (None, None) => problem(
                        "between",
                        "has neither `min` nor `max`".to_owned(),
                        "write at least one bound",
                    ),
                    (Some(min), Some(max)) if min > max => {
                        problem("between/min", format!("{min} is above `max` ({max})"), "");
                    }
                    _ => {}
                }
                if bad_share(*share) {
                    problem(
                        "between/share",
                        format!("{share} is not a share from 0 to 1"),
                        "write 0.99 for 99 percent",
                    );
                }
            }
            Expectation::Allowed(Allowed { values, share, .. }) => {
                if values.is_empty() {
                    problem("allowed/values", "lists no value".to_owned(), "");
                }
                for value in values
                    .iter()
                    .filter(|value| value.is_array() || value.is_object() || value.is_null())
                {
                    problem(
                        "allowed/values",
                        format!("{value} is not text, a number, true or false"),
                        "",
                    );
                }
                if bad_share(*share) {
                    problem(
                        "allowed/share",
                        format!("{share} is not a share from 0 to 1"),
                        "write 0.99 for 99 percent",
                    );
                }
            }
        }
        problems
    }
}
