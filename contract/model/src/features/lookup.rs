//! Lookups: tables that are published beside the models, found by a key and, where they have a time, as of an instant.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::schema::{Column, FieldKind, Known, format_timestamp};

/// The version of the format that this code writes and reads.
const FORMAT: u32 = 1;

/// Ends each part of a key.
const SEPARATOR: char = '\u{1f}';

/// Why a lookup cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The bytes are no lookup, or a part of it makes no sense.
    #[error("the lookup is damaged: {0}")]
    Damaged(String),
    /// Written by another version of the format.
    #[error("the lookup has format {found}, this program reads format {FORMAT}; update the program")]
    UnknownFormat {
        /// What it says.
        found: u32,
    },
}

/// A column of a lookup.
#[derive(Clone, Debug, PartialEq)]
pub struct LookupColumn {
    /// Name.
    pub name: String,
    /// When its values are known, if somebody said so.
    pub known: Option<Known>,
    /// Values, one a row.
    pub values: Column,
}

/// A table whose rows are found by a key. Texts of a key are compared without case, blanks and punctuation, because two
/// tables seldom agree on them.
///
/// With a time there may be several rows of one key, and what is found is what was known at an instant: the newest row
/// whose time is not after it.
#[derive(Clone, Debug)]
pub struct LookupTable {
    key: Vec<String>,
    time: Option<String>,
    columns: Vec<LookupColumn>,
    /// Rows of each key, by time.
    rows: HashMap<String, Vec<u32>>,
    /// Seconds of each row; empty without a time.
    times: Vec<i64>,
    size: usize,
}

/// The file: columns with their values, so that a person can read it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    key: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    columns: Vec<FileColumn>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileColumn {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<Known>,
    values: FileValues,
}

/// Null is missing; timestamps are seconds since 1970-01-01 00:00:00 of the civil calendar.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileValues {
    Number(Vec<Option<f64>>),
    Text(Vec<Option<Arc<str>>>),
    Timestamp(Vec<Option<i64>>),
}

/// One part of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyValue<'a> {
    Number(f64),
    Text(&'a str),
    Timestamp(i64),
}

/// Appends a part to a key.
pub(super) fn push_key(key: &mut String, value: KeyValue<'_>) {
    use std::fmt::Write;
    match value {
        KeyValue::Text(text) => {
            let letters = text.chars().filter(|letter| letter.is_alphanumeric());
            key.extend(letters.flat_map(char::to_lowercase));
        }
        // Adding 0 makes one zero of the two.
        KeyValue::Number(number) => {
            let _ = write!(key, "{}", number + 0.0);
        }
        KeyValue::Timestamp(seconds) => {
            let _ = write!(key, "{seconds}");
        }
    }
    key.push(SEPARATOR);
}

impl LookupTable {
    /// From columns of one length, of which `key` finds a row and `time` says when it is known. Rows are sorted by both.
    ///
    /// # Errors
    /// What is wrong with the rows: a key or time that is missing, two rows that cannot be told apart, no row at all.
    pub fn new(key: Vec<String>, time: Option<String>, columns: Vec<LookupColumn>) -> Result<LookupTable, String> {
        let table = LookupTable::index(key, time, columns)?;
        let mut groups: Vec<(&String, &Vec<u32>)> = table.rows.iter().collect();
        groups.sort();
        let order: Vec<usize> = groups
            .into_iter()
            .flat_map(|(_, rows)| rows.iter().map(|row| *row as usize))
            .collect();
        let columns = table.columns.into_iter().map(|column| LookupColumn {
            values: column.values.select(&order),
            ..column
        });
        LookupTable::index(table.key, table.time, columns.collect())
    }

