//! Text -> tree, with the place and the source text of each node.
//!
//! serde stops at its first error and loses places in generic configurations, so a file is read once into this tree and
//! everything else is checked against it. Plain scalars are resolved here, by YAML 1.2's core schema and from the text
//! as it stands in the file: `1.10` and `010` keep their text, `yes` is text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use crate::diagnostics::{Code, Finding};

/// Longest file, in bytes: ten thousand tasks take one or two million.
const MOST_BYTES: usize = 8 << 20;
/// Deepest nesting. What reads the tree is recursive.
const MOST_DEPTH: usize = 64;
/// Most nodes that aliases may bring in.
const MOST_ALIASED: usize = 100_000;

/// A place in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

/// A value and where it stands. What an alias or a merge brings in has the place of its definition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: NodeValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    Null,
    Boolean(bool),
    /// A number and how it is written. No value: JSON cannot keep it.
    Number {
        text: String,
        value: Option<Number>,
    },
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Node {
    /// The value behind a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The key and the value behind it.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().find(|(candidate, _)| candidate.text == key).map(|(key, node)| (key, node))
    }

    /// The pairs of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            NodeValue::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            NodeValue::Sequence(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar that may stand for text: text itself, and numbers as they are written.
    pub(crate) fn text_of_scalar(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) | NodeValue::Number { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_boolean(&self) -> Option<bool> {
        match self.value {
            NodeValue::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<&Number> {
        match &self.value {
            NodeValue::Number { value, .. } => value.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        self.as_number().and_then(Number::as_u64)
    }

    /// Where to point: a block's own place is empty, its first key or item says more.
    pub(crate) fn place(&self) -> Span {
        let first = match &self.value {
            NodeValue::Mapping(entries) => entries.first().map(|(key, _)| key.span),
            NodeValue::Sequence(items) => items.first().map(Node::place),
            _ => None,
        };
        first.unwrap_or(self.span)
    }

    /// As JSON. Numbers that JSON cannot keep become text; they were reported by then.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Boolean(value) => Value::Bool(*value),
            NodeValue::Number { value: Some(value), .. } => Value::Number(value.clone()),
            NodeValue::Number { text, value: None } | NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Mapping(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect())
            }
        }
    }

    /// JSON as a tree whose nodes all stand at one place.
    pub(crate) fn from_json(value: &Value, span: Span) -> Self {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(value) => NodeValue::Boolean(*value),
            Value::Number(value) => NodeValue::Number { text: value.to_string(), value: Some(value.clone()) },
            Value::String(text) => NodeValue::Text(text.clone()),
            Value::Array(items) => NodeValue::Sequence(items.iter().map(|item| Self::from_json(item, span)).collect()),
            Value::Object(entries) => NodeValue::Mapping(
                entries
                    .iter()
                    .map(|(key, value)| (Key { span, text: key.clone() }, Self::from_json(value, span)))
                    .collect(),
            ),
        };
        Self { span, value }
    }

    /// The place of a JSON pointer, as far as the tree follows it.
    pub(crate) fn place_of(&self, pointer: &str) -> Span {
        let mut node = self;
        let mut place = self.place();
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                NodeValue::Mapping(_) => node.get(&token),
                NodeValue::Sequence(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(next) = next else { break };
            node = next;
            place = node.place();
        }
        place
    }
}

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
        Raw::Text(value) if value == source && !text[..span.offset].trim_end().ends_with("!!str") => match resolve(&value) {
            number @ NodeValue::Number { .. } => number,
            _ => NodeValue::Text(value),
        },
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

/// The core schema of YAML 1.2 for a plain scalar, and `1_000` as text.
fn resolve(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeValue::Null,
        "true" | "True" | "TRUE" => return NodeValue::Boolean(true),
        "false" | "False" | "FALSE" => return NodeValue::Boolean(false),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = |value: Option<Number>| NodeValue::Number { text: text.to_owned(), value };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return number(None);
    }
    let radix = |digits: &str, radix: u32| {
        let digits_fit = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        digits_fit.then(|| number(u64::from_str_radix(digits, radix).ok().map(Number::from)))
    };
    let based = match text.get(..2) {
        Some("0x") => radix(&text[2..], 16),
        Some("0o") => radix(&text[2..], 8),
        _ => None,
    };
    if let Some(based) = based {
        return based;
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let plain = text.strip_prefix('+').unwrap_or(text);
        let value = plain.parse::<u64>().map(Number::from).or_else(|_| plain.parse::<i64>().map(Number::from));
        return number(value.ok());
    }
    if is_float(unsigned) {
        return number(text.parse::<f64>().ok().and_then(Number::from_f64));
    }
    NodeValue::Text(text.to_owned())
}

/// `(\. digits | digits (\. digits?)?) ([eE] [-+]? digits)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

fn span(location: Location, text: &str) -> Span {
    let span = location.span();
    let offset = span.byte_offset().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0).min(text.len());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0).min(text.len() - offset);
    Span { offset, length }
}

