//! Notations of text: what `x-ratchet-format` names.

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::diagnostics::{Code, did_you_mean};
use crate::spec::{Cron, CronProblem, parse_duration, parse_size};
use crate::template::{Expression, has_expression, whole_expression};
use crate::yaml::Span;

/// What is wrong with a text.
pub(crate) struct FormatProblem {
    pub(crate) code: Code,
    /// The bytes of the text that are to blame; none: all of it.
    pub(crate) part: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

fn bad_cron(problem: CronProblem) -> FormatProblem {
    FormatProblem {
        code: Code::BadCron,
        part: problem.part,
        message: problem.message,
        help: Some(problem.help),
    }
}

/// Checks a text. Unknown formats fit everything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), FormatProblem> {
    match format {
        "name" => name(text, "the name", "-"),
        "task-id" => name(text, "the task id", "-_"),
        "parameter-name" => name(text, "the parameter", "_"),
        "cron" => Cron::check(text).map(drop).map_err(bad_cron),
        "timezone" => timezone(text),
        "duration" => parse_duration(text).map(drop).map_err(|message| {
            problem(Code::BadDuration, message).help("write number and unit: `500ms`, `5s`, `30m`, `1h30m`, `21d`")
        }),
        "size" => parse_size(text).map(drop).map_err(|message| {
            problem(Code::BadSize, message).help("write number and unit: `512MiB`, `4GiB`, `1.5GB`")
        }),
        "condition" => condition(text),
        "variable-name" => variable_name(text),
        "webhook" => webhook(text),
        _ => Ok(()),
    }
}

fn problem(code: Code, message: impl Into<String>) -> FormatProblem {
    FormatProblem {
        code,
        part: None,
        message: message.into(),
        help: None,
    }
}

impl FormatProblem {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

fn name(text: &str, what: &str, also: &str) -> Result<(), FormatProblem> {
    const MOST: usize = 100;
    let belongs =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || also.contains(character);
    let starts_well = text.starts_with(|character: char| character.is_ascii_lowercase());
    if starts_well && text.chars().all(belongs) && text.len() <= MOST {
        return Ok(());
    }
    let signs: Vec<String> = also.chars().map(|sign| format!("`{sign}`")).collect();
    let rule = format!(
        "a lower-case letter, then lower-case letters, digits and {}, at most {MOST}",
        signs.join(" and ")
    );
    let mut near: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|character| {
            if belongs(character) {
                character
            } else {
                also.chars().next().unwrap_or('-')
            }
        })
        .take(MOST)
        .collect();
    near = near
        .trim_start_matches(|character: char| !character.is_ascii_lowercase())
        .to_owned();
    let help = if near.is_empty() {
        rule
    } else {
        format!("{rule}; such as `{near}`")
    };
    Err(problem(
        Code::BadName,
        format!("{what} `{}` is not a name", text.chars().take(120).collect::<String>()),
    )
    .help(help))
}

fn timezone(text: &str) -> Result<(), FormatProblem> {
    if TimeZone::get(text).is_ok() {
        return Ok(());
    }
    let available: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let help = did_you_mean(text, available.iter().map(String::as_str))
        .unwrap_or_else(|| "an IANA name, such as `Europe/London` or `UTC`".to_owned());
    Err(problem(Code::UnknownTimezone, format!("unknown time zone `{text}`")).help(help))
}

fn condition(text: &str) -> Result<(), FormatProblem> {
    if whole_expression(text).is_some() {
        // Its inside is read with all other expressions.
        return Ok(());
    }
    let message = "`when` takes one expression";
    let help = if !has_expression(text) && Expression::parse(text).is_ok() {
        format!("write `${{{{ {} }}}}`", text.trim())
    } else {
        "write one `${{ ... }}` and nothing around it".to_owned()
    };
    Err(problem(Code::BadExpression, message).help(help))
}

/// Variables by which the engine speaks to a worker and to its programs.
const OWN_VARIABLES: [&str; 4] = ["RATCHET_ATTEMPT", "RATCHET_OUTPUT", "RATCHET_RUN", "RATCHET_TASK"];

fn variable_name(text: &str) -> Result<(), FormatProblem> {
    let starts_well = text.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_');
    if !starts_well || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let message = format!(
            "`{}` is not the name of a variable",
            text.chars().take(120).collect::<String>()
        );
        return Err(problem(Code::BadName, message).help("a letter or `_`, then letters, digits and `_`"));
    }
    if OWN_VARIABLES.contains(&text) || text.starts_with("RATCHET_SECRET") {
        return Err(
            problem(Code::BadName, format!("the variable `{text}` belongs to the engine")).help("take another name"),
        );
    }
    Ok(())
}

fn webhook(text: &str) -> Result<(), FormatProblem> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(());
    }
    Err(problem(
        Code::OutOfBounds,
        "the webhook begins with neither https:// nor http://",
    )
    .help("write the whole address, or keep it as a secret: `${{ secrets.NAME }}`"))
}

/// The place of a fragment inside a scalar's place, if the scalar's source holds it; else the scalar.
pub(crate) fn part_of(text: &str, span: Span, fragment: &str) -> Span {
    let source = text.get(span.offset..span.offset + span.length).unwrap_or_default();
    match source.find(fragment) {
        Some(at) if !fragment.is_empty() => Span {
            offset: span.offset + at,
            length: fragment.len(),
        },
        _ => span,
    }
}

/// The place of a range of a scalar's text, if the source holds the text as it is; else the scalar.
pub(crate) fn range_of(text: &str, span: Span, scalar: &str, range: &Range<usize>) -> Span {
    let whole = part_of(text, span, scalar);
    if whole.length != scalar.len() {
        return span;
    }
    Span {
        offset: whole.offset + range.start,
        length: range.len(),
    }
}
