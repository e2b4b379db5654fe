//! One expression: what it reads, checked before anything runs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::error::TemplateError;
use super::pieces::end_of_text;
use crate::diagnostics::{did_you_mean, one_of};

/// What `run.` offers: the run's id, its tick's instant, the tick before, and the tick again.
pub const RUN_FIELDS: [&str; 4] = ["id", "logical_date", "interval_start", "interval_end"];

/// Longest expression. A chain of operators is a tree as deep as it is long, and what walks over it is recursive.
const MOST_BYTES: usize = 2_000;

const ROOTS: [&str; 6] = ["params", "tasks", "run", "secrets", "item", "index"];

/// Something outside that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// `params.<name>`.
    Param(String),
    /// `tasks.<id>.<port>`. Draws an edge.
    Port {
        /// The task.
        task: String,
        /// Its output port.
        port: String,
    },
    /// `run.<field>`.
    Run(String),
    /// `secrets.<name>`.
    Secret(String),
    /// `item`: what an instance of a task with `foreach` was made for.
    Item,
    /// `index`: the place of that in its list, from 0.
    Index,
}

impl std::fmt::Display for Reference {
    /// As written.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reference::Param(name) => write!(formatter, "params.{name}"),
            Reference::Port { task, port } => write!(formatter, "tasks.{task}.{port}"),
            Reference::Run(field) => write!(formatter, "run.{field}"),
            Reference::Secret(name) => write!(formatter, "secrets.{name}"),
            Reference::Item => formatter.write_str("item"),
            Reference::Index => formatter.write_str("index"),
        }
    }
}

/// An expression that was read.
#[derive(Clone, Debug)]
pub(crate) struct Expression<'a> {
    /// As written.
    pub(crate) source: &'a str,
    /// With `tasks.some-id.port` as minijinja reads it.
    pub(super) rewritten: String,
    /// What it reads.
    pub(crate) references: BTreeSet<Reference>,
    /// The reference, if the expression is that one and nothing else.
    pub(crate) bare: Option<Reference>,
    /// The reference, if the expression is that one, at most with a `default()` behind it.
    pub(crate) nearly_bare: Option<Reference>,
    /// True if `default` catches absent values somewhere.
    pub(crate) has_default: bool,
}

/// minijinja, strict about undefined names. Nothing of it is ours but that.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // It would show the whole scope, secrets included, in a configuration.
    environment.remove_global("debug");
    environment
});

impl<'a> Expression<'a> {
    /// Reads an expression (without `${{ }}`).
    ///
    /// # Errors
    ///
    /// Its syntax, a name other than `params`, `tasks`, `run` and `secrets`, another use of these than with a literal name behind
    /// them, an unknown filter or test.
    pub(crate) fn parse(source: &'a str) -> Result<Self, TemplateError> {
        let source = source.trim();
        if source.len() > MOST_BYTES {
            return Err(TemplateError::new(
                source,
                format!(
                    "an expression has at most {MOST_BYTES} bytes, this has {}",
                    source.len()
                ),
            )
            .with_help("compute it in a task and read the task's port"));
        }
        let mut scanner = Scanner {
            source,
            at: 0,
            rewritten: String::with_capacity(source.len()),
            ..Scanner::default()
        };
        scanner.scan()?;
        let Scanner {
            rewritten,
            mut references,
            filters,
            tests,
            ..
        } = scanner;
        let compiled = ENVIRONMENT
            .compile_expression(&rewritten)
            .map_err(|error| syntax_error(source, &error))?;
        let names = compiled.undeclared_variables(false);
        unknown_names(source, &names)?;
        drop(compiled);
        let each = [("item", Reference::Item), ("index", Reference::Index)].into_iter();
        references.extend(
            each.filter(|(name, _)| names.contains(*name))
                .map(|(_, reference)| reference),
        );
        for filter in &filters {
            known(
                source,
                "filter",
                filter,
                &format!("none|{filter}"),
                ErrorKind::UnknownFilter,
            )?;
        }
        for test in &tests {
            known(source, "test", test, &format!("none is {test}"), ErrorKind::UnknownTest)?;
        }
        let first = references.iter().next();
        let bare = first.filter(|reference| reference.to_string() == source).cloned();
        let nearly_bare = first
            .filter(|reference| references.len() == 1 && defaulted(source, reference))
            .cloned();
        let has_default = filters.iter().any(|filter| filter == "default" || filter == "d");
        Ok(Self {
            source,
            rewritten,
            references,
            bare,
            nearly_bare,
            has_default,
        })
    }
}

