//! Tables between tasks: Parquet in the bucket on one side, a polars frame on the other.
//!
//! A frame that is written here holds only the six types of [`ColumnType`]; whatever else a query makes (32-bit
//! counts, ranks) is widened first. The bytes depend on the rows alone: one chunk, fixed row groups, fixed
//! compression, no metadata of our own, so that the same rows have the same digest whatever the thread count.

use std::collections::BTreeMap;
use std::io::Cursor;

use polars::prelude::{Column, DataFrame, DataType, TimeUnit};
use polars_io::SerReader;
use polars_io::parquet::read::ParquetReader;
use polars_io::parquet::write::{ParquetCompression, ParquetWriter, StatisticsOptions};
use ratchet_artifacts::{BlobRef, Bucket, BucketError, DatasetManifest, check_name, datasets};
use ratchet_core::plugin::{Blob, Collected, ColumnType, Known, Table, TableColumn, TaskError};

use crate::blocking::blocking;
use crate::nearest::suggestion;

/// Rows per row group. Part of the bytes, so never taken from the machine.
const ROW_GROUP_ROWS: usize = 1 << 18;

/// Bytes per data page before compression. Part of the bytes as well.
const DATA_PAGE_BYTES: usize = 1 << 20;

/// What a table says about itself beside its rows.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Name of the dataset; empty: the engine names it after the task.
    pub dataset: String,
    /// Address of the extract.
    pub source: String,
    /// True if any row was simulated.
    pub simulated: bool,
    /// When each column is known, where somebody said so. Names without a column are ignored.
    pub known: BTreeMap<String, Known>,
    /// The raw bytes before parsing.
    pub raw: Vec<Blob>,
    /// When they were collected.
    pub collected: Option<Collected>,
}

impl About {
    /// What a table made from `tables` inherits: sources (joined by ` + `, each once), the mark of simulated rows and
    /// the time at which columns are known. Where two tables disagree about a column, the later time holds.
    pub fn inherited<'a>(tables: impl IntoIterator<Item = &'a Table>) -> About {
        let mut about = About::default();
        let mut sources: Vec<&str> = Vec::new();
        for table in tables {
            about.simulated |= table.simulated;
            for source in table.source.split(" + ") {
                if !source.is_empty() && !sources.contains(&source) {
                    sources.push(source);
                }
            }
            for column in &table.columns {
                if let Some(known) = column.known {
                    let entry = about.known.entry(column.name.clone()).or_insert(known);
                    *entry = (*entry).max(known);
                }
            }
        }
        about.source = sources.join(" + ");
        about
    }
}

/// Reads a table's files into one frame, rows in file order.
///
/// # Errors
/// A blob that is missing or damaged, a file that is no Parquet, and a file whose columns or rows are not those that
/// the table declares.
pub async fn read(bucket: &Bucket, table: &Table) -> Result<DataFrame, TaskError> {
    let mut contents = Vec::with_capacity(table.files.len());
    for file in &table.files {
        contents.push(bucket.get_blob(&to_blob_ref(file)).await.map_err(from_bucket)?);
    }
    let table = table.clone();
    let place = place_of(&table);
    blocking(&format!("reading {place}"), move || {
        let mut whole: Option<DataFrame> = None;
        for (content, file) in contents.into_iter().zip(&table.files) {
            let frame = ParquetReader::new(Cursor::new(content)).finish().map_err(|error| {
                TaskError::permanent(format!(
                    "file {} of {place} cannot be read as Parquet: {error}",
                    short(&file.sha256)
                ))
                .with_help("run the task that made the table again")
            })?;
            match &mut whole {
                None => whole = Some(frame),
                Some(rows) => {
                    rows.vstack_mut(&frame).map_err(|error| {
                        TaskError::permanent(format!("the files of {place} do not have the same columns: {error}"))
                    })?;
                }
            }
        }
        let mut frame = whole.unwrap_or_default();
        frame.rechunk_mut();
        check_against_manifest(&frame, &table, &place)?;
        Ok(frame)
    })
    .await
}

/// Writes a frame as one Parquet file (zstd, statistics on) and returns the table, without a version: the engine
/// registers that. The same rows give the same digest.
///
/// # Errors
/// A column of a type that tables do not have, and a bucket that cannot be written.
pub async fn write(bucket: &Bucket, frame: DataFrame, about: About) -> Result<Table, TaskError> {
    let (columns, rows, content) = blocking("writing a table", move || {
        let frame = widen(frame)?;
        let columns = describe(&frame, &about.known)?;
        let rows = frame.height() as u64;
        Ok(((columns, about), rows, encode(frame)?))
    })
    .await?;
    let (columns, about) = columns;
    let blob = bucket.put_blob(content.into()).await.map_err(from_bucket)?;
    Ok(Table {
        dataset: about.dataset,
        version: None,
        files: vec![to_blob(&blob)],
        rows,
        columns,
        source: about.source,
        simulated: about.simulated,
        raw: about.raw,
        collected: about.collected,
    })
}

