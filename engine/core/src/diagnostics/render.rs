//! Diagnostics for a terminal.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::code::Severity;
use super::problem::{Diagnostics, Problem};
use super::source::Source;

/// At most so many problems are shown: nobody reads on, and a hostile file has a hundred thousand.
const MOST_SHOWN: usize = 1_000;

impl Diagnostics {
    /// Each problem with its place, the line underlined, and what to do; then the counts.
    ///
    /// `width` is the terminal's, in columns.
    pub fn render(&self, color: bool, width: usize) -> String {
        let theme = if color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.max(40))
            .with_context_lines(1);
        let source = Source::new(printable(&self.file_name), printable(&self.text));
        let mut rendered = String::new();
        for problem in self.problems.iter().take(MOST_SHOWN) {
            let view = View {
                problem,
                message: printable(&problem.message),
                source: &source,
            };
            // Writing into a string cannot fail; if a span were off the text, the plain line still says it all.
            if handler.render_report(&mut rendered, &view).is_err() {
                rendered.push_str(&format!("{}: {}\n", problem.code, view.message));
            }
            rendered.push('\n');
        }
        if self.problems.len() > MOST_SHOWN {
            let more = self.problems.len() - MOST_SHOWN;
            rendered.push_str(&format!("{more} more are not shown; as JSON all are listed\n"));
        }
        rendered.push_str(&self.closing_line());
        rendered
    }

    fn closing_line(&self) -> String {
        let count = |severity: Severity, word: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        };
        let counts: Vec<String> = [count(Severity::Error, "error"), count(Severity::Warning, "warning")]
            .into_iter()
            .flatten()
            .collect();
        let counts = if counts.is_empty() {
            "no problems".to_owned()
        } else {
            counts.join(" and ")
        };
        format!("{counts} in {}\n", printable(&self.file_name))
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.render(false, 100))
    }
}

/// A file must not drive the terminal that shows it: control characters become `?`, byte by byte, so that places hold.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' && character != '\t' {
            printable.extend(std::iter::repeat_n('?', character.len_utf8()));
        } else {
            printable.push(character);
        }
    }
    printable
}

#[derive(Debug)]
struct View<'a> {
    problem: &'a Problem,
    message: String,
    source: &'a Source,
}

impl std::fmt::Display for View<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for View<'_> {}

impl Diagnostic for View<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.problem
            .help
            .as_ref()
            .map(|help| Box::new(printable(help)) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_primary_with_span(None, (self.problem.offset, self.problem.length));
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostics::{Code, Finding, locate};
    use crate::yaml::Span;

    #[test]
    fn a_file_of_one_line_is_shown_around_the_place_and_not_as_a_whole() {
        let line = format!("{{ {} }}", "é: 1, ".repeat(100_000));
        let findings = (0..2_000)
            .map(|number| {
                Finding::new(
                    Code::UnknownKey,
                    Span {
                        offset: 2 + 7 * (300 + 40 * number),
                        length: 2,
                    },
                    "unknown key",
                )
            })
            .collect();
        let text = locate("f.yaml", &line, findings).render(false, 80);
        assert!(text.len() < 4_000_000, "{}", text.len());
        assert!(text.contains("f.yaml:1:2103"), "{}", &text[..2_000]);
        assert!(text.contains("1000 more are not shown") && text.contains("2000 errors in f.yaml"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let finding = Finding::new(
            Code::UnknownKey,
            Span { offset: 5, length: 3 },
            "unknown key `\u{1b}[31m`",
        );
        let text = locate("f\u{7}.yaml", "a\u{1b}[2Jkey: 1\n", vec![finding]).render(false, 80);
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
        assert!(text.contains("a?[2Jkey: 1"), "{text}");
    }
}
