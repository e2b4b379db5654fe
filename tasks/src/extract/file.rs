//! `extract.file`.

use std::collections::BTreeMap;
use std::io::Cursor;

use async_trait::async_trait;
use encoding_rs::Encoding;
use polars::prelude::DataFrame;
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use ratchet_core::plugin::{ColumnType, ConfigProblem, Outputs, Place, Plugin, Port, Table, TaskContext, TaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns::Layout;
use super::format::FileFormat;
use super::hand_on::{hand_on, port};
use super::source::Source;
use super::{content, delimited, json, workbook};
use crate::blocking::blocking;
use crate::known::KnownColumns;
use crate::table::{self, About};

/// Reads a file into a table.
pub struct File;

/// Configuration of `extract.file`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Where the records are: a path (relative to the working directory), `file://`, `s3://bucket/key`, `http://` or
    /// `https://`, or `simulated://NAME?rows=&seed=`. Gzip and zstd are recognized by content. A file on the web is
    /// fetched if its server does not say, by ETag or time, that it is the one of the newest version; a transfer that
    /// breaks goes on where it stopped.
    pub from: String,
    /// SHA-256 of the file as it comes, in hexadecimal digits. Another file is refused.
    #[serde(default)]
    pub sha256: Option<String>,
    /// How the records are written. Default: Parquet and Excel workbooks by content, JSON by the ending of the name
    /// (`.json`, `.ndjson`, `.jsonl`), delimited text otherwise.
    #[serde(default)]
    pub format: Option<FileFormat>,
    /// One character between fields. Default: whichever of `,` `;` tab `|` stands most often in the header.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Encoding of text, such as `windows-1252` or `utf-16le`. Default: UTF-8.
    #[serde(default)]
    pub encoding: Option<String>,
    /// The sheet of a workbook. Default: the first.
    #[serde(default)]
    pub sheet: Option<String>,
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
    const SUMMARY: &'static str =
        "Reads CSV, Excel, Parquet or JSON (a file, S3, the web, or a simulated source) into a table.";
    const CACHEABLE: bool = true;
    const REPLAYS: bool = true;

    fn outputs() -> Vec<Port> {
        port("The rows in file order, with the digest of the raw bytes.")
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
        if let Some(name) = &config.encoding
            && content::encoding(name).is_none()
        {
            problems.push(ConfigProblem {
                pointer: "/encoding".to_owned(),
                message: format!("`{name}` is no known encoding"),
                help: Some("write a name such as utf-8, windows-1252, iso-8859-15 or utf-16le".to_owned()),
            });
        }
        if let Some(digest) = &config.sha256
            && !is_digest(digest)
        {
            problems.push(ConfigProblem {
                pointer: "/sha256".to_owned(),
                message: format!("`{digest}` is no SHA-256"),
                help: Some("write 64 hexadecimal digits, as `sha256sum FILE` prints them".to_owned()),
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
        let fetched = match context.replay.raw.first() {
            Some(raw) => {
                let bytes = bucket.get_blob(&table::to_blob_ref(raw)).await;
                source.fetched_before(&config.from, bytes.map_err(table::from_bucket)?)
            }
            None => {
                let dataset = match config.dataset.as_str() {
                    "" => Table::default_name(&context.run.dag, &context.task, "table"),
                    name => name.to_owned(),
                };
                source.fetch(&config.from, &dataset, &bucket, context).await?
            }
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
        if let Some(expected) = &config.sha256
            && !expected.eq_ignore_ascii_case(&raw.sha256)
        {
            return Err(TaskError::permanent(format!(
                "`{}` has the SHA-256 {}, not {expected}",
                fetched.address, raw.sha256
            ))
            .with_help("fetch it again; if it was meant to change, change `sha256`"));
        }

        let layout = Layout {
            delimiter: config.delimiter.as_deref().and_then(single_byte),
            sheet: config.sheet.clone(),
            types: config.types.clone(),
            null_values: config.null_values.clone(),
        };
        let encoding = config.encoding.as_deref().and_then(content::encoding);
        let (bytes, from) = (fetched.bytes, fetched.address.clone());
        let format = config.format;
        let (frame, notes) = blocking(&format!("reading {from}"), move || {
            read(&bytes, format, encoding, &layout, &from)
        })
        .await?;
        for note in notes {
            context.warn(note);
        }
        let about = About {
            dataset: config.dataset,
            source: fetched.address,
            simulated: fetched.simulated,
            raw: vec![table::to_blob(&raw)],
            collected: Some(fetched.collected),
            ..About::default()
        };
        hand_on(&bucket, frame, &config.known, about, context).await
    }
}

/// Bytes of any format to a frame, with what somebody should know of them.
fn read(
    bytes: &[u8],
    format: Option<FileFormat>,
    encoding: Option<&'static Encoding>,
    layout: &Layout,
    from: &str,
) -> Result<(DataFrame, Vec<String>), TaskError> {
    let content = content::unpack(bytes, from)?;
    let format = format.unwrap_or_else(|| FileFormat::of(&content, from));
    if format != FileFormat::Xlsx && layout.sheet.is_some() {
        return Err(
            TaskError::permanent(format!("`{from}` is no workbook, and `sheet` names a sheet"))
                .with_help("leave `sheet` out"),
        );
    }
    let text = |content| content::to_text(content, encoding, from);
    let frame = match format {
        FileFormat::Csv => delimited::read(&text(content)?, layout, from)?,
        FileFormat::Ndjson => json::to_frame(json::from_lines(&text(content)?, from)?, layout, from)?,
        FileFormat::Json => json::to_frame(json::from_array(&text(content)?, from)?, layout, from)?,
        FileFormat::Xlsx => return workbook::read(&content, layout, from),
        FileFormat::Parquet if !layout.types.is_empty() => {
            return Err(TaskError::permanent(format!(
                "`{from}` is Parquet, which says the types of its columns itself"
            ))
            .with_help("leave `types` out, and cast in SQL what has to be of another type"));
        }
        FileFormat::Parquet => ParquetReader::new(Cursor::new(content)).finish().map_err(|error| {
            TaskError::permanent(format!("`{from}` cannot be read as Parquet: {error}"))
                .with_help("check that it was fetched or written whole")
        })?,
    };
    Ok((frame, Vec::new()))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn single_byte(delimiter: &str) -> Option<u8> {
    match delimiter.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Some(*byte),
        b"\\t" => Some(b'\t'),
        _ => None,
    }
}