/// The column of that name. `place` names the table in the error, such as "table `incidents`".
///
/// # Errors
/// A column that is not there: the message names it, the place and the nearest names.
pub fn column<'a>(frame: &'a DataFrame, name: &str, place: &str) -> Result<&'a Column, TaskError> {
    frame
        .columns()
        .iter()
        .find(|column| column.name().as_str() == name)
        .ok_or_else(|| {
            let names: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
            missing_column(name, place, &names)
        })
}

/// The error for a column that is not there.
pub fn missing_column(name: &str, place: &str, names: &[&str]) -> TaskError {
    TaskError::permanent(format!("{place} has no column `{name}`")).with_help(suggestion(name, names, "columns"))
}

/// A registered version as a table.
///
/// # Errors
/// A manifest whose columns have types that this program does not know.
pub fn of_manifest(manifest: &DatasetManifest) -> Result<Table, TaskError> {
    let unknown = |error: serde_json::Error| {
        TaskError::permanent(format!(
            "the manifest of {}@{} has columns that this program cannot read: {error}",
            manifest.name, manifest.version
        ))
        .with_help("install a newer Ratchet")
    };
    let columns = serde_json::to_value(&manifest.columns).and_then(serde_json::from_value);
    Ok(Table {
        dataset: manifest.name.clone(),
        version: Some(manifest.version),
        files: manifest.files.iter().map(to_blob).collect(),
        rows: manifest.rows,
        columns: columns.map_err(unknown)?,
        source: manifest.lineage.source.clone(),
        simulated: manifest.lineage.simulated,
        raw: manifest.raw.iter().map(to_blob).collect(),
        collected: None,
    })
}

/// How messages call a table: "table `name@version`", or by its task where it has no name yet.
pub fn place_of(table: &Table) -> String {
    match (table.dataset.as_str(), table.version) {
        ("", _) => "the table".to_owned(),
        (name, Some(version)) => format!("table `{name}@{version}`"),
        (name, None) => format!("table `{name}`"),
    }
}

/// The name and, if one is named, the version of `name@7`.
///
/// # Errors
/// Text that is neither a name nor a name and a number from 1.
pub fn parse_version(text: &str) -> Result<(&str, Option<u64>), String> {
    let (name, version) = match text.split_once('@') {
        None => (text, None),
        Some((name, version)) => (name, Some(version)),
    };
    check_name("dataset", name).map_err(|error| error.to_string())?;
    let number = version.map(|version| version.parse().ok().filter(|number| *number > 0));
    match number {
        None => Ok((name, None)),
        Some(Some(number)) => Ok((name, Some(number))),
        Some(None) => Err(format!("`{text}` names no version")),
    }
}

/// The version of a dataset that `name@7` names, or for a name alone the newest that is older than `table`; none if there is no
/// older one.
///
/// # Errors
/// A named version that is not there, a damaged manifest, a bucket that cannot be read.
pub async fn earlier(bucket: &Bucket, against: &str, table: &Table) -> Result<Option<Table>, TaskError> {
    let (name, version) = parse_version(against).map_err(TaskError::permanent)?;
    let number = match version {
        Some(number) => number,
        None => {
            let own = table.version.filter(|_| table.dataset == name);
            let numbers = datasets::versions(bucket, name).await.map_err(from_bucket)?;
            match numbers.into_iter().rfind(|number| own.is_none_or(|own| *number < own)) {
                None => return Ok(None),
                Some(number) => number,
            }
        }
    };
    let manifest = datasets::get(bucket, name, number).await.map_err(from_bucket)?;
    let manifest = manifest.ok_or_else(|| {
        TaskError::permanent(format!("there is no dataset `{name}@{number}`"))
            .with_help("`ratchet datasets list` shows what there is")
    })?;
    of_manifest(&manifest).map(Some)
}

/// The bucket's name for a blob of the ports.
pub fn to_blob_ref(blob: &Blob) -> BlobRef {
    BlobRef {
        sha256: blob.sha256.clone(),
        bytes: blob.bytes,
    }
}

