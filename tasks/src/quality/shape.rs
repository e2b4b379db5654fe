//! Expectations of what columns are: their types, and how dates in text are spelled.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::fmt::strtime;
use polars::prelude::DataFrame;
use ratchet_core::plugin::{ColumnType, ConfigProblem, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::check::{Draft, Rows, share};
use super::expectation::{Severity, one};
use super::finding::Finding;
use super::rules::{bad_share, problems, unfit};
use crate::table::{self, column_type};
use crate::words::count;

/// `%Y` also reads `20` as the year 20; a table means 2020.
const FIRST_YEAR: i16 = 1_000;

/// Which columns there are, and of which type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Columns with their types: `integer`, `number`, `text`, `boolean`, `date`, `timestamp`.
    pub columns: BTreeMap<String, ColumnType>,
    /// True if there may be no other columns.
    #[serde(default)]
    pub only: bool,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

/// How dates in text are spelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// A column of text. Nulls are passed over.
    pub column: String,
    /// Spellings of which each value has one, such as `%Y-%m-%d` and `%d %b %Y`: `%Y`, `%y`, `%m`, `%b`, `%B`, `%d`, `%H`,
    /// `%M`, `%S`. The report counts each.
    pub formats: Vec<String>,
    /// The smallest share of the values that are not null, from 0 to 1. Default: 1.
    #[serde(default = "one")]
    pub share: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

impl Schema {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let empty = self.columns.is_empty().then(|| {
            let message = "names no column".to_owned();
            (
                "schema/columns".to_owned(),
                message,
                "name at least one column with its type",
            )
        });
        problems(pointer, empty.into_iter().collect())
    }

    pub(super) fn check(&self, frame: &DataFrame) -> Finding {
        let mut differences = Vec::new();
        for (name, expected) in &self.columns {
            let found = frame.column(name).ok().map(|column| column_type(column.dtype()));
            match found {
                None => differences.push(format!("`{name}` is missing")),
                Some(found) if found != Some(*expected) => {
                    let found = found.map_or("of another type", ColumnType::name);
                    differences.push(format!("`{name}` is {found}, not {}", expected.name()));
                }
                Some(_) => {}
            }
        }
        if self.only {
            let names = frame.get_column_names();
            let others = names.iter().filter(|name| !self.columns.contains_key(name.as_str()));
            differences.extend(others.map(|name| format!("`{name}` is not expected")));
        }
        let number = self.columns.len();
        Finding {
            expectation: format!(
                "schema({number} columns{})",
                if self.only { " and no other" } else { "" }
            ),
            severity: self.severity,
            passed: differences.is_empty(),
            seen: differences.len() as f64,
            detail: match differences.is_empty() {
                true => "all columns are there with their types".to_owned(),
                false => differences.join("; "),
            },
            threshold: json!({ "columns": self.columns, "only": self.only }),
            offending: 0,
            first_rows: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl Dates {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut found: Vec<_> = bad_share(self.share, "dates/share").into_iter().collect();
        if self.formats.is_empty() {
            let message = "lists no spelling".to_owned();
            found.push((
                "dates/formats".to_owned(),
                message,
                "write at least one, such as `%Y-%m-%d`",
            ));
        }
        // A spelling that cannot be written cannot be read either.
        let sample = Date::constant(2000, 12, 31).at(23, 59, 58, 0);
        for format in &self.formats {
            let whole = strtime::format(format, sample).is_ok_and(|text| is_date(format, &text));
            if !whole {
                let message = format!("`{format}` does not spell a date with its year, month and day");
                found.push((
                    "dates/formats".to_owned(),
                    message,
                    "put it together from %Y, %y, %m, %b, %B, %d, %H, %M, %S",
                ));
            }
        }
        problems(pointer, found)
    }

    pub(super) fn check(&self, rows: &Rows, place: &str) -> Result<Finding, TaskError> {
        let column = table::column(rows.frame, &self.column, place)?;
        let texts = column.str().map_err(|_| unfit("dates", "text", column, place))?;
        let mut spelled = vec![0_u64; self.formats.len()];
        let mut others = Vec::new();
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else { continue };
            match self.formats.iter().position(|format| is_date(format, text.trim())) {
                Some(format) => spelled[format] += 1,
                None => others.push(row),
            }
        }
        let present = texts.len() - texts.null_count();
        let seen = 1.0 - share(others.len(), present);
        let counted = self.formats.iter().zip(&spelled);
        let counted: Vec<String> = counted
            .map(|(format, number)| format!("{} as {format}", count(*number)))
            .collect();
        let draft = Draft {
            expectation: format!(
                "dates({}, {} spellings) >= {}",
                self.column,
                self.formats.len(),
                self.share
            ),
            severity: self.severity,
            passed: seen >= self.share,
            seen,
            detail: format!(
                "{seen:.4} of {} values are dates: {}",
                count(present as u64),
                counted.join(", ")
            ),
            threshold: json!({ "formats": self.formats, "share": self.share }),
        };
        rows.finding(draft, &others)
    }
}

fn is_date(format: &str, text: &str) -> bool {
    let date = strtime::parse(format, text).and_then(|parts| parts.to_date());
    date.is_ok_and(|date| date.year() >= FIRST_YEAR)
}
