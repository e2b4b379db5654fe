//! What passes between tasks: named, typed ports and the values they carry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// Rows in Parquet files: a [`Table`].
    Table,
    /// A trained model: a [`Model`].
    Model,
    /// A table that serving reads beside a request: a [`Lookup`].
    Lookup,
    /// A document that a person or a program reads: a [`Report`].
    Report,
    /// Any JSON value.
    Value,
    /// What it carries is known when it is there: tables, models, reports and values of another DAG, by name.
    Any,
}

/// One named output of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The name behind the task's id in `${{ tasks.<id>.<name> }}`.
    pub name: &'static str,
    /// What it carries.
    pub kind: PortKind,
    /// One sentence for the reference page.
    pub description: &'static str,
}

/// Immutable content in the bucket, named by its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// When a column's value is known. The order is the order in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// With the request itself (for the fire brigade: with the call).
    Call,
    /// When the answer is dispatched (which station sends the vehicle).
    Dispatch,
    /// Only afterwards. Nothing that predicts may use it.
    After,
}

/// The type of a table's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// 64-bit signed integer.
    Integer,
    /// 64-bit floating point number.
    Number,
    /// UTF-8 text, kept as it came (blanks included).
    Text,
    /// True or false.
    Boolean,
    /// Calendar date.
    Date,
    /// Civil date and time without a zone.
    Timestamp,
}

impl ColumnType {
    /// The word for it, as in DAG files and manifests.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Integer => "integer",
            ColumnType::Number => "number",
            ColumnType::Text => "text",
            ColumnType::Boolean => "boolean",
            ColumnType::Date => "date",
            ColumnType::Timestamp => "timestamp",
        }
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableColumn {
    /// Name as in the Parquet files.
    pub name: String,
    /// Type as in the Parquet files.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// When it is known, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Number of null values.
    #[serde(default)]
    pub nulls: u64,
}

/// When raw bytes were collected, and the words by which their server tells whether it has others by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collected {
    /// When the source was asked.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The server's word for this content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the server says that it was written, in its own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Of a service that answers page by page: what it said of each, in the order of the raw bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageTag>,
}

impl Collected {
    /// From a source that says nothing of its content.
    pub fn at(at: Timestamp) -> Self {
        Self {
            at,
            etag: None,
            last_modified: None,
            pages: Vec::new(),
        }
    }
}

/// What a service said of one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageTag {
    /// SHA-256 of its address, which may hold a key.
    pub address: String,
    /// The service's word for its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the service says that it was written, in its own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A table: Parquet (zstd) files in the bucket. Tasks return it without `version`; the engine registers a dataset
/// version when it completes the attempt and hands it on with the number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-ratchet-kind" = "table"))]
pub struct Table {
    /// Name of the dataset. Empty: the engine names it `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
    /// Version in the bucket, once registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The files, in row order.
    pub files: Vec<Blob>,
    /// Number of rows.
    pub rows: u64,
    /// Columns in file order.
    pub columns: Vec<TableColumn>,
    /// Where the rows come from: the address of the extract, handed on by every transformation.
    pub source: String,
    /// True if any row was simulated. Handed on by every transformation, shown wherever the data or a model shows.
    pub simulated: bool,
    /// Digests of the raw bytes that were saved before parsing, if this is an extract.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<Blob>,
    /// When they were collected, if this is an extract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Collected>,
}

impl Table {
    /// What the engine calls a dataset that has no name: `<dag>-<task>`, and the port's name unless it is the plugin's one
    /// table. Task ids may hold `_`, names may not. Each instance of a task makes a dataset of its own.
    pub fn default_name(dag: &str, task: &str, port: &str) -> String {
        let name = match port {
            "table" => format!("{dag}-{task}"),
            other => format!("{dag}-{task}-{other}"),
        };
        // An instance is called `task[key]`, and a key may have any letters.
        let letters = name.chars().filter(|letter| *letter != ']');
        letters
            .map(|letter| match letter.to_ascii_lowercase() {
                letter @ ('a'..='z' | '0'..='9') => letter,
                _ => '-',
            })
            .collect()
    }
}

/// Numbers of rows that a model was made and judged with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCounts {
    /// Rows before `train_until`, the validation part included.
    pub train: u64,
    /// The last part of the training rows: selects the candidate and calibrates it.
    pub validation: u64,
    /// Rows from `train_until` to `holdout_until`.
    pub holdout: u64,
}

