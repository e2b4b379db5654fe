//! `extract.file`.

use std::collections::BTreeMap;
use std::io::Cursor;

use async_trait::async_trait;
use polars::prelude::DataFrame;
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use ratchet_core::plugin::{
    ColumnType, ConfigProblem, Output, Outputs, Place, Plugin, Port, PortKind, TaskContext, TaskError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::format::FileFormat;
use super::source::Source;
use super::{content, delimited, records};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table;

/// Reads a file into a table.
pub struct File;

/// Configuration of `extract.file`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Where the records are: a path (relative to the working directory), `file://`, `s3://bucket/key`, or
    /// `simulated://NAME?rows=&seed=`. Gzip is recognized by content.
    pub from: String,
    /// How the records are written. Default: Parquet by content, JSON by the ending of the name
    /// (`.json`, `.ndjson`, `.jsonl`), delimited text otherwise.
    #[serde(default)]
    pub format: Option<FileFormat>,
    /// One character between fields. Default: whichever of `,` `;` tab `|` stands most often in the header.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Types of columns that shall not be inferred. Inference looks at the whole file and finds integers, numbers and
    /// text; dates, timestamps and booleans have to be declared.
    #[serde(default)]
    pub types: BTreeMap<String, ColumnType>,
    /// When each column's value is known. The mark travels with the table.
    #[serde(default)]
    pub known: KnownColumns,
    /// Name of the dataset. Default: `<dag>-<task>`.
    #[serde(default)]
    pub dataset: String,
    /// Values that mean "nothing", as they stand in the file. Default: the empty field.
    #[serde(default = "default_null_values")]
    pub null_values: Vec<String>,
}

fn default_null_values() -> Vec<String> {
    vec![String::new()]
}

#[async_trait]
impl Plugin for File {
    type Config = FileConfig;
    const NAME: &'static str = "extract.file";
    const SUMMARY: &'static str = "Reads CSV, Parquet or JSON (a file, S3, or a simulated source) into a table.";
    const CACHEABLE: bool = true;
    const REPLAYS: bool = true;

    fn outputs() -> Vec<Port> {
        vec![Port {
            name: "table",
            kind: PortKind::Table,
            description: "The rows in file order, with the digest of the raw bytes.",
        }]
    }

    fn validate(config: &FileConfig) -> Vec<ConfigProblem> {
        let mut problems = config.known.problems("/known");
        // An empty `from` is a parameter that was not given, often of a task that `when` skips: `run` refuses it.
        if !config.from.is_empty()
            && let Err((message, help)) = Source::parse(&config.from)
        {
            problems.push(ConfigProblem {
                pointer: "/from".to_owned(),
                message,
                help: Some(help),
            });
        }
        if let Some(delimiter) = &config.delimiter
            && single_byte(delimiter).is_none()
        {
            problems.push(ConfigProblem {
                pointer: "/delimiter".to_owned(),
                message: format!("`{delimiter}` is not one ASCII character"),
                help: Some("write one character, such as \";\" or \"\\t\"".to_owned()),
            });
        }
        problems
    }

    async fn fingerprint(config: &FileConfig, place: &Place) -> Result<Option<String>, TaskError> {
        let source = Source::parse(&config.from).map_err(|(message, _)| TaskError::permanent(message))?;
        source.fingerprint(&config.from, &place.working_directory).await
    }

    async fn run(config: FileConfig, context: &TaskContext) -> Result<Outputs, TaskError> {
        let source = Source::parse(&config.from).map_err(|(message, help)| {
            TaskError::permanent(format!("`from` of task `{}`: {message}", context.task)).with_help(help)
        })?;
        let bucket = table::open_bucket(&context.bucket_url).await?;
        let fetched = match context.raw.first() {
            Some(raw) => {
                let bytes = bucket.get_blob(&table::to_blob_ref(raw)).await;
                source.fetched_before(&config.from, bytes.map_err(table::from_bucket)?)
            }
            None => source.fetch(&config.from, &context.working_directory).await?,
        };
        if fetched.simulated {
            context.warn(format!(
                "SIMULATED rows from {}: made up, not observed",
                fetched.address
            ));
        }

        // Before anything is parsed: whatever the parser does, the bytes can be read again.
        let raw = bucket
            .put_blob(fetched.bytes.clone())
            .await
            .map_err(table::from_bucket)?;
        context.info(format!(
            "saved {} raw bytes of {} as {}",
            raw.bytes, fetched.address, raw.sha256
        ));

        let layout = delimited::Layout {
            delimiter: config.delimiter.as_deref().and_then(single_byte),
            types: config.types.clone(),
            null_values: config.null_values.clone(),
        };
        let (bytes, from) = (fetched.bytes, fetched.address.clone());
        let format = config.format;
        let frame = blocking(&format!("reading {from}"), move || read(&bytes, format, &layout, &from)).await?;
        for (name, _) in config.known.iter() {
            table::column(&frame, name, &format!("`{}`", fetched.address)).map_err(|mut error| {
                error.message.push_str(", but `known` names it");
                error
            })?;
        }

        let about = table::About {
            dataset: config.dataset.clone(),
            source: fetched.address.clone(),
            simulated: fetched.simulated,
            known: config.known.to_map(),
            raw: vec![table::to_blob(&raw)],
        };
        let table = table::write(&bucket, frame, about).await?;
        let mark = if table.simulated { "SIMULATED " } else { "" };
        context.info(format!(
            "{mark}{} rows, {} columns from {}",
            crate::words::count(table.rows),
            table.columns.len(),
            fetched.address
        ));
        Ok(Outputs::default().with("table", Output::Table(table)))
    }
}

/// Bytes of any format to a frame.
fn read(
    bytes: &[u8],
    format: Option<FileFormat>,
    layout: &delimited::Layout,
    from: &str,
) -> Result<DataFrame, TaskError> {
    let content = content::unpack(bytes, from)?;
    let text = || content::to_text(&content, from);
    match format.unwrap_or_else(|| FileFormat::of(&content, from)) {
        FileFormat::Csv => delimited::read(&text()?, layout, from),
        FileFormat::Ndjson => records::to_frame(records::from_lines(&text()?, from)?, layout, from),
        FileFormat::Json => records::to_frame(records::from_array(&text()?, from)?, layout, from),
        FileFormat::Parquet if !layout.types.is_empty() => Err(TaskError::permanent(format!(
            "`{from}` is Parquet, which says the types of its columns itself"
        ))
        .with_help("leave `types` out, and cast in SQL what has to be of another type")),
        FileFormat::Parquet => ParquetReader::new(Cursor::new(content)).finish().map_err(|error| {
            TaskError::permanent(format!("`{from}` cannot be read as Parquet: {error}"))
                .with_help("check that it was fetched or written whole")
        }),
    }
}

fn single_byte(delimiter: &str) -> Option<u8> {
    match delimiter.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Some(*byte),
        b"\\t" => Some(b'\t'),
        _ => None,
    }
}