/// The ports' name for a blob of the bucket.
pub fn to_blob(blob: &BlobRef) -> Blob {
    Blob {
        sha256: blob.sha256.clone(),
        bytes: blob.bytes,
    }
}

/// Opens the bucket that a task was given.
///
/// # Errors
/// A store that cannot be reached or refuses what the bucket needs.
pub async fn open_bucket(url: &str) -> Result<Bucket, TaskError> {
    Bucket::open(url).await.map_err(from_bucket)
}

/// A bucket's failure as a task's failure.
pub fn from_bucket(error: BucketError) -> TaskError {
    TaskError {
        retryable: error.may_retry(),
        ..TaskError::permanent(error.to_string())
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn encode(mut frame: DataFrame) -> Result<Vec<u8>, TaskError> {
    frame.rechunk_mut();
    let mut content = Vec::new();
    ParquetWriter::new(&mut content)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_row_group_size(Some(ROW_GROUP_ROWS))
        .with_data_page_size(Some(DATA_PAGE_BYTES))
        .set_parallel(false)
        .finish(&mut frame)
        .map_err(|error| TaskError::permanent(format!("the table cannot be written as Parquet: {error}")))?;
    Ok(content)
}

/// The table type of a polars type, or none for one that [`widen`] has to change first.
pub(crate) fn column_type(kind: &DataType) -> Option<ColumnType> {
    match kind {
        DataType::Int64 => Some(ColumnType::Integer),
        DataType::Float64 => Some(ColumnType::Number),
        DataType::String => Some(ColumnType::Text),
        DataType::Boolean => Some(ColumnType::Boolean),
        DataType::Date => Some(ColumnType::Date),
        DataType::Datetime(TimeUnit::Microseconds, None) => Some(ColumnType::Timestamp),
        _ => None,
    }
}

/// Casts what a query made to the six types of tables.
fn widen(frame: DataFrame) -> Result<DataFrame, TaskError> {
    let height = frame.height();
    let mut columns = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let target = match column.dtype() {
            kind if column_type(kind).is_some() => {
                columns.push(column.clone());
                continue;
            }
            kind if kind.is_integer() => DataType::Int64,
            kind if kind.is_float() => DataType::Float64,
            DataType::Datetime(_, _) => DataType::Datetime(TimeUnit::Microseconds, None),
            DataType::Null => DataType::String,
            kind => {
                return Err(TaskError::permanent(format!(
                    "column `{}` has the type {kind}, which tables do not have",
                    column.name()
                ))
                .with_help("cast it to an integer, a number, text, a boolean, a date or a timestamp"));
            }
        };
        let cast = column.strict_cast(&target).map_err(|error| {
            TaskError::permanent(format!(
                "column `{}` cannot be kept as {target}: {error}",
                column.name()
            ))
        })?;
        columns.push(cast);
    }
    DataFrame::new(height, columns)
        .map_err(|error| TaskError::permanent(format!("the columns do not make one table: {error}")))
}

fn describe(frame: &DataFrame, known: &BTreeMap<String, Known>) -> Result<Vec<TableColumn>, TaskError> {
    frame
        .columns()
        .iter()
        .map(|column| {
            let kind = column_type(column.dtype()).ok_or_else(|| {
                TaskError::permanent(format!(
                    "column `{}` has the unexpected type {}",
                    column.name(),
                    column.dtype()
                ))
            })?;
            Ok(TableColumn {
                name: column.name().to_string(),
                kind,
                known: known.get(column.name().as_str()).copied(),
                nulls: column.null_count() as u64,
            })
        })
        .collect()
}

fn check_against_manifest(frame: &DataFrame, table: &Table, place: &str) -> Result<(), TaskError> {
    let disagree = |what: String| {
        TaskError::permanent(format!("{place} does not hold what its manifest says: {what}"))
            .with_help("run the task that made the table again")
    };
    if frame.height() as u64 != table.rows {
        return Err(disagree(format!("{} rows instead of {}", frame.height(), table.rows)));
    }
    if frame.width() != table.columns.len() {
        return Err(disagree(format!(
            "{} columns instead of {}",
            frame.width(),
            table.columns.len()
        )));
    }
    for (found, declared) in frame.columns().iter().zip(&table.columns) {
        if found.name().as_str() != declared.name || column_type(found.dtype()) != Some(declared.kind) {
            return Err(disagree(format!(
                "column `{}` ({}) instead of `{}` ({:?})",
                found.name(),
                found.dtype(),
                declared.name,
                declared.kind
            )));
        }
    }
    Ok(())
}
