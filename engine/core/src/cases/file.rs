//! What stands in a file of cases.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plugin::ColumnType;

/// A file of cases for one DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The DAG file, relative to this file.
    pub dag: String,
    /// The cases.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
}

/// One task, what it is given, and what has to come of it: `expect`, `fails` or `is_skipped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows, unique in the file.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The task that is run. No other task is.
    pub task: String,
    /// Parameters of the DAG; the others have their defaults.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// The instant that the run stands for, such as 2017-05-01T02:00:00Z. Default: now.
    #[serde(default)]
    pub logical_date: Option<String>,
    /// What the tasks before it made: task, port, value.
    #[serde(default)]
    pub given: BTreeMap<String, BTreeMap<String, GivenPort>>,
    /// Tasks before it that were skipped.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// What its ports hold. The task has to succeed.
    #[serde(default)]
    pub expect: Option<BTreeMap<String, ExpectedPort>>,
    /// A part of the message with which it fails.
    #[serde(default)]
    pub fails: Option<String>,
    /// Its condition or its trigger rule skips it.
    #[serde(default)]
    pub is_skipped: bool,
}

/// A value that a task before made: for a table one of `rows`, `csv` and `from`, otherwise `value`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenPort {
    /// Rows of a table, each a mapping of columns to values.
    #[serde(default)]
    pub rows: Option<Vec<Map<String, Value>>>,
    /// A table as delimited text with a header.
    #[serde(default)]
    pub csv: Option<String>,
    /// Where the rows of a table are: a path relative to this file, or an address as `extract.file` takes it.
    #[serde(default)]
    pub from: Option<String>,
    /// Types of columns that shall not be inferred; dates, timestamps and booleans have to be declared.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// The value of a port that carries one.
    #[serde(default)]
    pub value: Option<Value>,
}

/// What a port has to hold. What is not named does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedPort {
    /// How many rows a table has.
    #[serde(default)]
    pub row_count: Option<u64>,
    /// The columns of a table, all of them in this order.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// The rows of a table, all of them in this order. Only the columns that a row names are compared.
    #[serde(default)]
    pub rows: Option<Vec<Map<String, Value>>>,
    /// A part of a report's line.
    #[serde(default)]
    pub summary: Option<String>,
    /// The value of a port that carries one.
    #[serde(default)]
    pub value: Option<Value>,
}
