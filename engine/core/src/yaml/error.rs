//! What YAML itself does not understand, in words and with a place.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location};

use super::node::Span;
use super::parse::{MOST_DEPTH, span};
use crate::diagnostics::{Code, Finding};

/// A finding for the parser's error.
pub(super) fn finding(error: &Error, text: &str) -> Finding {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let place = match location.span().byte_offset() {
        Some(_) => span(location, text),
        None => Span {
            offset: offset_of_line(text, location),
            length: 0,
        },
    };
    if let Some(unquoted) = unquoted_expression(text, place.offset) {
        return Finding::new(
            Code::UnquotedExpression,
            unquoted,
            "`${{ }}` without quotes inside `{ }` or `[ ]`",
        )
        .with_help("quote it: YAML reads its braces as a mapping, so write \"${{ ... }}\"");
    }
    let mut inner = error.without_snippet();
    while let Error::AliasError { error, .. } = inner {
        inner = error.without_snippet();
    }
    match inner {
        Error::DuplicateMappingKey { key, .. } => {
            let name = key.as_deref().unwrap_or("?");
            Finding::new(
                Code::DuplicateKey,
                place,
                format!("the key `{name}` stands twice in one mapping"),
            )
            .with_help("keep one of them; neither would be read silently")
        }
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => Finding::new(Code::TooLarge, place, format!("nested deeper than {MOST_DEPTH} levels"))
            .with_help("put parts of it into tasks of their own"),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            Finding::new(
                Code::TooLarge,
                place,
                "the file is too large, or its aliases make it so",
            )
            .with_help("use fewer aliases, and keep data out of the file")
        }
        Error::MultipleDocuments { .. } => {
            Finding::new(Code::Syntax, place, "a second document starts here").with_help("one file holds one DAG")
        }
        _ => {
            let message = message(inner);
            let place = if message.contains(" tab") {
                tab_behind(text, place)
            } else {
                place
            };
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
    let within: usize = text[start..]
        .chars()
        .take(column - 1)
        .take_while(|character| *character != '\n')
        .map(char::len_utf8)
        .sum();
    start + within
}

/// The parser blames the scalar before it; the tab is what has to go.
fn tab_behind(text: &str, place: Span) -> Span {
    match text[place.offset..].find('\t') {
        Some(at) => Span {
            offset: place.offset + at,
            length: 1,
        },
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
            return Some(Span {
                offset: line_start + at,
                length,
            });
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
