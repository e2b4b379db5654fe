//! `publish.lookup`.

use async_trait::async_trait;
use polars::prelude::DataFrame;
use ratchet_artifacts::check_name;
use ratchet_core::plugin::{
    ColumnType, ConfigProblem, Lookup, Output, Outputs, Plugin, Port, PortKind, Table, TableColumn, TaskContext,
    TaskError,
};
use ratchet_model::Column;
use ratchet_model::features::{LookupColumn, LookupTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, column, place_of, to_blob};
use crate::train::{model_known, numbers, texts, timestamps};
use crate::words::count;

/// Publishes a table that features look up: in training, and beside every request as soon as a replica has seen it.
pub struct PublishLookup;

/// Configuration of `publish.lookup`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishLookupConfig {
    /// Name under which it is published: `[a-z][a-z0-9-]*`. The prediction service reads the newest version of it.
    pub name: String,
    /// The rows.
    pub table: Table,
    /// Columns by which a row is found; each row has them, and no two rows agree in all of them. Texts are compared
    /// without case, blanks and punctuation. May be empty where there is a `time`.
    #[serde(default)]
    pub key: Vec<String>,
    /// Column that says when a row is known. With it rows of one key follow each other, and a request sees the newest that
    /// was known at its time.
    #[serde(default)]
    pub time: String,
    /// Columns that features may read. Empty: all.
    #[serde(default)]
    pub columns: Vec<String>,
    /// When columns are known that the table says nothing about.
    #[serde(default)]
    pub known: KnownColumns,
}

#[async_trait]
impl Plugin for PublishLookup {
    type Config = PublishLookupConfig;
    const NAME: &'static str = "publish.lookup";
    const SUMMARY: &'static str = "Publishes a keyed table that features read beside a request.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "lookup",
            kind: PortKind::Lookup,
            description: "The published version, for `train.model`.",
        }]
    }

    fn validate(config: &PublishLookupConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        if check_name("lookup", &config.name).is_err() {
            problems.push(ConfigProblem {
                pointer: "/name".to_owned(),
                message: format!("`{}` is no name of a lookup", config.name),
                help: Some("use lower-case letters, digits and `-`, a letter first".to_owned()),
            });
        }
        if config.key.is_empty() && config.time.is_empty() {
            problems.push(ConfigProblem {
                pointer: "/key".to_owned(),
                message: "nothing says how a row is found".to_owned(),
                help: Some("name the columns that tell rows apart, or a `time`".to_owned()),
            });
        }
        problems
    }

    async fn run(config: PublishLookupConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let frame = table::read(&bucket, &config.table).await?;
        let settings = config.clone();
        let (content, rows, columns) = blocking("making the lookup", move || make(&settings, &frame)).await?;
        let blob = bucket.put_blob(content.into()).await.map_err(table::from_bucket)?;
        let mark = if config.table.simulated { "SIMULATED " } else { "" };
        context.info(format!("{mark}{} rows under `{}`", count(rows), config.name));
        let lookup = Lookup {
            name: config.name,
            version: None,
            content: to_blob(&blob),
            rows,
            key: config.key,
            time: Some(config.time).filter(|time| !time.is_empty()),
            columns,
            source: config.table.source,
            simulated: config.table.simulated,
        };
        Ok(Outputs::default().with("lookup", Output::Lookup(lookup)))
    }
}

/// The file of the lookup, its number of rows and its columns.
fn make(config: &PublishLookupConfig, frame: &DataFrame) -> Result<(Vec<u8>, u64, Vec<TableColumn>), TaskError> {
    let place = place_of(&config.table);
    let of_table = config.table.columns.iter();
    let inherited = of_table.filter_map(|column| Some((column.name.clone(), column.known?)));
    let known = config.known.over(inherited.collect())?;
    let mut columns = Vec::new();
    let mut described = Vec::new();
    let names = names(config);
    for about in &config.table.columns {
        let name = about.name.as_str();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let source = column(frame, name, &place)?;
        let values = match about.kind {
            _ if name == config.time => Column::Timestamp(timestamps(source, &place)?),
            ColumnType::Integer | ColumnType::Number | ColumnType::Boolean => Column::Number(numbers(source, &place)?),
            ColumnType::Text => Column::Text(texts(source, &place)?),
            ColumnType::Date | ColumnType::Timestamp => Column::Timestamp(timestamps(source, &place)?),
        };
        let known = known.get(name).copied();
        columns.push(LookupColumn {
            name: name.to_owned(),
            known: known.map(model_known),
            values,
        });
        described.push(TableColumn { known, ..about.clone() });
    }
    for name in &names {
        column(frame, name, &place)?;
    }
    let time = Some(config.time.clone()).filter(|time| !time.is_empty());
    let lookup = LookupTable::new(config.key.clone(), time, columns).map_err(|problem| {
        TaskError::permanent(format!("{place} cannot be looked up: {problem}"))
            .with_help("name columns that tell its rows apart in `key`, or filter it by `transform.sql` before")
    })?;
    let content = lookup
        .write()
        .map_err(|error| TaskError::permanent(error.to_string()))?;
    Ok((content, lookup.len() as u64, described))
}

/// The columns that are kept, in no order; none: all.
fn names(config: &PublishLookupConfig) -> Vec<&str> {
    if config.columns.is_empty() {
        return Vec::new();
    }
    let time = Some(&config.time).filter(|time| !time.is_empty());
    let all = config.columns.iter().chain(&config.key).chain(time);
    all.map(String::as_str).collect()
}
