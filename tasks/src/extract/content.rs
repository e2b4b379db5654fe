//! From raw bytes to text: compression by content, UTF-8 only.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use ratchet_core::plugin::TaskError;

/// Beginnings of files that are no text, with what they are.
const NOT_TEXT: [(&[u8], &str, &str); 7] = [
    (
        b"PK\x03\x04",
        "a zip archive (or an Excel workbook)",
        "unpack it, or save the sheet as CSV",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed with zstd",
        "decompress it first; gzip is read as it is",
    ),
    (
        b"\xfd7zXZ\x00",
        "compressed with xz",
        "decompress it first; gzip is read as it is",
    ),
    (
        b"BZh",
        "compressed with bzip2",
        "decompress it first; gzip is read as it is",
    ),
    (b"PAR1", "a Parquet file", "say `format: parquet`"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
];

/// Decompresses (if the content begins like gzip) and decodes a file. A byte order mark is dropped.
///
/// # Errors
/// An empty file, a damaged or cut-off gzip stream, content that is no text, a byte that is not UTF-8, with its line.
pub fn to_text(raw: &[u8], from: &str) -> Result<String, TaskError> {
    if raw.is_empty() {
        return Err(TaskError::permanent(format!("`{from}` is empty (0 bytes)"))
            .with_help("check that it was fetched or written whole"));
    }
    let content = unpack(raw, from)?;
    for (beginning, what, help) in NOT_TEXT {
        if content.starts_with(beginning) {
            return Err(TaskError::permanent(format!("`{from}` is {what}, not delimited text")).with_help(help));
        }
    }
    let mut text = String::from_utf8(content).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error(), from))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if text.trim().is_empty() {
        return Err(TaskError::permanent(format!("`{from}` holds no header and no rows"))
            .with_help("check that it was fetched or written whole"));
    }
    Ok(text)
}

/// Decompresses what begins like gzip.
///
/// # Errors
/// A damaged or cut-off gzip stream.
pub fn unpack(raw: &[u8], from: &str) -> Result<Vec<u8>, TaskError> {
    if raw.starts_with(&[0x1f, 0x8b]) {
        gunzip(raw, from)
    } else {
        Ok(raw.to_vec())
    }
}

fn gunzip(raw: &[u8], from: &str) -> Result<Vec<u8>, TaskError> {
    let mut content = Vec::new();
    match MultiGzDecoder::new(raw).read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(TaskError::permanent(format!(
            "`{from}` is cut off: its gzip stream ends after {} bytes without its end mark",
            raw.len()
        ))
        .with_help("fetch or write the file again")),
        Err(error) => Err(TaskError::permanent(format!(
            "`{from}` begins like gzip but cannot be decompressed: {error}"
        ))
        .with_help("fetch or write the file again")),
    }
}

fn not_utf8(content: &[u8], error: std::str::Utf8Error, from: &str) -> TaskError {
    let at = error.valid_up_to();
    let before = content.get(..at).unwrap_or(content);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let byte = content.get(at).copied().unwrap_or_default();
    TaskError::permanent(format!(
        "`{from}` is not UTF-8: line {line}, byte {column} of the line is 0x{byte:02x}"
    ))
    .with_help("convert it, for example with `iconv -f WINDOWS-1252 -t UTF-8`")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_recognized_by_content_and_read_to_its_last_member() {
        let both = [gzip("a,b\n1,2\n"), gzip("3,4\n")].concat();
        assert_eq!(to_text(&both, "f").unwrap(), "a,b\n1,2\n3,4\n");
        assert_eq!(to_text("\u{feff}a,b\n".as_bytes(), "f").unwrap(), "a,b\n");
    }

    #[test]
    fn each_kind_of_damage_has_its_message() {
        let cut = gzip("a,b\n1,2\n");
        let message = |raw: &[u8]| to_text(raw, "f.csv").unwrap_err().message;
        assert!(message(&cut[..cut.len() - 9]).contains("is cut off"));
        assert!(message(b"").contains("is empty (0 bytes)"));
        assert!(message(b"\n\n").contains("no header and no rows"));
        assert!(message(b"PK\x03\x04rest").contains("zip archive"));
        assert_eq!(
            message(b"a,b\n1,caf\xe9\n"),
            "`f.csv` is not UTF-8: line 2, byte 6 of the line is 0xe9"
        );
    }
}
