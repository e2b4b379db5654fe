//! Delimited text to a frame.
//!
//! The text is read twice: once to find each column's type over the whole file, once to build the columns. Nothing is
//! guessed from a sample: a code like `007` in the last row keeps its column text.

use csv::{Reader, ReaderBuilder, StringRecord};
use polars::prelude::DataFrame;
use ratchet_core::plugin::{ColumnType, TaskError};

use super::columns::{Builder, Layout, check_declared, check_names};
use super::infer::Evidence;

/// Delimiters that a header is searched for; the most frequent wins, the first of them if several are.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads delimited text with a header.
///
/// # Errors
/// A header with empty or repeated names, a row with another number of fields (its line and both counts), a declared
/// type for a column that is not there, a value that does not fit its declared type (its line).
pub fn read(text: &str, layout: &Layout, from: &str) -> Result<DataFrame, TaskError> {
    let delimiter = layout.delimiter.unwrap_or_else(|| detect_delimiter(text));
    let names = header(text, delimiter, from)?;
    check_declared(&names, layout, from)?;
    let (kinds, rows) = infer_types(text, delimiter, &names, layout, from)?;
    let mut builders: Vec<Builder> = kinds.iter().map(|kind| Builder::new(*kind, rows)).collect();
    let mut reader = reader(text, delimiter);
    let mut record = StringRecord::new();
    while next(&mut reader, &mut record, names.len(), from)? {
        for ((value, builder), name) in record.iter().zip(&mut builders).zip(&names) {
            let value = (!layout.is_null(value)).then_some(value);
            builder.push(value).map_err(|kind| {
                let line = record.position().map_or(0, csv::Position::line);
                TaskError::permanent(format!(
                    "`{from}`, line {line}: `{}` in column `{name}` is not {kind}",
                    value.unwrap_or_default()
                ))
                .with_help(format!(
                    "correct the value, or declare another type for `{name}` under `types`"
                ))
            })?;
        }
    }
    let columns = names
        .iter()
        .zip(builders)
        .map(|(name, builder)| builder.finish(name))
        .collect::<Result<_, _>>()?;
    DataFrame::new(rows, columns).map_err(|error| TaskError::permanent(format!("`{from}` makes no table: {error}")))
}

/// The delimiter that stands most often in the header, outside quotes; a comma if none does.
pub fn detect_delimiter(text: &str) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => {
                for (count, delimiter) in counts.iter_mut().zip(DELIMITERS) {
                    *count += usize::from(byte == delimiter);
                }
            }
            _ => {}
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    counts
        .iter()
        .zip(DELIMITERS)
        .find(|(count, _)| **count == most)
        .map_or(b',', |(_, delimiter)| delimiter)
}

fn reader(text: &str, delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(true)
        .from_reader(text.as_bytes())
}

fn header(text: &str, delimiter: u8, from: &str) -> Result<Vec<String>, TaskError> {
    let mut reader = reader(text, delimiter);
    let header = reader
        .headers()
        .map_err(|error| TaskError::permanent(format!("the header of `{from}` cannot be read: {error}")))?;
    let names: Vec<String> = header.iter().map(str::to_owned).collect();
    check_names(&names, from)?;
    Ok(names)
}

/// Reads the next row; false at the end.
fn next(reader: &mut Reader<&[u8]>, record: &mut StringRecord, fields: usize, from: &str) -> Result<bool, TaskError> {
    let more = reader
        .read_record(record)
        .map_err(|error| TaskError::permanent(format!("`{from}` cannot be read as delimited text: {error}")))?;
    if more && record.len() != fields {
        let line = record.position().map_or(0, csv::Position::line);
        return Err(TaskError::permanent(format!(
            "`{from}`, line {line}: {} fields where the header has {fields}",
            record.len()
        ))
        .with_help("quote fields that hold the delimiter, close every quote, or name the delimiter with `delimiter`"));
    }
    Ok(more)
}