    fn index(key: Vec<String>, time: Option<String>, columns: Vec<LookupColumn>) -> Result<LookupTable, String> {
        let find = |name: &String| {
            let found = columns.iter().find(|column| column.name == *name);
            found.ok_or_else(|| format!("it has no column `{name}`, which it is found by"))
        };
        let rows = columns.first().map_or(0, |column| column.values.len());
        if rows == 0 {
            return Err("it has no row".to_owned());
        }
        if rows > u32::MAX as usize {
            return Err(format!("it has {rows} rows, which is more than a lookup holds"));
        }
        if let Some(column) = columns.iter().find(|column| column.values.len() != rows) {
            let (name, found) = (&column.name, column.values.len());
            return Err(format!("its column `{name}` has {found} values instead of {rows}"));
        }
        if key.is_empty() && time.is_none() {
            return Err("nothing says how a row is found; name the columns of its key, or of its time".to_owned());
        }
        let times = match &time {
            None => Vec::new(),
            Some(name) => match &find(name)?.values {
                Column::Timestamp(values) => {
                    let missing = values.iter().position(Option::is_none);
                    match missing {
                        Some(row) => return Err(format!("row {row} has no `{name}`")),
                        None => values.iter().copied().flatten().collect(),
                    }
                }
                _ => return Err(format!("`{name}` is no date and time")),
            },
        };
        let keys = key.iter().map(find).collect::<Result<Vec<_>, String>>()?;
        let mut found: HashMap<String, Vec<u32>> = HashMap::new();
        for row in 0..rows {
            let mut text = String::new();
            for column in &keys {
                let part = key_value(&column.values, row);
                push_key(
                    &mut text,
                    part.ok_or_else(|| format!("row {row} has no `{}`", column.name))?,
                );
            }
            found.entry(text).or_default().push(row as u32);
        }
        let alike = |rows: &mut Vec<u32>| -> Option<(u32, u32)> {
            let time_of = |row: &u32| times.get(*row as usize);
            rows.sort_by_key(time_of);
            let mut pairs = rows.windows(2);
            pairs.find_map(|pair| (time_of(&pair[0]) == time_of(&pair[1])).then_some((pair[0], pair[1])))
        };
        if let Some((one, other)) = found.values_mut().filter_map(alike).min() {
            let shown = |name: &String| {
                columns
                    .iter()
                    .find(|column| column.name == *name)
                    .map(|column| show(column, one))
            };
            let shown: Vec<String> = key.iter().chain(&time).filter_map(shown).collect();
            return Err(format!("rows {one} and {other} both have {}", shown.join(", ")));
        }
        let size = columns.iter().map(|column| bytes(&column.values)).sum::<usize>()
            + found
                .iter()
                .map(|(key, rows)| key.len() + 4 * rows.len() + 80)
                .sum::<usize>()
            + 8 * times.len();
        Ok(LookupTable {
            key,
            time,
            columns,
            rows: found,
            times,
            size,
        })
    }

    /// Reads what [`LookupTable::write`] wrote and checks all of it.
    ///
    /// # Errors
    /// Bytes that are no lookup, of another format, or whose parts do not fit.
    pub fn read(content: &[u8]) -> Result<LookupTable, LookupError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error: serde_json::Error| LookupError::Damaged(error.to_string());
        let Format { format } = serde_json::from_slice(content).map_err(damaged)?;
        if format != FORMAT {
            return Err(LookupError::UnknownFormat { found: format });
        }
        let File { key, time, columns, .. } = serde_json::from_slice(content).map_err(damaged)?;
        let columns = columns.into_iter().map(|column| LookupColumn {
            name: column.name,
            known: column.known,
            values: match column.values {
                FileValues::Number(values) => {
                    Column::Number(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
                }
                FileValues::Text(values) => Column::Text(values),
                FileValues::Timestamp(values) => Column::Timestamp(values),
            },
        });
        LookupTable::index(key, time, columns.collect()).map_err(LookupError::Damaged)
    }

    /// The table as a file. The same rows give the same bytes.
    ///
    /// # Errors
    /// None that is known: JSON can hold all of it.
    pub fn write(&self) -> Result<Vec<u8>, LookupError> {
        let columns = self.columns.iter().map(|column| FileColumn {
            name: column.name.clone(),
            known: column.known,
            values: match &column.values {
                Column::Number(values) => {
                    FileValues::Number(values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect())
                }
                Column::Text(values) => FileValues::Text(values.clone()),
                Column::Timestamp(values) => FileValues::Timestamp(values.clone()),
            },
        });
        let file = File {
            format: FORMAT,
            key: self.key.clone(),
            time: self.time.clone(),
            columns: columns.collect(),
        };
        serde_json::to_vec(&file).map_err(|error| LookupError::Damaged(error.to_string()))
    }

    /// Columns by which a row is found.
    pub fn key(&self) -> &[String] {
        &self.key
    }

    /// Column that says when a row is known.
    pub fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    /// All columns.
    pub fn columns(&self) -> &[LookupColumn] {
        &self.columns
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&LookupColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory it takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.size
    }

    /// Rows of a key, the oldest first; with a time those that were known at `at`.
    pub(super) fn find(&self, key: &str, at: Option<i64>) -> &[u32] {
        let rows = self.rows.get(key).map_or(&[][..], Vec::as_slice);
        if self.times.is_empty() {
            return rows;
        }
        let known = at.map_or(0, |at| rows.partition_point(|row| self.times[*row as usize] <= at));
        &rows[..known]
    }

    /// When a row was known, in civil seconds; none without a time.
    pub(super) fn time_of(&self, row: u32) -> Option<i64> {
        self.times.get(row as usize).copied()
    }
}

impl Column {
    /// The type of the values.
    pub fn kind(&self) -> FieldKind {
        match self {
            Column::Number(_) => FieldKind::Number,
            Column::Text(_) => FieldKind::Text,
            Column::Timestamp(_) => FieldKind::Timestamp,
        }
    }
}

/// A row's part of a key; none where it is missing.
pub(super) fn key_value(column: &Column, row: usize) -> Option<KeyValue<'_>> {
    match column {
        Column::Number(values) => (!values[row].is_nan()).then(|| KeyValue::Number(values[row])),
        Column::Text(values) => values[row].as_deref().map(KeyValue::Text),
        Column::Timestamp(values) => values[row].map(KeyValue::Timestamp),
    }
}

