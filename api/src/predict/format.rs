//! What a request's body is: one JSON document, or a stream of rows.

use axum::http::{HeaderMap, header};

/// The declared type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row or a list of rows, answered as a whole.
    Json,
    /// A row on each line, answered line by line.
    Ndjson,
    /// A header and a row on each line, answered the same way.
    Csv,
}

impl Format {
    /// The format that `Content-Type` names; none for another one, another charset than UTF-8, or an encoded body.
    pub fn of(headers: &HeaderMap) -> Option<Format> {
        if is_encoded(headers) {
            return None;
        }
        let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let mut parts = declared.split(';').map(|part| part.trim().to_ascii_lowercase());
        let format = match parts.next().unwrap_or_default().as_str() {
            "application/x-ndjson" | "application/ndjson" => Format::Ndjson,
            "text/csv" => Format::Csv,
            "application/json" => Format::Json,
            other if other.starts_with("application/") && other.ends_with("+json") => Format::Json,
            _ => return None,
        };
        // JSON is UTF-8 between systems (RFC 8259, section 8.1), and so are the streams.
        parts
            .filter(|part| part.starts_with("charset="))
            .all(|part| part.contains("utf-8"))
            .then_some(format)
    }

    /// `Content-Type` of an answer in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn declared(kind: &'static str) -> Option<Format> {
        Format::of(&HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static(kind),
        )]))
    }

    #[test]
    fn json_is_json_under_its_names_in_utf_8() {
        assert_eq!(declared("application/json"), Some(Format::Json));
        assert_eq!(declared("Application/JSON; charset=UTF-8"), Some(Format::Json));
        assert_eq!(declared("application/vnd.rows+json"), Some(Format::Json));
        assert_eq!(declared("text/json"), None);
        assert_eq!(declared("application/json; charset=latin1"), None);
        assert_eq!(declared("application/x-www-form-urlencoded"), None);
        assert_eq!(Format::of(&HeaderMap::new()), None);
    }

    #[test]
    fn streams_are_declared_by_their_types() {
        assert_eq!(declared("application/x-ndjson"), Some(Format::Ndjson));
        assert_eq!(declared("text/csv; charset=utf-8; header=present"), Some(Format::Csv));
        assert_eq!(declared("text/csv; charset=utf-16"), None);
    }
}
