//! NDJSON as it arrives: rows out of chunks that end anywhere.

use serde_json::{Map, Value};

use super::rows::{ROW_BYTES, RowFaults, SentRow};
use crate::problem::{FieldError, Problem};

/// Collects lines. Holds at most [`ROW_BYTES`] of one that has not ended.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The line at hand is longer than any row may be, and what comes of it is thrown away.
    overlong: bool,
    begun: bool,
}

impl Lines {
    /// Takes a chunk and hands out the rows that it completes.
    pub fn feed(&mut self, mut chunk: &[u8], each: &mut dyn FnMut(SentRow)) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = chunk.split_at(end);
            chunk = &rest[1..];
            if self.pending.is_empty() && !self.overlong {
                self.line(line, each);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.pending);
                self.line(&line, each);
            }
        }
        self.keep(chunk);
    }

    /// The last line may lack its end.
    pub fn finish(&mut self, each: &mut dyn FnMut(SentRow)) {
        let line = std::mem::take(&mut self.pending);
        self.line(&line, each);
    }

    fn keep(&mut self, part: &[u8]) {
        if self.pending.len() + part.len() > ROW_BYTES {
            self.overlong = true;
            self.pending = Vec::new();
        }
        if !self.overlong {
            self.pending.extend_from_slice(part);
        }
    }

    fn line(&mut self, line: &[u8], each: &mut dyn FnMut(SentRow)) {
        let first = !std::mem::replace(&mut self.begun, true);
        if std::mem::take(&mut self.overlong) || line.len() > ROW_BYTES {
            return each(Err(too_long()));
        }
        // Some programs begin every text with a byte order mark.
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if first => rest,
            _ => line,
        };
        if !line.iter().all(u8::is_ascii_whitespace) {
            each(parse(line));
        }
    }
}

fn parse(line: &[u8]) -> Result<Map<String, Value>, RowFaults> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err(vec![fault("wrong_type", "expected an object, a row".to_owned())]),
        Err(error) => Err(vec![fault("broken_json", Problem::broken_json(&error).detail)]),
    }
}

/// The fault of a row beyond [`ROW_BYTES`].
pub fn too_long() -> RowFaults {
    vec![fault("too_long", format!("the row is longer than {ROW_BYTES} bytes"))]
}

fn fault(code: &'static str, message: String) -> FieldError {
    FieldError {
        pointer: String::new(),
        code,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &[u8], size: usize) -> Vec<Result<Map<String, Value>, &'static str>> {
        let mut found = Vec::new();
        let mut each = |row: SentRow| found.push(row.map_err(|faults| faults[0].code));
        let mut lines = Lines::default();
        for chunk in content.chunks(size) {
            lines.feed(chunk, &mut each);
        }
        lines.finish(&mut each);
        found
    }

    #[test]
    fn rows_do_not_depend_on_where_chunks_end() {
        let content = "\u{feff}{\"a\": 1}\r\n\n  \n{\"a\": \"ä\"}\n[1]\n{\"a\":\n{\"a\": 3}".as_bytes();
        let whole = rows(content, content.len());
        let codes: Vec<_> = whole.iter().map(|row| row.as_ref().err().copied()).collect();
        assert_eq!(codes, [None, None, Some("wrong_type"), Some("broken_json"), None]);
        for size in 1..content.len() {
            assert_eq!(rows(content, size), whole, "chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_in_its_place_and_not_kept() {
        let mut content = b"{\"a\": 1}\n{\"a\": \"".to_vec();
        content.extend(vec![b'x'; 3 * ROW_BYTES]);
        content.extend(b"\"}\n{\"a\": 2}\n");
        for size in [1000, ROW_BYTES, content.len()] {
            let codes: Vec<_> = rows(&content, size)
                .iter()
                .map(|row| row.as_ref().err().copied())
                .collect();
            assert_eq!(codes, [None, Some("too_long"), None], "chunks of {size}");
        }
        let mut lines = Lines::default();
        for chunk in content[..3 * ROW_BYTES].chunks(1000) {
            lines.feed(chunk, &mut |_| ());
            assert!(lines.pending.capacity() <= 2 * ROW_BYTES);
        }
    }
}
