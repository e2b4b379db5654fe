//! Whether the rows look like those of an earlier version: the same measures and the same thresholds as serving has.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, DataType};
use ratchet_core::plugin::{ConfigProblem, TaskError};
use ratchet_model::drift::{Calibration, Drift as Measured, Profile, Reference};
use ratchet_model::schema::{Column, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::expectation::Severity;
use super::finding::Finding;
use super::rules::{problems, unfit};
use crate::table;
use crate::train::{numbers, texts};

/// The columns are spread as in an earlier version of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The version to compare with: `name@7`, or `name` for the newest version of that dataset that is older than the table.
    /// Where there is none yet, the expectation holds and says so.
    pub against: String,
    /// Columns of numbers, text, true and false. Each has a finding: the distance of its values (Kolmogorov and Smirnov's for
    /// numbers, chi-square for text) and its shares of missing, new and out-of-range values decide; the population stability
    /// index stands beside them.
    pub columns: Vec<String>,
    /// The chance, from 0 to 1, that any of the columns is told of although nothing has changed. Default: 0.01. In a large
    /// table also small changes are certain: use `severity: warn` where months differ.
    #[serde(default = "rate")]
    pub rate: f64,
    /// What happens when it is not met.
    #[serde(default)]
    pub severity: Severity,
}

fn rate() -> f64 {
    0.01
}

/// An earlier version and its rows; none where there is no earlier version.
pub type Earlier = Option<(String, DataFrame)>;

impl Drift {
    pub(super) fn problems(&self, pointer: &str) -> Vec<ConfigProblem> {
        let mut found = Vec::new();
        let mut problem = |field: &str, message: String, help| found.push((format!("drift/{field}"), message, help));
        if let Err(message) = table::parse_version(&self.against) {
            problem(
                "against",
                message,
                "write the name of a dataset, or one version of it such as incidents@7",
            );
        }
        if self.columns.is_empty() {
            problem(
                "columns",
                "names no column".to_owned(),
                "name the columns that features read",
            );
        }
        if !(self.rate > 0.0 && self.rate < 1.0) {
            let message = format!("{} is not a chance between 0 and 1", self.rate);
            problem("rate", message, "write 0.01 for one table in a hundred");
        }
        problems(pointer, found)
    }

    /// One finding a column; a single one where there is nothing to compare with.
    pub(super) fn check(&self, frame: &DataFrame, earlier: &Earlier, place: &str) -> Result<Vec<Finding>, TaskError> {
        let Some((version, before)) = earlier else {
            let detail = format!("there is no earlier version of `{}` to compare with", self.against);
            return Ok(vec![self.finding(
                &self.columns.join(", "),
                &self.against,
                true,
                0.0,
                detail,
                BTreeMap::new(),
            )]);
        };
        if before.height() == 0 || frame.height() == 0 {
            let detail = format!("{} rows, and {} of {version}", frame.height(), before.height());
            return Ok(vec![self.finding(
                &self.columns.join(", "),
                version,
                false,
                0.0,
                detail,
                BTreeMap::new(),
            )]);
        }
        let expected = self.rows(before, &format!("table `{version}`"))?;
        let found = self.rows(frame, place)?;
        let reference = Reference::new(&Profile::learn(&expected, 0), self.columns.clone(), String::new());
        let mut counts = reference.counts();
        reference.count(&mut counts, &found, &[], 0);
        let measured = Calibration::new(&reference, &counts, self.rate).measure(&reference, &counts);
        let findings = self.columns.iter().map(|name| {
            let own: Vec<&Measured> = measured.iter().filter(|measure| measure.field == *name).collect();
            let words = own.iter().map(|measure| match measure.threshold {
                Some(threshold) => format!("{} {:.4} (limit {threshold:.4})", measure.measure, measure.value),
                None => format!("{} {:.4}", measure.measure, measure.value),
            });
            let words: Vec<String> = words.collect();
            let values = own.iter().map(|measure| {
                let value = json!({ "value": measure.value, "limit": measure.threshold });
                (measure.measure, value)
            });
            let alarms = own.iter().filter(|measure| measure.is_alarm()).count();
            self.finding(
                name,
                version,
                alarms == 0,
                alarms as f64,
                words.join(", "),
                values.collect(),
            )
        });
        Ok(findings.collect())
    }

    fn finding(
        &self,
        column: &str,
        version: &str,
        passed: bool,
        seen: f64,
        detail: String,
        measures: BTreeMap<&str, serde_json::Value>,
    ) -> Finding {
        Finding {
            expectation: format!("drift({column} against {version}) at {}", self.rate),
            severity: self.severity,
            passed,
            seen,
            detail,
            threshold: json!({ "against": version, "rate": self.rate, "measures": measures }),
            offending: 0,
            first_rows: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn rows(&self, frame: &DataFrame, place: &str) -> Result<Rows, TaskError> {
        let columns = self.columns.iter().map(|name| {
            let column = table::column(frame, name, place)?;
            match column.dtype() {
                DataType::String => Ok(Column::Text(texts(column, place)?)),
                DataType::Int64 | DataType::Float64 | DataType::Boolean => Ok(Column::Number(numbers(column, place)?)),
                _ => Err(unfit("drift", "numbers, text, true or false", column, place)),
            }
        });
        let columns = columns.collect::<Result<Vec<Column>, TaskError>>()?;
        Rows::new(columns).ok_or_else(|| TaskError::permanent(format!("the columns of {place} are not of one length")))
    }
}
