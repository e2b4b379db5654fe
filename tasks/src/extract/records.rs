//! `extract.records`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use polars::prelude::DataFrame;
use ratchet_artifacts::collections::{self, Collection};
use ratchet_artifacts::{Bucket, check_name, feeds};
use ratchet_core::plugin::{Collected, ColumnType, ConfigProblem, Outputs, Plugin, Port, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::columns::{self, Layout};
use super::hand_on::{hand_on, port};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::nearest::suggestion;
use crate::table::{self, About};
use crate::transform::sorted;
use crate::words::count;

/// Whole numbers up to here are exact in floating point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a record collection into a table.
pub struct Records;

/// Configuration of `extract.records`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordsConfig {
    /// The collection, as `ratchet collections apply` named it.
    pub collection: String,
    /// Types of columns that shall not be those of the collection's schema, such as `timestamp` for text that holds one.
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
impl Plugin for Records {
    type Config = RecordsConfig;
    const NAME: &'static str = "extract.records";
    const SUMMARY: &'static str = "Reads the rows that people and programs added to a record collection into a table.";

    fn outputs() -> Vec<Port> {
        port(
            "The rows that are there, sorted by the collection's key: the last of each key, without those that were deleted.",
        )
    }

    fn validate(config: &RecordsConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        // An empty name is a parameter that was not given, often of a task that `when` skips: `run` refuses it.
        if !config.collection.is_empty()
            && let Err(error) = check_name("collection", &config.collection)
        {
            problems.push(ConfigProblem {
                pointer: "/collection".to_owned(),
                message: error.to_string(),
                help: None,
            });
        }
        problems
    }

    async fn run(config: RecordsConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let name = &config.collection;
        let found = collections::get(&bucket, name).await.map_err(table::from_bucket)?;
        let collection = match found {
            Some(collection) => collection,
            None => return Err(missing(&bucket, name).await?),
        };
        let collected = Collected::at(Timestamp::now());
        let paths = feeds::list(&bucket, name, None).await.map_err(table::from_bucket)?;
        let mut segments = Vec::with_capacity(paths.len());
        for path in paths {
            // What is listed and not there was rewritten meanwhile: what it held stands in the segment that took its place.
            let content = feeds::read(&bucket, &path).await.map_err(table::from_bucket)?;
            let content = content.ok_or_else(|| {
                TaskError::transient(format!("segment {path} was replaced while the collection was read"))
            })?;
            segments.push((path, content));
        }

        let source = format!("feeds/{name}");
        let (from, types) = (source.clone(), config.types.clone());
        let (frame, lines) = blocking(&format!("reading {source}"), move || {
            let lines = lines(&segments)?;
            let number = lines.len() as u64;
            Ok((frame(&collection, lines, types, &from)?, number))
        })
        .await?;
        context.info(format!(
            "{} lines of {source} are {} rows",
            count(lines),
            count(frame.height() as u64)
        ));
        let about = About {
            dataset: config.dataset,
            source,
            collected: Some(collected),
            ..About::default()
        };
        hand_on(&bucket, frame, &config.known, about, context).await
    }
}

async fn missing(bucket: &Bucket, name: &str) -> Result<TaskError, TaskError> {
    let all = collections::list(bucket).await.map_err(table::from_bucket)?;
    let names: Vec<&str> = all.iter().map(|collection| collection.name.as_str()).collect();
    Ok(
        TaskError::permanent(format!("there is no record collection `{name}`")).with_help(format!(
            "{}; `ratchet collections apply FILE` makes one",
            suggestion(name, &names, "collections")
        )),
    )
}

/// A line of a segment.
#[derive(Deserialize)]
struct Line {
    at: Timestamp,
    #[serde(default)]
    row: Option<Map<String, Value>>,
    #[serde(default)]
    delete: Option<Map<String, Value>>,
}

/// All lines in the order of their time. Replicas write segments of their own side by side: the order of segments alone
/// would let a row of one outlive its deletion in another.
fn lines(segments: &[(String, Vec<u8>)]) -> Result<Vec<Line>, TaskError> {
    let mut lines = Vec::new();
    for (path, content) in segments {
        let numbered = content.split(|byte| *byte == b'\n').zip(1..);
        for (line, number) in numbered.filter(|(line, _)| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line).map_err(|error| {
                TaskError::permanent(format!("{path}, line {number} is no row of a collection: {error}"))
            })?;
            if line.row.is_none() && line.delete.is_none() {
                return Err(TaskError::permanent(format!(
                    "{path}, line {number} holds neither a row nor a deletion"
                )));
            }
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

fn frame(
    collection: &Collection,
    lines: Vec<Line>,
    declared: BTreeMap<String, ColumnType>,
    from: &str,
) -> Result<DataFrame, TaskError> {
    let mut rows: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for line in lines {
        if let Some(key) = line.delete {
            rows.remove(&collection.key_of(&key));
        }
        if let Some(row) = line.row {
            rows.insert(collection.key_of(&row), row);
        }
    }
    let mut types: BTreeMap<String, ColumnType> = properties(collection)
        .filter_map(|(name, property)| Some((name.clone(), column_type(property)?)))
        .collect();
    types.extend(declared);
    let mut names: Vec<String> = rows.values().flat_map(Map::keys).cloned().collect();
    names.extend(properties(collection).map(|(name, _)| name.clone()));
    names.sort_unstable();
    names.dedup();
    let column = |name: &String| {
        let values = rows.values().map(|row| row.get(name).map_or(Value::Null, whole));
        values.collect::<Vec<Value>>()
    };
    let cells = names.iter().map(column).collect();
    let layout = Layout {
        types,
        ..Layout::default()
    };
    let frame = columns::frame(&names, cells, rows.len(), &layout, from)?;
    sorted(frame, &collection.key, from)
}

fn properties(collection: &Collection) -> impl Iterator<Item = (&String, &Value)> {
    collection.schema["properties"].as_object().into_iter().flatten()
}

/// The type that a schema gives a field; none where it allows several.
fn column_type(property: &Value) -> Option<ColumnType> {
    let kinds: Vec<&str> = match &property["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|kind| *kind != "null")
            .collect(),
        _ => return None,
    };
    match kinds.as_slice() {
        ["integer"] => Some(ColumnType::Integer),
        ["number"] => Some(ColumnType::Number),
        ["boolean"] => Some(ColumnType::Boolean),
        ["string"] if property["format"] == "date" => Some(ColumnType::Date),
        ["string"] if property["format"] == "date-time" => Some(ColumnType::Timestamp),
        ["string"] => Some(ColumnType::Text),
        _ => None,
    }
}

/// JSON Schema calls 3.0 an integer, too.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() <= EXACT => Value::from(number as i64),
        _ => value.clone(),
    }
}
