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
}

impl FileFormat {
    /// The format of a file: Parquet by how it begins, JSON by the ending of the name (`.json`, `.ndjson`,
    /// `.jsonl`, also with `.gz` behind it), delimited text otherwise.
    pub fn of(content: &[u8], name: &str) -> FileFormat {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if content.starts_with(b"PAR1") {
            FileFormat::Parquet
        } else if name.ends_with(".ndjson") || name.ends_with(".jsonl") {
            FileFormat::Ndjson
        } else if name.ends_with(".json") {
            FileFormat::Json
        } else {
            FileFormat::Csv
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_before_the_name() {
        assert_eq!(FileFormat::of(b"PAR1....", "a.csv"), FileFormat::Parquet);
        assert_eq!(FileFormat::of(b"{}", "s3://b/a.NDJSON.gz"), FileFormat::Ndjson);
        assert_eq!(FileFormat::of(b"[]", "a.json"), FileFormat::Json);
        assert_eq!(FileFormat::of(b"[a],b\n", "a.txt"), FileFormat::Csv);
    }
}