/// Type of each column and the number of rows.
fn infer_types(
    text: &str,
    delimiter: u8,
    names: &[String],
    layout: &Layout,
    from: &str,
) -> Result<(Vec<ColumnType>, usize), TaskError> {
    let mut evidence = vec![Evidence::NONE; names.len()];
    let mut rows = 0;
    let mut reader = reader(text, delimiter);
    let mut record = StringRecord::new();
    while next(&mut reader, &mut record, names.len(), from)? {
        rows += 1;
        for (value, evidence) in record.iter().zip(&mut evidence) {
            if !layout.is_null(value) {
                evidence.take(value);
            }
        }
    }
    let kinds = names
        .iter()
        .zip(&evidence)
        .map(|(name, evidence)| {
            layout
                .types
                .get(name)
                .copied()
                .unwrap_or_else(|| evidence.column_type())
        })
        .collect();
    Ok((kinds, rows))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use polars::prelude::DataType;

    use super::*;

    fn layout() -> Layout {
        Layout {
            null_values: vec![String::new()],
            ..Layout::default()
        }
    }

    #[test]
    fn the_delimiter_is_found_outside_quotes() {
        assert_eq!(detect_delimiter("a;b;c\n1,2,3,4,5\n"), b';');
        assert_eq!(detect_delimiter("\"a,b,c,d\"\tb\n"), b'\t');
        assert_eq!(detect_delimiter("a|b\n"), b'|');
        assert_eq!(detect_delimiter("alone\n"), b',');
    }

    #[test]
    fn text_keeps_its_blanks_and_codes_their_zeros() {
        let frame = read("code,name,size\n007,\"Flat , large \",1\n12,,2.5\n", &layout(), "f").unwrap();
        assert_eq!(frame.column("code").unwrap().str().unwrap().get(0), Some("007"));
        assert_eq!(
            frame.column("name").unwrap().str().unwrap().get(0),
            Some("Flat , large ")
        );
        assert_eq!(frame.column("name").unwrap().null_count(), 1);
        assert_eq!(frame.column("size").unwrap().dtype(), &DataType::Float64);
    }

    #[test]
    fn a_value_in_the_last_row_decides_as_much_as_one_in_the_first() {
        let mut text = String::from("number\n");
        text.extend((1..5000).map(|row| format!("{row}\n")));
        assert_eq!(
            read(&text, &layout(), "f").unwrap().column("number").unwrap().dtype(),
            &DataType::Int64
        );
        text.push_str("0x12\n");
        assert_eq!(
            read(&text, &layout(), "f").unwrap().column("number").unwrap().dtype(),
            &DataType::String
        );
    }

    #[test]
    fn a_ragged_row_names_its_line_and_both_counts() {
        let error = read("a,b\n1,2\n\"x\ny\",4\n5\n", &layout(), "f.csv").unwrap_err();
        assert_eq!(error.message, "`f.csv`, line 5: 1 fields where the header has 2");
    }

    #[test]
    fn headers_have_one_name_per_column() {
        assert!(
            read("a,a\n1,2\n", &layout(), "f")
                .unwrap_err()
                .message
                .contains("names `a` twice")
        );
        assert!(
            read("a,,c\n1,2,3\n", &layout(), "f")
                .unwrap_err()
                .message
                .contains("column 2")
        );
    }

    #[test]
    fn declared_types_are_kept_or_refused_with_the_line() {
        let mut layout = layout();
        layout.types = BTreeMap::from([
            ("n".to_owned(), ColumnType::Integer),
            ("d".to_owned(), ColumnType::Date),
        ]);
        let frame = read("n,d\n 007,01 Jan 2009\n,\n", &layout, "f").unwrap();
        assert_eq!(frame.column("n").unwrap().i64().unwrap().get(0), Some(7));
        assert_eq!(frame.column("d").unwrap().dtype(), &DataType::Date);
        let error = read("n,d\n1,2009-01-01\nx,2009-01-01\n", &layout, "f").unwrap_err();
        assert_eq!(error.message, "`f`, line 3: `x` in column `n` is not an integer");
        let error = read("m,d\n1,2009-01-01\n", &layout, "f").unwrap_err();
        assert!(error.message.contains("has no column `n`"), "{error}");
    }

    #[test]
    fn a_header_without_rows_is_a_table_without_rows() {
        assert_eq!(read("a,b\n", &layout(), "f").unwrap().shape(), (0, 2));
    }
}
