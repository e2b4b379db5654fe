//! `transform.sql`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ratchet_core::plugin::{ConfigProblem, Outputs, Plugin, Port, PortKind, Table, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{output, query};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About};

/// Makes a table from tables by SQL.
pub struct Sql;

/// Configuration of `transform.sql`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// The tables, by the name that the query calls them.
    pub tables: BTreeMap<String, Table>,
    /// One SELECT, in the dialect of polars.
    pub sql: String,
    /// Columns of the result by which its rows are sorted, ascending, nulls first. Rows that tie are sorted by all
    /// other columns, so that the same rows always have the same order.
    pub sort: Vec<String>,
    /// When new columns are known. A column that keeps its name keeps its time and cannot be declared earlier.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
}

#[async_trait]
impl Plugin for Sql {
    type Config = SqlConfig;
    const NAME: &'static str = "transform.sql";
    const SUMMARY: &'static str = "Makes a table from tables by one SQL query; rows come out sorted.";
    const CACHEABLE: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "table",
            kind: PortKind::Table,
            description: "The query's rows, sorted.",
        }]
    }

    fn validate(config: &SqlConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        let mut problem = |pointer: &str, message: &str, help: &str| {
            problems.push(ConfigProblem {
                pointer: pointer.to_owned(),
                message: message.to_owned(),
                help: Some(help.to_owned()),
            });
        };
        if config.tables.is_empty() {
            problem(
                "/tables",
                "names no table",
                "write, for example, `{ rows: \"${{ tasks.extract.table }}\" }`",
            );
        }
        if config.sql.trim().is_empty() {
            problem("/sql", "is empty", "write one SELECT");
        }
        if config.sort.is_empty() {
            problem(
                "/sort",
                "names no column",
                "name the columns of the result that tell its rows apart",
            );
        }
        problems
    }

    async fn run(config: SqlConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let inherited = About::inherited(config.tables.values());
        let mut frames = BTreeMap::new();
        for (name, table) in &config.tables {
            frames.insert(name.clone(), table::read(&bucket, table).await?);
        }
        let SqlConfig {
            sql,
            sort,
            known,
            dataset,
            ..
        } = config;
        let frame = blocking("the query", move || query::run(frames, &sql, &sort)).await?;

        output(context, frame, inherited, &known, dataset, "the query's result").await
    }
}
