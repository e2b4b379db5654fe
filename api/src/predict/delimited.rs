//! CSV as it arrives (RFC 4180): the first record names the fields, each later one is a row.

use csv_core::{ReadRecordResult, Reader};
use ratchet_model::{FieldKind, Schema};
use serde_json::{Map, Value};

use super::lines::too_long;
use super::rows::{Opening, ROW_BYTES, RowFaults, SentRow};
use crate::problem::FieldError;

/// Length of the byte order mark that some programs begin every text with.
const BYTE_ORDER_MARK: usize = 3;
/// Most values in one record.
const MOST_VALUES: usize = 4096;

/// Collects records. Holds at most [`ROW_BYTES`] of one that has not ended.
pub struct Delimited {
    reader: Reader,
    /// The first bytes, until there are enough to tell a byte order mark, which the reader takes off its first input.
    start: Vec<u8>,
    begun: bool,
    header: Option<Vec<(String, FieldKind)>>,
    refused: Option<RowFaults>,
    /// Values of the record at hand, one after the other, and where each ends.
    content: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    ended: usize,
    overlong: bool,
}

impl std::fmt::Debug for Delimited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Delimited")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Default for Delimited {
    fn default() -> Delimited {
        Delimited {
            reader: Reader::new(),
            start: Vec::new(),
            begun: false,
            header: None,
            refused: None,
            content: vec![0; 1024],
            written: 0,
            ends: vec![0; 64],
            ended: 0,
            overlong: false,
        }
    }
}

impl Delimited {
    /// Takes a chunk and hands out the rows that it completes.
    pub fn feed(&mut self, mut chunk: &[u8], schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        if !self.begun {
            let missing = BYTE_ORDER_MARK.saturating_sub(self.start.len()).min(chunk.len());
            self.start.extend_from_slice(&chunk[..missing]);
            chunk = &chunk[missing..];
            if self.start.len() < BYTE_ORDER_MARK {
                return;
            }
            self.begin(schema, each);
        }
        self.read(chunk, schema, each);
    }

    fn begin(&mut self, schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        self.begun = true;
        let start = std::mem::take(&mut self.start);
        self.read(&start, schema, each);
    }

    fn read(&mut self, mut chunk: &[u8], schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        // An empty chunk would mean the end to the reader.
        while !chunk.is_empty() && self.refused.is_none() {
            chunk = &chunk[self.step(chunk, schema, each).0..];
        }
    }

    /// The body ended; its last row may lack the end of its line.
    pub fn finish(&mut self, schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        if !self.begun {
            self.begin(schema, each);
        }
        while self.refused.is_none() && !self.step(&[], schema, each).1 {}
        if self.header.is_none() && self.refused.is_none() {
            let message = "the body is empty; its first line has to name the fields".to_owned();
            self.refused = Some(vec![fault(String::new(), "missing", message)]);
        }
    }

    /// Whether the header was read.
    pub fn opening(&mut self) -> Opening {
        match (self.refused.take(), &self.header) {
            (Some(faults), _) => Opening::Refused(faults),
            (None, Some(_)) => Opening::Done,
            (None, None) => Opening::Reading,
        }
    }

    /// Reads on; returns how much was taken, and whether the input has ended.
    fn step(&mut self, input: &[u8], schema: &Schema, each: &mut dyn FnMut(SentRow)) -> (usize, bool) {
        let content = &mut self.content[self.written..];
        let ends = &mut self.ends[self.ended..];
        let (result, taken, written, ended) = self.reader.read_record(input, content, ends);
        self.written += written;
        self.ended += ended;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull if self.written >= ROW_BYTES => self.overlong(),
            ReadRecordResult::OutputFull => self.content.resize(self.content.len() * 2, 0),
            ReadRecordResult::OutputEndsFull if self.ended >= MOST_VALUES => self.overlong(),
            ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            ReadRecordResult::Record => self.record(schema, each),
            ReadRecordResult::End => return (taken, true),
        }
        (taken, false)
    }

    /// What was read of the record is thrown away, and so is what comes of it.
    fn overlong(&mut self) {
        self.overlong = true;
        (self.written, self.ended) = (0, 0);
    }

    fn record(&mut self, schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        let ends = &self.ends[..self.ended];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let values = starts.zip(ends).map(|(start, end)| self.content.get(start..*end));
        let values = values.map(|value| value.and_then(|value| std::str::from_utf8(value).ok()));
        match (&self.header, self.overlong) {
            (Some(_), true) => each(Err(too_long())),
            (None, true) => self.refused = Some(too_long()),
            (Some(header), false) => each(row(header, values)),
            (None, false) => match read_header(values, schema) {
                Ok(header) => self.header = Some(header),
                Err(faults) => self.refused = Some(faults),
            },
        }
        (self.written, self.ended, self.overlong) = (0, 0, false);
    }
}

