//! Which kind of file it is, by its content, its name, or as somebody said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How records are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Text with a delimiter between fields and a header in the first line.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Ndjson,
    /// A JSON array of objects.
    Json,
    /// A sheet of an Excel workbook (`.xlsx`).
    Xlsx,
}

impl FileFormat {
    /// The format of a file: Parquet and workbooks by what is in them, JSON by the ending of the name (`.json`,
    /// `.ndjson`, `.jsonl`, also with `.gz` or `.zst` behind it), delimited text otherwise.
    pub fn of(content: &[u8], name: &str) -> FileFormat {
        let name = name.to_ascii_lowercase();
        // What follows the path of an address says nothing about the file.
        let path = match name.split_once("://") {
            Some((_, rest)) => rest.split(['?', '#']).next().unwrap_or(rest),
            None => &name,
        };
        let path = [".gz", ".zst"]
            .iter()
            .find_map(|ending| path.strip_suffix(ending))
            .unwrap_or(path);
        if content.starts_with(b"PAR1") {
            FileFormat::Parquet
        } else if is_workbook(content) {
            FileFormat::Xlsx
        } else if path.ends_with(".ndjson") || path.ends_with(".jsonl") {
            FileFormat::Ndjson
        } else if path.ends_with(".json") {
            FileFormat::Json
        } else {
            FileFormat::Csv
        }
    }
}

/// A zip archive that says, in its uncompressed list of files, that it holds a workbook.
fn is_workbook(content: &[u8]) -> bool {
    let list = b"xl/workbook.xml";
    content.starts_with(b"PK\x03\x04") && content.windows(list.len()).any(|window| window == list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_before_the_name() {
        assert_eq!(FileFormat::of(b"PAR1....", "a.csv"), FileFormat::Parquet);
        assert_eq!(FileFormat::of(b"{}", "s3://b/a.NDJSON.gz"), FileFormat::Ndjson);
        assert_eq!(FileFormat::of(b"[]", "a.json"), FileFormat::Json);
        assert_eq!(
            FileFormat::of(b"[]", "https://example.com/a.json.zst?v=1.csv"),
            FileFormat::Json
        );
        assert_eq!(FileFormat::of(b"PK\x03\x04..xl/workbook.xml", "a"), FileFormat::Xlsx);
        assert_eq!(FileFormat::of(b"PK\x03\x04..a.csv", "a.zip"), FileFormat::Csv);
        assert_eq!(FileFormat::of(b"[a],b\n", "a.txt"), FileFormat::Csv);
    }
}