/// True for `reference` and for `reference | default(anything)`.
fn defaulted(source: &str, reference: &Reference) -> bool {
    let Some(rest) = source.strip_prefix(&reference.to_string()) else {
        return false;
    };
    let Some(filter) = rest.trim_start().strip_prefix('|') else {
        return rest.is_empty();
    };
    let Some(arguments) = filter.trim_start().strip_prefix("default") else {
        return false;
    };
    let bytes = arguments.as_bytes();
    if bytes.first() != Some(&b'(') {
        return arguments.is_empty();
    }
    // The parenthesis that closes the arguments has to be the end.
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => match end_of_text(bytes, at, quote) {
                Some(end) => at = end,
                None => return false,
            },
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == bytes.len();
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

fn syntax_error(source: &str, error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateError::new(source, format!("not an expression: {detail}"))
}

fn unknown_names(source: &str, names: &std::collections::HashSet<String>) -> Result<(), TemplateError> {
    let functions: BTreeSet<&str> = ENVIRONMENT.globals().map(|(name, _)| name).collect();
    let unknown = names
        .iter()
        .map(String::as_str)
        .filter(|name| !ROOTS.contains(name) && !functions.contains(name))
        .min();
    let Some(name) = unknown else { return Ok(()) };
    let help = did_you_mean(name, ROOTS.into_iter().chain(functions.iter().copied())).unwrap_or_else(|| {
        "an expression reads `params.<name>`, `tasks.<id>.<port>`, `run.<field>` and `secrets.<name>`; text goes in \
         quotes"
            .to_owned()
    });
    Err(TemplateError::new(source, format!("unknown name `{name}`")).with_help(help))
}

/// Asks the environment by trying: it lists neither its filters nor its tests.
fn known(source: &str, what: &str, name: &str, probe: &str, unknown: ErrorKind) -> Result<(), TemplateError> {
    const COMMON: [&str; 22] = [
        "abs", "default", "first", "float", "int", "join", "last", "length", "list", "lower", "max", "min", "replace",
        "round", "sort", "split", "string", "sum", "title", "trim", "unique", "upper",
    ];
    let error = match ENVIRONMENT.compile_expression(probe).map(|probe| probe.eval(())) {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) | Err(error) => error,
    };
    if error.kind() != unknown {
        return Ok(());
    }
    Err(TemplateError::new(source, format!("unknown {what} `{name}`")).maybe_help(did_you_mean(name, COMMON)))
}

/// Walks over the tokens of an expression as far as names need it; minijinja reads the rest.
#[derive(Default)]
struct Scanner<'a> {
    source: &'a str,
    at: usize,
    rewritten: String,
    references: BTreeSet<Reference>,
    filters: Vec<String>,
    tests: Vec<String>,
    /// The last token that is not blank: decides what a name means.
    previous: Previous,
    /// The brackets that are open, by what closes them.
    open: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    Dot,
    Pipe,
    Is,
}