fn read_header<'a>(
    names: impl Iterator<Item = Option<&'a str>>,
    schema: &Schema,
) -> Result<Vec<(String, FieldKind)>, RowFaults> {
    let mut header: Vec<(String, FieldKind)> = Vec::new();
    let mut faults = Vec::new();
    for (number, name) in names.enumerate() {
        let place = format!("column {} of the header", number + 1);
        let name = name.map(str::trim).unwrap_or_default();
        match schema.kind_of(name) {
            // What was sent is not repeated; the place says enough.
            None => faults.push(fault(
                String::new(),
                "unknown",
                format!("{place} names no field of the model; remove it"),
            )),
            Some(_) if header.iter().any(|(known, _)| known == name) => {
                faults.push(fault(
                    pointer(name),
                    "duplicate",
                    format!("{place} names the field again; remove one"),
                ));
            }
            Some(kind) => header.push((name.to_owned(), kind)),
        }
    }
    for field in &schema.fields {
        if !header.iter().any(|(name, _)| *name == field.name) {
            let message = "the header does not name the field; add a column".to_owned();
            faults.push(fault(pointer(&field.name), "missing", message));
        }
    }
    if faults.is_empty() { Ok(header) } else { Err(faults) }
}

/// A record as the JSON row that it stands for: an empty value is a missing one.
fn row<'a>(header: &[(String, FieldKind)], values: impl Iterator<Item = Option<&'a str>>) -> SentRow {
    let mut row = Map::new();
    let mut count = 0;
    for value in values {
        if let Some((name, kind)) = header.get(count) {
            let text = value.ok_or_else(|| {
                let message = "the value is not UTF-8".to_owned();
                vec![fault(pointer(name), "wrong_type", message)]
            })?;
            row.insert(name.clone(), typed(text, *kind));
        }
        count += 1;
    }
    if count == header.len() {
        return Ok(row);
    }
    let message = format!("the row has {count} values, the header {}", header.len());
    Err(vec![fault(String::new(), "wrong_length", message)])
}

fn typed(text: &str, kind: FieldKind) -> Value {
    let text = text.trim();
    match kind {
        _ if text.is_empty() => Value::Null,
        // What is no finite number stays a text, which the schema then refuses where it wants a number.
        FieldKind::Number => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => Value::from(text),
        },
        FieldKind::Text | FieldKind::Timestamp => Value::from(text),
    }
}

fn pointer(field: &str) -> String {
    format!("/{}", field.replace('~', "~0").replace('/', "~1"))
}

fn fault(pointer: String, code: &'static str, message: String) -> FieldError {
    FieldError { pointer, code, message }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use ratchet_model::{Field, Known};
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let field = |name: &str, kind| Field {
            name: name.to_owned(),
            kind,
            known: Known::Call,
            nullable: true,
        };
        Schema {
            fields: vec![field("easting", FieldKind::Number), field("ward", FieldKind::Text)],
            unused: Vec::new(),
        }
    }

    fn read(content: &[u8], size: usize) -> (Vec<SentRow>, Delimited) {
        let mut found = Vec::new();
        let mut each = |row: SentRow| found.push(row);
        let mut delimited = Delimited::default();
        for chunk in content.chunks(size) {
            delimited.feed(chunk, &schema(), &mut each);
        }
        delimited.finish(&schema(), &mut each);
        (found, delimited)
    }

    #[test]
    fn rows_do_not_depend_on_where_chunks_end() {
        let content = "\u{feff}ward, easting\r\n\"a \"\"b\"\",\nc\",1e3\r\n,\n\nä,x\nonly\nlast,0.1".as_bytes();
        let (whole, _) = read(content, content.len());
        assert_eq!(
            whole[0],
            Ok(json!({"ward": "a \"b\",\nc", "easting": 1000.0})
                .as_object()
                .cloned()
                .unwrap_or_default())
        );
        assert_eq!(whole[1].as_ref().map(|row| row["easting"].is_null()), Ok(true));
        assert_eq!(whole[2].as_ref().map(|row| row["easting"].clone()), Ok(json!("x")));
        assert_eq!(whole[3].as_ref().map_err(|faults| faults[0].code), Err("wrong_length"));
        assert_eq!(whole[4].as_ref().map(|row| row["easting"].as_f64()), Ok(Some(0.1)));
        assert_eq!(whole.len(), 5);
        for size in 1..content.len() {
            assert_eq!(read(content, size).0, whole, "chunks of {size}");
        }
    }

    #[test]
    fn every_fault_of_a_header_is_told_and_none_repeats_what_was_sent() {
        let (rows, mut delimited) = read(b"ward,secret,ward\na,b,c\n", 5);
        assert!(rows.is_empty());
        let Opening::Refused(faults) = delimited.opening() else {
            panic!("the header was taken");
        };
        let codes: Vec<_> = faults
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.code))
            .collect();
        assert_eq!(
            codes,
            [("", "unknown"), ("/ward", "duplicate"), ("/easting", "missing")]
        );
        assert!(faults.iter().all(|fault| !fault.message.contains("secret")));
        assert!(matches!(read(b"", 5).1.opening(), Opening::Refused(_)));
    }

    #[test]
    fn a_quote_that_never_closes_is_refused_and_not_kept() {
        let mut content = b"ward,easting\na,1\n\"".to_vec();
        content.extend(vec![b'x'; 5 * ROW_BYTES]);
        let (rows, delimited) = read(&content, 10_000);
        let codes: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().err().map(|faults| faults[0].code))
            .collect();
        assert_eq!(codes, [None, Some("too_long")]);
        assert!(delimited.content.capacity() <= 2 * ROW_BYTES);
    }
}
