//! Answers to a stream, in the format of the stream.

use serde_json::{Map, Value, json};

use super::columns::{AnswerColumn, text, values};
use super::rows::RowFaults;

/// Writes answers and faults, each in its row's place.
#[derive(Debug)]
pub enum RowWriter {
    /// An object on each line.
    Ndjson,
    /// A record for each row, the last column for its faults.
    Csv {
        /// The columns of every answer.
        columns: Vec<AnswerColumn>,
    },
}

impl RowWriter {
    /// What comes before the first row.
    pub fn begin(&self, output: &mut Vec<u8>) {
        if let RowWriter::Csv { columns } = self {
            let names = columns.iter().map(|column| column.name.as_str());
            record(names.chain(["error"]), output);
        }
    }

    /// The answer to a row, and its JSON.
    pub fn answer(&self, answer: &Map<String, Value>, json: &[u8], output: &mut Vec<u8>) {
        match self {
            RowWriter::Ndjson => {
                output.extend_from_slice(json);
                output.push(b'\n');
            }
            RowWriter::Csv { .. } => {
                let cells: Vec<String> = values(answer).into_iter().map(text).collect();
                record(cells.iter().map(String::as_str).chain([""]), output);
            }
        }
    }

    /// The faults of row `row`, which counts from 0.
    pub fn faults(&self, row: u64, faults: &RowFaults, output: &mut Vec<u8>) {
        match self {
            RowWriter::Ndjson => line(&json!({"row": row, "errors": faults}), output),
            RowWriter::Csv { columns } => {
                let said = faults.iter().map(|fault| match fault.pointer.as_str() {
                    "" => fault.message.clone(),
                    pointer => format!("{pointer}: {}", fault.message),
                });
                let error = format!("row {row}: {}", said.collect::<Vec<_>>().join("; "));
                record(columns.iter().map(|_| "").chain([error.as_str()]), output);
            }
        }
    }
}

fn line(value: &Value, output: &mut Vec<u8>) {
    // Writing to memory cannot fail, and neither can a map whose keys are texts.
    let _ = serde_json::to_writer(&mut *output, value);
    output.push(b'\n');
}

/// One record; values that need it are quoted (RFC 4180).
fn record<'a>(cells: impl Iterator<Item = &'a str>, output: &mut Vec<u8>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            output.push(b',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            output.push(b'"');
            output.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            output.push(b'"');
        } else {
            output.extend_from_slice(cell.as_bytes());
        }
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        let mut output = Vec::new();
        record(["a", "b,c", "d\"e", ""].into_iter(), &mut output);
        assert_eq!(output, b"a,\"b,c\",\"d\"\"e\",\r\n");
    }
}
