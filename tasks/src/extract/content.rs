//! From raw bytes to text: compression by content, then one declared encoding.

use std::io::Read;

use encoding_rs::Encoding;
use flate2::read::MultiGzDecoder;
use ratchet_core::plugin::TaskError;

/// Beginnings of files that are no text, with what they are.
const NOT_TEXT: [(&[u8], &str, &str); 7] = [
    (
        b"PK\x03\x04",
        "a zip archive",
        "unpack it; an Excel workbook is read as it is",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls), or one with a password",
        "save it as .xlsx without a password",
    ),
    (
        b"\xfd7zXZ\x00",
        "compressed with xz",
        "decompress it first; gzip and zstd are read as they are",
    ),
    (
        b"BZh",
        "compressed with bzip2",
        "decompress it first; gzip and zstd are read as they are",
    ),
    (b"PAR1", "a Parquet file", "say `format: parquet`"),
    (b"\xff\xfe", "text in UTF-16", "say `encoding: utf-16le`"),
    (b"\xfe\xff", "text in UTF-16", "say `encoding: utf-16be`"),
];

/// The encoding of a name such as `windows-1252`, `iso-8859-15` or `utf-16le`.
pub fn encoding(name: &str) -> Option<&'static Encoding> {
    Encoding::for_label(name.as_bytes())
}

/// Decodes a file that is not compressed, from UTF-8 if no other encoding is declared. A byte order mark is dropped.
///
/// # Errors
/// An empty file, content that is no text, bytes that the encoding does not have; for UTF-8 with their line.
pub fn to_text(content: Vec<u8>, declared: Option<&'static Encoding>, from: &str) -> Result<String, TaskError> {
    let mut text = match declared {
        Some(encoding) => decode(&content, encoding, from)?,
        None => {
            for (beginning, what, help) in NOT_TEXT {
                if content.starts_with(beginning) {
                    return Err(TaskError::permanent(format!("`{from}` is {what}, not delimited text")).with_help(help));
                }
            }
            String::from_utf8(content).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error(), from))?
        }
    };
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if text.trim().is_empty() {
        return Err(TaskError::permanent(format!("`{from}` holds no header and no rows"))
            .with_help("check that it was fetched or written whole"));
    }
    Ok(text)
}

fn decode(content: &[u8], encoding: &'static Encoding, from: &str) -> Result<String, TaskError> {
    let decoded = encoding.decode_without_bom_handling_and_without_replacement(content);
    decoded.map(|text| text.into_owned()).ok_or_else(|| {
        TaskError::permanent(format!(
            "`{from}` is not {}: some of its bytes stand for nothing",
            encoding.name()
        ))
        .with_help("declare another `encoding`")
    })
}

/// Decompresses what begins like gzip or zstd, to the last of several streams.
///
/// # Errors
/// An empty file, a damaged or cut-off stream.
pub fn unpack(raw: &[u8], from: &str) -> Result<Vec<u8>, TaskError> {
    if raw.is_empty() {
        return Err(TaskError::permanent(format!("`{from}` is empty (0 bytes)"))
            .with_help("check that it was fetched or written whole"));
    }
    if raw.starts_with(&[0x1f, 0x8b]) {
        unpacked(MultiGzDecoder::new(raw), "gzip", raw.len(), from)
    } else if raw.starts_with(b"\x28\xb5\x2f\xfd") {
        let decoder = zstd::Decoder::new(raw)
            .map_err(|error| TaskError::permanent(format!("`{from}` cannot be decompressed: {error}")))?;
        unpacked(decoder, "zstd", raw.len(), from)
    } else {
        Ok(raw.to_vec())
    }
}

fn unpacked(mut decoder: impl Read, kind: &str, length: usize, from: &str) -> Result<Vec<u8>, TaskError> {
    let mut content = Vec::new();
    match decoder.read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(TaskError::permanent(format!(
            "`{from}` is cut off: its {kind} stream ends after {length} bytes without its end mark"
        ))
        .with_help("fetch or write the file again")),
        Err(error) => Err(TaskError::permanent(format!(
            "`{from}` begins like {kind} but cannot be decompressed: {error}"
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
    .with_help("declare its `encoding`, such as windows-1252")
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

    fn text(raw: &[u8]) -> Result<String, TaskError> {
        to_text(unpack(raw, "f.csv")?, None, "f.csv")
    }

    #[test]
    fn compression_is_recognized_by_content_and_read_to_its_last_member() {
        let both = [gzip("a,b\n1,2\n"), gzip("3,4\n")].concat();
        assert_eq!(text(&both).unwrap(), "a,b\n1,2\n3,4\n");
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        assert_eq!(
            text(&[zstd("a,b\n1,2\n"), zstd("3,4\n")].concat()).unwrap(),
            "a,b\n1,2\n3,4\n"
        );
        assert_eq!(text("\u{feff}a,b\n".as_bytes()).unwrap(), "a,b\n");
    }

    #[test]
    fn other_encodings_are_read_where_they_are_declared() {
        let read = |bytes: &[u8], name: &str| to_text(bytes.to_vec(), encoding(name), "f");
        assert_eq!(read(b"caf\xe9,\x80\n", "windows-1252").unwrap(), "caf\u{e9},\u{20ac}\n");
        assert_eq!(read(b"\xff\xfea\x00,\x00b\x00", "utf-16le").unwrap(), "a,b");
        let message = read(b"a,\xff\xff\n", "shift_jis").unwrap_err().message;
        assert_eq!(message, "`f` is not Shift_JIS: some of its bytes stand for nothing");
        assert!(encoding("windows-9999").is_none());
    }

    #[test]
    fn each_kind_of_damage_has_its_message() {
        let cut = gzip("a,b\n1,2\n");
        let message = |raw: &[u8]| text(raw).unwrap_err().message;
        assert!(message(&cut[..cut.len() - 9]).contains("is cut off: its gzip stream"));
        let cut = zstd::encode_all(&b"a,b\n1,2\n"[..], 3).unwrap();
        assert!(message(&cut[..cut.len() - 3]).contains("is cut off: its zstd stream"));
        assert!(message(b"").contains("is empty (0 bytes)"));
        assert!(message(b"\n\n").contains("no header and no rows"));
        assert!(message(b"PK\x03\x04rest").contains("zip archive"));
        assert!(message(b"\xd0\xcf\x11\xe0rest").contains("old Excel workbook"));
        assert_eq!(
            message(b"a,b\n1,caf\xe9\n"),
            "`f.csv` is not UTF-8: line 2, byte 6 of the line is 0xe9"
        );
    }
}
