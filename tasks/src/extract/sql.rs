//! `extract.sql`.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use ratchet_core::plugin::{Collected, ColumnType, ConfigProblem, Outputs, Plugin, Port, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::columns::{self, Layout};
use super::database::{Address, Answer};
use super::hand_on::{hand_on, port};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About};
use crate::transform::{require_query, sorted};

/// Level at which the raw rows are compressed.
const LEVEL: i32 = 3;

/// Reads a database into a table.
pub struct Sql;

/// Configuration of `extract.sql`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// Address of the database: `sqlite://path/to/file.db` or `postgres://user:password@host:5432/database`. Take one with a
    /// password from a secret; no message shows it.
    pub database: String,
    /// One SELECT in the database's own dialect. Its parameters are `$1`, `$2`, ...
    pub sql: String,
    /// Values of the parameters: text, numbers, `true`, `false`, null. Postgres wants to be told what text is meant as:
    /// `$1::date`.
    #[serde(default)]
    pub parameters: Vec<Value>,
    /// Columns by which the rows are sorted, ascending, nulls first; rows that tie are sorted by all other columns. A
    /// database gives its rows in any order; sorted, the same rows make the same table.
    pub sort: Vec<String>,
    /// Types of columns that shall not be those of the database. SQLite says the type of each value and none of a column:
    /// there integers and numbers are found over all rows, and dates, timestamps and booleans have to be declared.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// When each column's value is known. The mark travels with the table.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

#[async_trait]
impl Plugin for Sql {
    type Config = SqlConfig;
    const NAME: &'static str = "extract.sql";
    const SUMMARY: &'static str =
        "Reads the rows of a query to SQLite or Postgres into a table, and changes nothing there.";
    const REPLAYS: bool = true;

    fn outputs() -> Vec<Port> {
        port("The query's rows, sorted, with the digest of the rows as they came.")
    }

    fn validate(config: &SqlConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        let mut problem = |pointer: String, message: String, help: &str| {
            problems.push(ConfigProblem {
                pointer,
                message,
                help: Some(help.to_owned()),
            });
        };
        // An empty `database` is a parameter that was not given, often of a task that `when` skips: `run` refuses it.
        if !config.database.is_empty()
            && let Err((message, help)) = Address::parse(&config.database, Path::new("/"))
        {
            problem("/database".to_owned(), message, &help);
        }
        if let Err(error) = require_query(&config.sql) {
            problem(
                "/sql".to_owned(),
                error.message,
                "write one SELECT (or WITH ... SELECT)",
            );
        }
        if config.sort.is_empty() {
            problem(
                "/sort".to_owned(),
                "names no column".to_owned(),
                "name the columns that tell rows apart",
            );
        }
        for (index, value) in config.parameters.iter().enumerate() {
            if value.is_array() || value.is_object() {
                problem(
                    format!("/parameters/{index}"),
                    "is a list or a mapping".to_owned(),
                    "write text, a number, true, false or null",
                );
            }
        }
        problems
    }

    async fn run(config: SqlConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let address = Address::parse(&config.database, &context.working_directory).map_err(|(message, help)| {
            TaskError::permanent(format!("`database` of task `{}`: {message}", context.task)).with_help(help)
        })?;
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let source = address.shown();
        let (answer, raw, collected) = match context.replay.raw.first() {
            Some(raw) => {
                let content = bucket
                    .get_blob(&table::to_blob_ref(raw))
                    .await
                    .map_err(table::from_bucket)?;
                let collected = context.replay.collected.clone();
                (unpack(content, &source).await?, raw.clone(), collected)
            }
            None => {
                let collected = Collected::at(Timestamp::now());
                let answer = address.ask(&config.sql, &config.parameters).await?;
                let (answer, content) = pack(answer).await?;
                let raw = bucket.put_blob(content.into()).await.map_err(table::from_bucket)?;
                (answer, table::to_blob(&raw), Some(collected))
            }
        };
        context.info(format!("{} of {source} are kept as {}", answer.size(), raw.sha256));

        let mut types = answer.types.clone();
        types.extend(config.types.clone());
        let (sort, from) = (config.sort.clone(), source.clone());
        let frame = blocking(&format!("reading {source}"), move || {
            let layout = Layout {
                types,
                ..Layout::default()
            };
            let frame = columns::frame(&answer.names, answer.columns, answer.rows, &layout, &from)?;
            sorted(frame, &sort, &from)
        })
        .await?;
        let about = About {
            dataset: config.dataset,
            source,
            raw: vec![raw],
            collected,
            ..About::default()
        };
        hand_on(&bucket, frame, &config.known, about, context).await
    }
}

async fn pack(answer: Answer) -> Result<(Answer, Vec<u8>), TaskError> {
    blocking("packing rows", move || {
        let packed = zstd::encode_all(answer.to_lines().as_slice(), LEVEL)
            .map_err(|error| TaskError::permanent(format!("the rows cannot be compressed: {error}")))?;
        Ok((answer, packed))
    })
    .await
}

async fn unpack(content: Bytes, source: &str) -> Result<Answer, TaskError> {
    let unreadable = format!("the rows of {source} that were kept cannot be read");
    blocking("unpacking rows", move || {
        let lines = zstd::decode_all(content.as_ref()).map_err(|error| error.to_string());
        let answer = lines.and_then(|lines| Answer::from_lines(&lines));
        answer.map_err(|error| {
            TaskError::permanent(format!("{unreadable}: {error}")).with_help("run the DAG again to read the database")
        })
    })
    .await
}
