//! Rows out of a stream, whatever its format.

use ratchet_model::Schema;
use serde_json::{Map, Value};

use super::delimited::Delimited;
use super::lines::Lines;
use crate::problem::FieldError;

/// Longest row of a stream, in bytes.
pub const ROW_BYTES: usize = 256 * 1024;

/// All that is wrong with one row.
pub type RowFaults = Vec<FieldError>;

/// A row as it was sent, or why it is none.
pub type SentRow = Result<Map<String, Value>, RowFaults>;

/// Reads rows from chunks, holding no more than the one that has not ended.
#[derive(Debug)]
pub enum RowReader {
    /// NDJSON.
    Lines(Lines),
    /// CSV.
    Delimited(Box<Delimited>),
}

/// How far the part before the first row is.
#[derive(Debug)]
pub enum Opening {
    /// It was read; rows follow.
    Done,
    /// More is needed.
    Reading,
    /// It is wrong, and so would be every row.
    Refused(RowFaults),
}

impl RowReader {
    /// Takes a chunk and hands out the rows that it completes.
    pub fn feed(&mut self, chunk: &[u8], schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        match self {
            RowReader::Lines(lines) => lines.feed(chunk, each),
            RowReader::Delimited(delimited) => delimited.feed(chunk, schema, each),
        }
    }

    /// The body ended; its last row may lack the end of its line.
    pub fn finish(&mut self, schema: &Schema, each: &mut dyn FnMut(SentRow)) {
        match self {
            RowReader::Lines(lines) => lines.finish(each),
            RowReader::Delimited(delimited) => delimited.finish(schema, each),
        }
    }

    /// Whether the header, if there has to be one, was read. Leaves [`Opening::Reading`] in the place of faults.
    pub fn opening(&mut self) -> Opening {
        match self {
            RowReader::Lines(_) => Opening::Done,
            RowReader::Delimited(delimited) => delimited.opening(),
        }
    }
}
