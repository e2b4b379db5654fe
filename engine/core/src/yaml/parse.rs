//! Reads the tree, once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::error::finding;
use super::node::{Key, Node, NodeValue, Span};
use super::scalar::resolve;
use crate::diagnostics::{Code, Finding};

/// Longest file, in bytes: ten thousand tasks take one or two million.
const MOST_BYTES: usize = 8 << 20;
/// Deepest nesting. What reads the tree is recursive.
pub(super) const MOST_DEPTH: usize = 64;
/// Most nodes that aliases may bring in.
const MOST_ALIASED: usize = 100_000;

/// Reads a file.
///
/// # Errors
///
/// The first thing that YAML does not understand: what follows it would be guessed.
pub(crate) fn parse(text: &str) -> Result<Node, Finding> {
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; a DAG file has at most {MOST_BYTES}", text.len());
        return Err(Finding::new(Code::TooLarge, Span::default(), message)
            .with_help("keep data out of the file: name a table or a path instead"));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: MOST_DEPTH },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_ALIASED },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(node(raw, text)),
        Err(error) => Err(finding(&error, text)),
    }
}

/// What serde sees of a node. Typed scalars only say that they are not text; their value comes from the source.
enum Raw {
    Null,
    Typed,
    Text(String),
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let span = span(raw.defined, text);
    let source = text.get(span.offset..span.offset + span.length).unwrap_or_default();
    let value = match raw.value {
        Raw::Null => NodeValue::Null,
        Raw::Typed => resolve(source.trim()),
        // A plain scalar that the parser takes for text may still be a number that overflows it.
        Raw::Text(value) if value == source && !text[..span.offset].trim_end().ends_with("!!str") => {
            match resolve(&value) {
                number @ NodeValue::Number { .. } => number,
                _ => NodeValue::Text(value),
            }
        }
        Raw::Text(value) => NodeValue::Text(value),
        Raw::Sequence(items) => NodeValue::Sequence(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Mapping(entries) => NodeValue::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let span = self::span(key.defined, text);
                    (Key { span, text: key.value }, node(value, text))
                })
                .collect(),
        ),
    };
    Node { span, value }
}

/// A place of the parser's as ours.
pub(super) fn span(location: Location, text: &str) -> Span {
    let span = location.span();
    let offset = span
        .byte_offset()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0)
        .min(text.len());
    let length = span
        .byte_len()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0)
        .min(text.len() - offset);
    Span { offset, length }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json_of(text: &str) -> Value {
        parse(text).unwrap().to_json()
    }

    /// Y-006
    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("1", json!(1)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            ("true", json!(true)),
            ("False", json!(false)),
            ("null", json!(null)),
            ("~", json!(null)),
            ("010", json!(10)),
            ("18446744073709551615", json!(18446744073709551615_u64)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("1_000", json!("1_000")),
            ("0b11", json!("0b11")),
            ("1e", json!("1e")),
            ("12:30", json!("12:30")),
            ("2024-01-01", json!("2024-01-01")),
            ("nan", json!("nan")),
            ("'1'", json!("1")),
            ("\"true\"", json!("true")),
            ("!!str 1", json!("1")),
            ("!!str 123456789012345678901", json!("123456789012345678901")),
            ("tRue", json!("tRue")),
            ("0x", json!("0x")),
            ("-0x1", json!("-0x1")),
        ] {
            assert_eq!(json_of(&format!("a: {text}\n")), json!({ "a": value }), "{text}");
        }
    }

    /// Y-006
    #[test]
    fn numbers_keep_their_text() {
        for text in [
            "1.10",
            "010",
            "0x1F",
            "1e3",
            "+1",
            "123456789012345678901234567890",
            ".inf",
        ] {
            let tree = parse(&format!("a: [{text}, x]")).unwrap();
            assert_eq!(tree.get("a").unwrap().items()[0].text_of_scalar(), Some(text));
        }
    }

    #[test]
    fn places_are_those_of_the_source() {
        let text = "é: 'b c'\nlist:\n  - {k: v}\n  - |\n    block\n    text\nempty:\n";
        let tree = parse(text).unwrap();
        let source = |span: Span| &text[span.offset..span.offset + span.length];
        let (key, value) = tree.entry("é").unwrap();
        assert_eq!((source(key.span), source(value.span)), ("é", "'b c'"));
        let items = tree.get("list").unwrap().items();
        assert_eq!(source(items[0].place()), "k");
        assert_eq!(source(items[0].get("k").unwrap().span), "v");
        assert!(
            source(items[1].span).contains("block\n    text"),
            "{:?}",
            source(items[1].span)
        );
        assert_eq!(source(tree.place_of("/list/0/k")), "v");
        assert_eq!(source(tree.place_of("/list/0/missing")), "k");
    }

    /// Y-008
    #[test]
    fn aliases_point_to_their_definition() {
        let text = "a: &x [1, 2]\nb: *x\nc: { <<: { d: 5 }, e: 6 }\n";
        let tree = parse(text).unwrap();
        assert_eq!(tree.to_json(), json!({"a": [1, 2], "b": [1, 2], "c": {"d": 5, "e": 6}}));
        let item = &tree.get("b").unwrap().items()[1];
        assert_eq!(&text[item.span.offset..item.span.offset + item.span.length], "2");
    }
}