/// A trained model. Tasks return it without `version`; the engine registers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-ratchet-kind" = "model"))]
pub struct Model {
    /// Name of the model, as in `name@version`.
    pub name: String,
    /// Version in the bucket, once registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The bundle's content; its digest is the model's digest.
    pub bundle: Blob,
    /// Holdout metrics by name (`mae`, `rmse`, `r2`, `auc`, `accuracy`, `macro_f1`, `coverage`, ...).
    pub metrics: BTreeMap<String, f64>,
    /// How many rows trained and judged it.
    pub rows: RowCounts,
    /// The configuration that made it.
    pub parameters: serde_json::Value,
    /// All candidates with their validation metrics, and what was learnt on the way.
    pub report: serde_json::Value,
    /// `name@version` (or the digest where unregistered) of each table that went in.
    pub inputs: Vec<String>,
    /// Where the training rows come from: the address of the extract.
    #[serde(default)]
    pub source: String,
    /// True if it was trained on simulated rows.
    pub simulated: bool,
}

/// A keyed table that the prediction service reads beside a request. Tasks return it without `version`; the engine
/// publishes it when it completes the attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-ratchet-kind" = "lookup"))]
pub struct Lookup {
    /// Name under which it is published.
    pub name: String,
    /// Version in the bucket, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The rows.
    pub content: Blob,
    /// Number of rows.
    pub rows: u64,
    /// Columns by which a row is found.
    pub key: Vec<String>,
    /// Column that says when a row is known, if rows of one key follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// All columns.
    pub columns: Vec<TableColumn>,
    /// Where the rows come from: the address of the extract.
    #[serde(default)]
    pub source: String,
    /// True if any row was simulated.
    pub simulated: bool,
}

/// A document of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-ratchet-kind" = "report"))]
pub struct Report {
    /// One line for the closing table.
    pub summary: String,
    /// File name, such as `gate.json`.
    pub file_name: String,
    /// The content.
    pub blob: Blob,
}

/// The value of one output port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Output {
    /// See [`Table`].
    Table(Table),
    /// See [`Model`]; boxed, it is the largest.
    Model(Box<Model>),
    /// See [`Lookup`].
    Lookup(Lookup),
    /// See [`Report`].
    Report(Report),
    /// Any JSON value.
    Value(serde_json::Value),
}

impl Output {
    /// The port kind that this value fits.
    pub fn kind(&self) -> PortKind {
        match self {
            Output::Table(_) => PortKind::Table,
            Output::Model(_) => PortKind::Model,
            Output::Lookup(_) => PortKind::Lookup,
            Output::Report(_) => PortKind::Report,
            Output::Value(_) => PortKind::Value,
        }
    }

    /// What an expression sees: the plain object, without the tag.
    pub fn to_json(&self) -> serde_json::Value {
        let json = match self {
            Output::Table(table) => serde_json::to_value(table),
            Output::Model(model) => serde_json::to_value(model),
            Output::Lookup(lookup) => serde_json::to_value(lookup),
            Output::Report(report) => serde_json::to_value(report),
            Output::Value(value) => return value.clone(),
        };
        json.unwrap_or(serde_json::Value::Null)
    }
}

/// What a promotion asks for. The engine appends it to the promotion log when it completes the attempt, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionRequest {
    /// Model name.
    pub model: String,
    /// Version to promote.
    pub version: u64,
    /// Digest of that version's bundle.
    pub digest: String,
    /// Alias that shall point to it.
    pub alias: String,
    /// Digest of the champion that the comparison met; none if there was none. The append is refused when another
    /// holds the alias by then.
    pub expected_champion: Option<String>,
    /// Why, in one sentence.
    pub reason: String,
    /// The comparison that justified it, as data.
    pub comparison: serde_json::Value,
    /// True if it may break what those who ask rely on: fields that are new, narrower or gone, answers that hold less.
    #[serde(default)]
    pub breaking: bool,
}

/// What a finished task returns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// Values by port name.
    pub ports: BTreeMap<String, Output>,
    /// Promotions to append on completion.
    #[serde(default)]
    pub promotions: Vec<PromotionRequest>,
}

impl Outputs {
    /// Adds one port.
    pub fn with(mut self, port: &str, output: Output) -> Self {
        self.ports.insert(port.to_owned(), output);
        self
    }
}