fn finding(error: &Error, text: &str) -> Finding {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let place = match location.span().byte_offset() {
        Some(_) => span(location, text),
        None => Span { offset: offset_of_line(text, location), length: 0 },
    };
    if let Some(unquoted) = unquoted_expression(text, place.offset) {
        return Finding::new(Code::UnquotedExpression, unquoted, "`${{ }}` without quotes inside `{ }` or `[ ]`")
            .with_help("quote it: YAML reads its braces as a mapping, so write \"${{ ... }}\"");
    }
    let mut inner = error.without_snippet();
    while let Error::AliasError { error, .. } = inner {
        inner = error.without_snippet();
    }
    match inner {
        Error::DuplicateMappingKey { key, .. } => {
            let name = key.as_deref().unwrap_or("?");
            Finding::new(Code::DuplicateKey, place, format!("the key `{name}` stands twice in one mapping"))
                .with_help("keep one of them; neither would be read silently")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            Finding::new(Code::TooLarge, place, format!("nested deeper than {MOST_DEPTH} levels"))
                .with_help("put parts of it into tasks of their own")
        }
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            Finding::new(Code::TooLarge, place, "the file is too large, or its aliases make it so")
                .with_help("use fewer aliases, and keep data out of the file")
        }
        Error::MultipleDocuments { .. } => {
            Finding::new(Code::Syntax, place, "a second document starts here").with_help("one file holds one DAG")
        }
        _ => {
            let message = message(inner);
            let place = if message.contains(" tab") { tab_behind(text, place) } else { place };
            Finding::new(Code::Syntax, place, format!("not valid YAML: {message}")).maybe_help(remedy(text, place))
        }
    }
}

/// The parser's own words, without the place that it appends.
fn message(error: &Error) -> String {
    let rendered = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let line = rendered.lines().next().unwrap_or_default();
    let words = line.split(" at line ").next().unwrap_or(line).trim();
    let mut characters = words.chars();
    match characters.next() {
        Some(first) if words.starts_with("YAML") => format!("{first}{}", characters.as_str()),
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "it ends too early".to_owned(),
    }
}

fn offset_of_line(text: &str, location: Location) -> usize {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let within: usize = text[start..].chars().take(column - 1).take_while(|character| *character != '\n').map(char::len_utf8).sum();
    start + within
}

/// The parser blames the scalar before it; the tab is what has to go.
fn tab_behind(text: &str, place: Span) -> Span {
    match text[place.offset..].find('\t') {
        Some(at) => Span { offset: place.offset + at, length: 1 },
        None => place,
    }
}

fn remedy(text: &str, place: Span) -> Option<String> {
    let line_start = text[..place.offset].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    if text[place.offset..].starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with blanks; YAML takes no tabs".to_owned());
    }
    if line.contains("${{") {
        return Some("put the whole value in quotes: \"${{ ... }}\"".to_owned());
    }
    None
}

/// The nearest `${{` before the error that stands bare inside a flow collection of its own line.
fn unquoted_expression(text: &str, offset: usize) -> Option<Span> {
    let mut line_start = text[..offset.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    // A flow collection that is never closed is reported lines below; look back as far as a person would.
    for _ in 0..3 {
        let line = text[line_start..].lines().next().unwrap_or_default();
        if let Some(at) = bare_in_flow(line) {
            let length = line[at..].find("}}").map_or(line.len() - at, |end| end + 2);
            return Some(Span { offset: line_start + at, length });
        }
        if line_start == 0 {
            break;
        }
        line_start = text[..line_start - 1].rfind('\n').map_or(0, |at| at + 1);
    }
    None
}

fn bare_in_flow(line: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '$') if depth > 0 && line[at..].starts_with("${{") => return Some(at),
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') if line[..at].ends_with([' ', '\t']) => return None,
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(text: &str) -> Value {
        parse(text).unwrap().to_json()
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("1", json!(1)), ("-1", json!(-1)), ("+1", json!(1)), ("0x1F", json!(31)), ("0o17", json!(15)), ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)), (".5", json!(0.5)), ("5.", json!(5.0)), ("true", json!(true)), ("False", json!(false)),
            ("null", json!(null)), ("~", json!(null)), ("010", json!(10)), ("18446744073709551615", json!(18446744073709551615_u64)),
            ("yes", json!("yes")), ("on", json!("on")), ("1_000", json!("1_000")), ("0b11", json!("0b11")), ("1e", json!("1e")),
            ("12:30", json!("12:30")), ("2024-01-01", json!("2024-01-01")), ("nan", json!("nan")), ("'1'", json!("1")),
            ("\"true\"", json!("true")), ("!!str 1", json!("1")), ("!!str 123456789012345678901", json!("123456789012345678901")), ("tRue", json!("tRue")), ("0x", json!("0x")), ("-0x1", json!("-0x1")),
        ] {
            assert_eq!(json_of(&format!("a: {text}\n")), json!({ "a": value }), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        for text in ["1.10", "010", "0x1F", "1e3", "+1", "123456789012345678901234567890", ".inf"] {
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
        assert!(source(items[1].span).contains("block\n    text"), "{:?}", source(items[1].span));
        assert_eq!(source(tree.place_of("/list/0/k")), "v");
        assert_eq!(source(tree.place_of("/list/0/missing")), "k");
    }

    #[test]
    fn aliases_point_to_their_definition() {
        let text = "a: &x [1, 2]\nb: *x\nc: { <<: { d: 5 }, e: 6 }\n";
        let tree = parse(text).unwrap();
        assert_eq!(tree.to_json(), json!({"a": [1, 2], "b": [1, 2], "c": {"d": 5, "e": 6}}));
        let item = &tree.get("b").unwrap().items()[1];
        assert_eq!(&text[item.span.offset..item.span.offset + item.span.length], "2");
    }
}