fn show(column: &LookupColumn, row: u32) -> String {
    let row = row as usize;
    let value = match &column.values {
        Column::Number(values) => values[row].to_string(),
        Column::Text(values) => format!("{:?}", values[row].as_deref().unwrap_or_default()),
        Column::Timestamp(values) => values[row].map(format_timestamp).unwrap_or_default(),
    };
    format!("`{}` {value}", column.name)
}

fn bytes(column: &Column) -> usize {
    match column {
        Column::Number(values) => values.len() * 8,
        Column::Timestamp(values) => values.len() * 16,
        Column::Text(values) => values
            .iter()
            .map(|value| 24 + value.as_ref().map_or(0, |text| text.len()))
            .sum(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn column(name: &str, values: Column) -> LookupColumn {
        LookupColumn {
            name: name.to_owned(),
            known: Some(Known::Call),
            values,
        }
    }

    fn texts(values: &[&str]) -> Column {
        Column::Text(values.iter().map(|value| Some((*value).into())).collect())
    }

    fn stations() -> LookupTable {
        let columns = vec![
            column("name", texts(&["Soho", "Euston", "King's Park"])),
            column("x", Column::Number(vec![1.5, f64::NAN, 0.1 + 0.2])),
        ];
        LookupTable::new(vec!["name".to_owned()], None, columns).unwrap()
    }

    fn key(text: &str) -> String {
        let mut key = String::new();
        push_key(&mut key, KeyValue::Text(text));
        key
    }

    #[test]
    fn names_are_found_whatever_their_case_and_punctuation() {
        let table = stations();
        let x = |name: &str| match &table.column("x").unwrap().values {
            Column::Number(values) => table.find(&key(name), None).first().map(|row| values[*row as usize]),
            _ => None,
        };
        assert_eq!(x("KINGS PARK"), Some(0.1 + 0.2));
        assert_eq!(x(" soho "), Some(1.5));
        assert_eq!(x("Soho East"), None);
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        let both = |left: &str, right: &str| {
            let mut key = String::new();
            push_key(&mut key, KeyValue::Text(left));
            push_key(&mut key, KeyValue::Text(right));
            key
        };
        assert_ne!(both("ab", "c"), both("a", "bc"));
        assert_ne!(both("-", "a"), both("a", "-"));
    }

    #[test]
    fn a_file_comes_back_to_the_last_bit_and_in_one_order() {
        let table = stations();
        let content = table.write().unwrap();
        let again = LookupTable::read(&content).unwrap();
        assert_eq!(again.write().unwrap(), content);
        let names = texts(&["Euston", "King's Park", "Soho"]);
        assert_eq!(again.column("name").unwrap().values, names);
        match &again.column("x").unwrap().values {
            Column::Number(values) => assert_eq!(values[1].to_bits(), (0.1_f64 + 0.2).to_bits()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_refused() {
        let content = stations().write().unwrap();
        for length in 0..content.len() {
            assert!(LookupTable::read(&content[..length]).is_err(), "{length}");
        }
        let text = String::from_utf8(content).unwrap();
        let refused = |from: &str, to: &str| {
            LookupTable::read(text.replace(from, to).as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("\"format\":1", "\"format\":9"),
            "the lookup has format 9, this program reads format 1; update the program"
        );
        assert!(refused("[\"name\"]", "[\"title\"]").contains("no column `title`"));
        assert!(refused("Euston", "SOHO").contains("both have `name` \"SOHO\""));
        assert!(refused("1.5]", "1.5,2]").contains("has 4 values instead of 3"));
    }

    #[test]
    fn what_was_known_is_found_and_nothing_later() {
        let columns = vec![
            column("at", Column::Timestamp([30, 10, 20].map(Some).to_vec())),
            column("rain", Column::Number(vec![3.0, 1.0, 2.0])),
        ];
        let table = LookupTable::new(Vec::new(), Some("at".to_owned()), columns).unwrap();
        let known = |at: i64| table.find("", Some(at)).len();
        assert_eq!([known(9), known(10), known(29), known(31)], [0, 1, 2, 3]);
        assert_eq!(table.find("", None).len(), 0);
    }

    #[test]
    fn rows_that_cannot_be_found_are_refused_with_the_reason() {
        let refused = |key: &[&str], time: Option<&str>, columns: Vec<LookupColumn>| {
            let key = key.iter().map(|name| (*name).to_owned()).collect();
            LookupTable::new(key, time.map(str::to_owned), columns).unwrap_err()
        };
        let twice = || {
            vec![
                column("name", texts(&["a", "b", "A."])),
                column("x", Column::Number(vec![1.0; 3])),
            ]
        };
        assert_eq!(refused(&["name"], None, twice()), "rows 0 and 2 both have `name` \"a\"");
        assert_eq!(
            refused(&[], None, twice()),
            "nothing says how a row is found; name the columns of its key, or of its time"
        );
        assert_eq!(refused(&["name"], Some("x"), twice()), "`x` is no date and time");
        assert_eq!(
            refused(&["name"], None, vec![column("name", texts(&[]))]),
            "it has no row"
        );
        let gap = vec![column("name", Column::Text(vec![Some("a".into()), None]))];
        assert_eq!(refused(&["name"], None, gap), "row 1 has no `name`");
    }
}
