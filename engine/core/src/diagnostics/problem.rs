//! A problem and where it is.

use serde::Serialize;

use super::code::{Code, Severity};
use crate::yaml::Span;

/// One problem at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Where the place starts in the text, in bytes.
    pub offset: usize,
    /// How long the place is, in bytes.
    pub length: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All problems of one file, in the order of their places. `Display` is [`Diagnostics::render`] without color.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file's name as it was given.
    pub file_name: String,
    /// The file's text.
    pub text: String,
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Diagnostics {
    /// True if the file is refused.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// How many problems are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    }

    /// `{file, errors, warnings, problems: [{code, severity, line, column, offset, length, message, help}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file_name,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "problems": self.problems,
        })
    }
}

impl std::error::Error for Diagnostics {}

/// A problem whose line and column are not worked out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Finding {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// Sorts the findings by place, drops those that an alias brings in twice, and works out lines and columns.
pub(crate) fn locate(file_name: &str, text: &str, mut findings: Vec<Finding>) -> Diagnostics {
    findings.sort_by(|left, right| {
        (left.span.offset, left.code, &left.message).cmp(&(right.span.offset, right.code, &right.message))
    });
    findings.dedup();
    let line_starts: Vec<usize> = std::iter::once(0)
        .chain(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1),
        )
        .collect();
    let mut cursor = Cursor::default();
    let problems = findings
        .into_iter()
        .map(|finding| problem(text, &line_starts, &mut cursor, finding))
        .collect();
    Diagnostics {
        file_name: file_name.to_owned(),
        text: text.to_owned(),
        problems,
    }
}

/// The last place whose column was counted. Findings come in the order of their places, so that a long line with many of
/// them is counted once.
#[derive(Default)]
struct Cursor {
    offset: usize,
    column: usize,
}

impl Cursor {
    /// The column of an offset in the line that starts there, in characters from 1.
    fn column(&mut self, text: &str, line_start: usize, offset: usize) -> usize {
        if self.offset < line_start || self.offset > offset || self.column == 0 {
            *self = Self {
                offset: line_start,
                column: 1,
            };
        }
        self.column += text[self.offset..offset].chars().count();
        self.offset = offset;
        self.column
    }
}

fn problem(text: &str, line_starts: &[usize], cursor: &mut Cursor, finding: Finding) -> Problem {
    let mut offset = finding.span.offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let line = line_starts.partition_point(|start| *start <= offset).max(1);
    let line_start = line_starts.get(line - 1).copied().unwrap_or(0);
    // A place ends with its line: underlining whole blocks hides more than it shows.
    let line_end = line_starts.get(line).map_or(text.len(), |next| next - 1);
    let mut end = finding
        .span
        .offset
        .saturating_add(finding.span.length)
        .clamp(offset, line_end);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let length = text[offset..end].trim_end().len();
    Problem {
        code: finding.code,
        severity: finding.code.severity(),
        line,
        column: cursor.column(text, line_start, offset),
        offset,
        length,
        message: finding.message,
        help: finding.help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, offset: usize, length: usize) -> (usize, usize, usize) {
        let finding = Finding::new(Code::Syntax, Span { offset, length }, "x");
        let diagnostics = locate("f.yaml", text, vec![finding]);
        let problem = &diagnostics.problems[0];
        (problem.line, problem.column, problem.length)
    }

    #[test]
    fn columns_count_characters_and_a_place_ends_with_its_line() {
        assert_eq!(at("a: b\nc: d\n", 5, 1), (2, 1, 1));
        assert_eq!(at("é: ü\n", 4, 2), (1, 4, 2));
        assert_eq!(at("a: b\nc: d\n", 3, 7), (1, 4, 1));
    }

    #[test]
    fn places_beyond_the_text_or_inside_a_character_are_pulled_back() {
        assert_eq!(at("ab", 99, 5), (1, 3, 0));
        assert_eq!(at("é", 1, 1), (1, 1, 2));
        assert_eq!(at("", 0, 0), (1, 1, 0));
    }

    #[test]
    fn the_same_finding_counts_once() {
        let finding = Finding::new(Code::UnknownKey, Span { offset: 0, length: 1 }, "unknown key `a`");
        assert_eq!(locate("f", "a", vec![finding.clone(), finding]).problems.len(), 1);
    }
}
