//! A text as plain pieces and expressions.

use super::error::TemplateError;

const OPEN: &str = "${{";

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Stands for itself.
    Plain(&'a str),
    /// What is between `${{` and `}}`, trimmed.
    Expression(&'a str),
}

/// True if `${{` is in the text.
pub(crate) fn has_expression(text: &str) -> bool {
    text.contains(OPEN)
}

/// Splits a text.
///
/// # Errors
///
/// An expression that is never closed, or empty.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        if start > 0 {
            pieces.push(Piece::Plain(&rest[..start]));
        }
        let inside = &rest[start + OPEN.len()..];
        let Some(end) = end_of_expression(inside) else {
            return Err(TemplateError::new(rest[start..].trim(), "`${{` without its `}}`")
                .with_help("close it, and quote the whole value where it holds ` #` or `: `"));
        };
        let expression = inside[..end].trim();
        if expression.is_empty() {
            return Err(TemplateError::new(
                &rest[start..start + OPEN.len() + end + 2],
                "an empty expression",
            ));
        }
        pieces.push(Piece::Expression(expression));
        rest = &inside[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    Ok(pieces)
}

/// The expression, if the text is that one and nothing else. A block scalar's last line break does not count.
pub(crate) fn whole_expression(text: &str) -> Option<&str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    if !text.starts_with(OPEN) {
        return None;
    }
    match pieces(text).ok()?.as_slice() {
        [Piece::Expression(expression)] => Some(expression),
        _ => None,
    }
}

/// Where the closing `}}` starts: outside of texts and of the expression's own braces.
fn end_of_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = end_of_text(bytes, at, quote)?,
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the quoted text that starts at `start` ends: the place of its closing quote.
pub(super) fn end_of_text(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Y-030
    #[test]
    fn only_the_dollar_and_two_braces_are_special() {
        for text in [
            "${#a[@]}",
            "{%s}",
            "{{ x }}",
            "{# x #}",
            "$ {{ x }}",
            "${ x }",
            "",
            "}}",
        ] {
            let expected = if text.is_empty() {
                vec![]
            } else {
                vec![Piece::Plain(text)]
            };
            assert_eq!(pieces(text).unwrap(), expected);
        }
    }

    #[test]
    fn braces_and_texts_inside_an_expression_do_not_close_it() {
        assert_eq!(
            pieces("${{ {'a': {'b': 1}} }}").unwrap(),
            [Piece::Expression("{'a': {'b': 1}}")]
        );
        assert_eq!(pieces("${{ '}}' }}").unwrap(), [Piece::Expression("'}}'")]);
        assert_eq!(
            pieces(r"${{ '\'}}' }}x").unwrap(),
            [Piece::Expression(r"'\'}}'"), Piece::Plain("x")]
        );
        assert_eq!(pieces("${{'${{'}}").unwrap(), [Piece::Expression("'${{'")]);
    }

    #[test]
    fn open_and_empty_expressions_are_errors() {
        assert!(pieces("a ${{ b").unwrap_err().message.contains("without its"));
        assert!(pieces("${{ }}").unwrap_err().message.contains("empty"));
        assert!(pieces("${{ 'a }}").unwrap_err().message.contains("without its"));
    }

    #[test]
    fn a_whole_expression_stands_alone() {
        assert_eq!(whole_expression("${{ a }}"), Some("a"));
        assert_eq!(whole_expression("${{ a }}\n"), Some("a"));
        assert_eq!(whole_expression(" ${{ a }}"), None);
        assert_eq!(whole_expression("${{ a }}${{ b }}"), None);
        assert_eq!(whole_expression("a"), None);
    }
}
