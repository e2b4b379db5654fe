//! A number for each kind of problem. `docs/errors/` holds a page for each.

use serde::{Deserialize, Serialize};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file loads; someone should look at it.
    Warning,
}

/// The kind of a problem. Numbers never change their meaning; new kinds go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The text is not YAML.
    Syntax = 1,
    /// A key stands twice in one mapping.
    DuplicateKey,
    /// A key that nothing reads.
    UnknownKey,
    /// A key that has to be there is not.
    MissingKey,
    /// A value of another type than its key takes.
    WrongType,
    /// A value that is none of the choices.
    NotAChoice,
    /// A number, text or list outside its bounds.
    OutOfBounds,
    /// A number that cannot be kept exactly.
    NumberTooLarge,
    /// A name with characters that names do not have.
    BadName,
    /// `uses` names no plugin.
    UnknownPlugin,
    /// `needs` or a reference names no task.
    UnknownTask,
    /// A reference names no output of the task's plugin.
    UnknownPort,
    /// A port of one kind where another kind is taken.
    KindMismatch,
    /// A reference names no parameter.
    UnknownParameter,
    /// An expression that cannot be read.
    BadExpression,
    /// Tasks that wait for each other.
    Cycle,
    /// A cron line that cannot be read.
    BadCron,
    /// A time zone that the database does not have.
    UnknownTimezone,
    /// A duration that cannot be read.
    BadDuration,
    /// A size of memory that cannot be read.
    BadSize,
    /// A parameter's declaration that contradicts itself.
    BadParameter,
    /// The plugin refuses its configuration.
    ConfigurationRefused,
    /// `${{ }}` without quotes where YAML reads its braces.
    UnquotedExpression,
    /// The file is too large or too deep.
    TooLarge,
    /// A parameter that nothing reads.
    UnusedParameter,
    /// A value that a skipped or failed task leaves absent.
    MayBeAbsent,
    /// A setting that changes nothing here.
    NoEffect,
    /// A secret that is in none of its places.
    SecretNotFound,
}

impl Code {
    /// All kinds, by number.
    pub const ALL: [Code; 28] = [
        Code::Syntax,
        Code::DuplicateKey,
        Code::UnknownKey,
        Code::MissingKey,
        Code::WrongType,
        Code::NotAChoice,
        Code::OutOfBounds,
        Code::NumberTooLarge,
        Code::BadName,
        Code::UnknownPlugin,
        Code::UnknownTask,
        Code::UnknownPort,
        Code::KindMismatch,
        Code::UnknownParameter,
        Code::BadExpression,
        Code::Cycle,
        Code::BadCron,
        Code::UnknownTimezone,
        Code::BadDuration,
        Code::BadSize,
        Code::BadParameter,
        Code::ConfigurationRefused,
        Code::UnquotedExpression,
        Code::TooLarge,
        Code::UnusedParameter,
        Code::MayBeAbsent,
        Code::NoEffect,
        Code::SecretNotFound,
    ];

    /// Error or warning: a kind is always the one or the other.
    pub fn severity(self) -> Severity {
        match self {
            Code::UnusedParameter | Code::MayBeAbsent | Code::NoEffect | Code::SecretNotFound => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl std::fmt::Display for Code {
    /// `R0001`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "R{:04}", *self as u16)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_from_one_without_a_gap() {
        let numbers: Vec<u16> = Code::ALL.iter().map(|code| *code as u16).collect();
        assert_eq!(numbers, (1..=28).collect::<Vec<u16>>());
        assert_eq!(Code::WrongType.to_string(), "R0005");
    }

    #[test]
    fn each_code_has_a_page_and_each_page_a_code() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let mut pages: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('R'))
            .collect();
        pages.sort();
        let expected: Vec<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(pages, expected);
    }
}