impl<'a> Scanner<'a> {
    fn scan(&mut self) -> Result<(), TemplateError> {
        let bytes = self.source.as_bytes();
        while let Some(byte) = bytes.get(self.at).copied() {
            match byte {
                b'\'' | b'"' => {
                    let end = end_of_text(bytes, self.at, byte).map_or(bytes.len(), |end| end + 1);
                    self.copy_to(end, Previous::Other);
                }
                b'0'..=b'9' => {
                    let end = self.end_of(self.at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    self.copy_to(end, Previous::Other);
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.name()?,
                b'(' | b'[' | b'{' => {
                    self.open.push(match byte {
                        b'(' => b')',
                        b'[' => b']',
                        _ => b'}',
                    });
                    self.copy_to(self.at + 1, Previous::Other);
                }
                // Braces that close nothing end an expression for minijinja, which panics at what stands behind them.
                b')' | b']' | b'}' => {
                    if self.open.pop() != Some(byte) {
                        let message = format!("not an expression: `{}` closes nothing", char::from(byte));
                        return Err(TemplateError::new(self.source, message));
                    }
                    self.copy_to(self.at + 1, Previous::Other);
                }
                b'.' => self.copy_to(self.at + 1, Previous::Dot),
                b'|' => self.copy_to(self.at + 1, Previous::Pipe),
                byte if byte.is_ascii_whitespace() => self.copy_to(self.at + 1, self.previous),
                _ => {
                    let length = self.source[self.at..].chars().next().map_or(1, char::len_utf8);
                    self.copy_to(self.at + length, Previous::Other);
                }
            }
        }
        Ok(())
    }

    fn copy_to(&mut self, end: usize, previous: Previous) {
        self.rewritten.push_str(&self.source[self.at..end]);
        self.at = end;
        self.previous = previous;
    }

    /// Where the bytes that belong end. Works on bytes: `start` may lie within a letter that takes several.
    fn end_of(&self, start: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = self.source.as_bytes().get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        start + length
    }

    fn name(&mut self) -> Result<(), TemplateError> {
        let end = self.end_of(self.at, is_name);
        let name = &self.source[self.at..end];
        match (self.previous, name) {
            (Previous::Pipe, _) => self.filters.push(name.to_owned()),
            (Previous::Is, "not") | (Previous::Other, "is") => {
                self.copy_to(end, Previous::Is);
                return Ok(());
            }
            (Previous::Is, _) => self.tests.push(name.to_owned()),
            (Previous::Dot, _) => {}
            (Previous::Other, "tasks") => return self.port(end),
            (Previous::Other, "params") => return self.member(end, "params"),
            (Previous::Other, "run") => return self.member(end, "run"),
            (Previous::Other, "secrets") => return self.member(end, "secrets"),
            (Previous::Other, _) => {}
        }
        self.copy_to(end, Previous::Other);
        Ok(())
    }

    /// `.<name>` behind `params`, `run` or `secrets`.
    fn member(&mut self, end: usize, root: &str) -> Result<(), TemplateError> {
        let bytes = self.source.as_bytes();
        let name_start = end + 1;
        let name_end = self.end_of(name_start, is_name);
        if bytes.get(end) != Some(&b'.') || name_end <= name_start {
            return Err(
                TemplateError::new(self.source, format!("`{root}` is only read as `{root}.<name>`"))
                    .with_help("write the name behind a dot: what an expression reads is checked before anything runs"),
            );
        }
        let name = self.source[name_start..name_end].to_owned();
        if root == "params" {
            self.references.insert(Reference::Param(name));
        } else if root == "secrets" {
            self.references.insert(Reference::Secret(name));
        } else {
            if !RUN_FIELDS.contains(&name.as_str()) {
                return Err(TemplateError::new(self.source, format!("`run` has no field `{name}`"))
                    .maybe_help(one_of(&name, RUN_FIELDS)));
            }
            self.references.insert(Reference::Run(name));
        }
        self.copy_to(name_end, Previous::Other);
        Ok(())
    }

    /// `.<id>.<port>` behind `tasks`. An id may hold `-`, which minijinja would read as a minus.
    fn port(&mut self, end: usize) -> Result<(), TemplateError> {
        let misuse = || {
            TemplateError::new(self.source, "`tasks` is only read as `tasks.<id>.<port>`")
                .with_help("write task and port behind dots: that is what draws the edge")
        };
        let bytes = self.source.as_bytes();
        let id_start = end + 1;
        if bytes.get(end) != Some(&b'.') {
            return Err(misuse());
        }
        let id_end = self.end_of(id_start, |byte| is_name(byte) || byte == b'-');
        let port_start = id_end + 1;
        if id_end == id_start || bytes.get(id_end) != Some(&b'.') {
            return Err(misuse());
        }
        let port_end = self.end_of(port_start, is_name);
        if port_end == port_start {
            return Err(misuse());
        }
        let task = self.source[id_start..id_end].to_owned();
        let port = self.source[port_start..port_end].to_owned();
        self.rewritten.push_str(&format!("tasks[\"{task}\"][\"{port}\"]"));
        self.references.insert(Reference::Port { task, port });
        self.at = port_end;
        self.previous = Previous::Other;
        Ok(())
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The references of a text with expressions.
pub(super) fn references_of(text: &str) -> Result<BTreeSet<Reference>, TemplateError> {
    let mut references = BTreeSet::new();
    for piece in super::pieces::pieces(text)? {
        if let super::pieces::Piece::Expression(source) = piece {
            references.extend(Expression::parse(source)?.references);
        }
    }
    Ok(references)
}

/// An expression with or without its `${{ }}`.
pub(super) fn inner(text: &str) -> &str {
    super::pieces::whole_expression(text.trim()).unwrap_or(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn port(task: &str, port: &str) -> Reference {
        Reference::Port {
            task: task.to_owned(),
            port: port.to_owned(),
        }
    }

    fn references(source: &str) -> Vec<Reference> {
        Expression::parse(source).unwrap().references.into_iter().collect()
    }

    fn refused(source: &str) -> String {
        Expression::parse(source).unwrap_err().to_string()
    }

    #[test]
    fn brackets_that_close_nothing_are_refused_before_anybody_reads_them() {
        for source in [
            "}}'",
            "params.x }}",
            "(params.x]}} a",
            "-}} 1",
            "[params.x)",
            ")",
            "{'a': 1}}} 'b'",
        ] {
            assert!(refused(source).contains("closes nothing"), "{source}");
        }
        let nested = "{'a': {'b': [params.x, (1)]}}";
        assert_eq!(references(nested), [Reference::Param("x".to_owned())]);
    }

    #[test]
    fn letters_of_several_bytes_right_behind_a_root_are_refused() {
        for source in [
            "params\u{1ee67}",
            "run\u{1ee67}.id",
            "tasks\u{1ee67}",
            "params.\u{1ee67}",
            "tasks.a.\u{1ee67}",
            "params",
            "secrets['a']",
        ] {
            assert!(refused(source).contains("is only read as"), "{source}");
        }
    }

    #[test]
    fn references_are_found_wherever_they_stand() {
        assert_eq!(references("tasks.a.table"), [port("a", "table")]);
        assert_eq!(references("tasks.my-task.rows_2 - 1"), [port("my-task", "rows_2")]);
        assert_eq!(
            references("[params.x, {'k': tasks.a.b.rows}]"),
            [Reference::Param("x".into()), port("a", "b")]
        );
        assert_eq!(
            references("tasks.a.b if run.id else 'tasks.c.d'"),
            [port("a", "b"), Reference::Run("id".into())]
        );
        assert_eq!(references("{'tasks': 1}.tasks"), []);
    }

    /// Y-035
    #[test]
    fn any_other_use_of_tasks_is_refused() {
        for source in [
            "tasks['a']",
            "tasks",
            "tasks | length",
            "tasks.a",
            "tasks.a['b']",
            "tasks[params.x].y",
            "tasks.a-1",
            "tasks.",
        ] {
            assert!(
                refused(source).contains("only read as `tasks.<id>.<port>`"),
                "{source}: {}",
                refused(source)
            );
        }
        assert!(refused("params").contains("only read as `params.<name>`"));
        assert!(refused("params['x']").contains("only read as"));
    }

    /// Y-036
    #[test]
    fn unknown_names_filters_tests_and_fields_are_refused() {
        assert!(refused("parms.x").contains("did you mean `params`?"));
        assert!(refused("champion").contains("unknown name `champion`"));
        assert!(refused("params.x | defualt(1)").contains("did you mean `default`?"));
        assert!(refused("params.x is evenly").contains("unknown test `evenly`"));
        assert!(refused("run.logical_dat").contains("did you mean `logical_date`?"));
        assert!(refused("1 +").contains("not an expression"));
        assert!(refused("debug()").contains("unknown name"));
    }

    #[test]
    fn bare_references_are_told_from_computed_ones() {
        let parse = |source| Expression::parse(source).unwrap();
        assert_eq!(parse("tasks.a.b").bare, Some(port("a", "b")));
        assert_eq!(parse("tasks.a.b | default(none)").bare, None);
        assert_eq!(parse("tasks.a.b | default(none)").nearly_bare, Some(port("a", "b")));
        assert_eq!(parse("tasks.a.b|default(')')").nearly_bare, Some(port("a", "b")));
        assert_eq!(parse("tasks.a.b | default(1) + 1").nearly_bare, None);
        assert_eq!(parse("tasks.a.b.rows").nearly_bare, None);
        assert_eq!(parse("tasks.a.b | length").nearly_bare, None);
    }

    #[test]
    fn deep_and_long_expressions_are_refused_or_read_but_never_overflow() {
        for source in [
            "(".repeat(1_900),
            "-".repeat(1_900),
            "not ".repeat(450),
            "[".repeat(1_900),
        ] {
            assert!(Expression::parse(&source).is_err());
        }
        for (start, step) in [
            ("1", "+1"),
            ("1", "<1"),
            ("params.x", "|abs"),
            ("params.x", ".a"),
            ("params.x", "[0]"),
            ("1", "~1"),
        ] {
            let source = format!("{start}{}", step.repeat((1_900) / step.len()));
            assert!(Expression::parse(&source).is_ok(), "{step}");
            assert!(Expression::parse(&source.repeat(50)).is_err(), "{step}");
            let _ = crate::template::evaluate(&source, &crate::template::Scope::default());
        }
    }
}
