//! Five fields: which of them cannot be read, and why.
//!
//! Accepts what the scheduler reads: `*`, `?`, numbers, names, ranges (also ones that go round, `22-2`), steps, lists,
//! and the seven nicknames from `@hourly` to `@annually`.

use std::ops::Range;

use super::format::FormatProblem;
use crate::diagnostics::{Code, did_you_mean};

struct Field {
    name: &'static str,
    least: u32,
    greatest: u32,
    /// Names, the first of them for `first_name`.
    names: &'static [&'static str],
    first_name: u32,
    /// How many values it has, Sunday once.
    values: u32,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const NICKNAMES: [&str; 7] = [
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
];

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        least: 0,
        greatest: 59,
        names: &[],
        first_name: 0,
        values: 60,
    },
    Field {
        name: "hour",
        least: 0,
        greatest: 23,
        names: &[],
        first_name: 0,
        values: 24,
    },
    Field {
        name: "day of month",
        least: 1,
        greatest: 31,
        names: &[],
        first_name: 0,
        values: 31,
    },
    Field {
        name: "month",
        least: 1,
        greatest: 12,
        names: &MONTHS,
        first_name: 1,
        values: 12,
    },
    Field {
        name: "day of week",
        least: 0,
        greatest: 7,
        names: &WEEKDAYS,
        first_name: 0,
        values: 7,
    },
];

/// Most days of each month, from January.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

pub(super) fn check(text: &str) -> Result<(), FormatProblem> {
    let trimmed = text.trim();
    if trimmed.starts_with('@') {
        return nickname(trimmed);
    }
    let fields: Vec<(usize, &str)> = text
        .split_whitespace()
        .map(|field| (field.as_ptr() as usize - text.as_ptr() as usize, field))
        .collect();
    if fields.len() != FIELDS.len() {
        let help = match fields.len() {
            6 => "seconds and years have no field: minute, hour, day of month, month, day of week",
            _ => "write five: minute, hour, day of month, month, day of week, such as `0 2 15 * *`",
        };
        let count = if fields.len() == 1 {
            "1 field".to_owned()
        } else {
            format!("{} fields", fields.len())
        };
        return Err(problem(
            None,
            format!("`{trimmed}` has {count}, a cron line has five"),
            help.to_owned(),
        ));
    }
    let mut sets = Vec::new();
    for (field, (start, text)) in FIELDS.iter().zip(&fields) {
        let set = field
            .read(text)
            .map_err(|(part, message, help)| problem(Some(start + part.start..start + part.end), message, help))?;
        sets.push(set);
    }
    never(&fields, &sets)
}

fn problem(part: Option<Range<usize>>, message: String, help: String) -> FormatProblem {
    FormatProblem {
        code: Code::BadCron,
        part,
        message,
        help: Some(help),
    }
}

fn nickname(text: &str) -> Result<(), FormatProblem> {
    if NICKNAMES.contains(&text) {
        return Ok(());
    }
    let help = did_you_mean(text, NICKNAMES).unwrap_or_else(|| "write five fields, such as `0 2 15 * *`".to_owned());
    Err(problem(None, format!("unknown nickname `{text}`"), help))
}

/// A day that none of the months has. With a day of week beside it, that one still counts.
fn never(fields: &[(usize, &str)], sets: &[Vec<u32>]) -> Result<(), FormatProblem> {
    let ([_, _, (start, day), _, (_, weekday)], [_, _, days, months, _]) = (fields, sets) else {
        return Ok(());
    };
    let any = |text: &str| text.split(',').any(|part| part == "*" || part == "?");
    let longest = months
        .iter()
        .filter_map(|month| DAYS.get(*month as usize - 1))
        .max()
        .copied()
        .unwrap_or(31);
    if any(weekday) && days.iter().all(|day| *day > longest) {
        let message = format!("day of month `{day}` comes in none of these months: it would never run");
        let help = format!("the longest of them has {longest} days");
        return Err(problem(Some(*start..start + day.len()), message, help));
    }
    Ok(())
}

type FieldProblem = (Range<usize>, String, String);

impl Field {
    /// The values that a field names.
    fn read(&self, text: &str) -> Result<Vec<u32>, FieldProblem> {
        let mut set = Vec::new();
        let mut start = 0;
        for part in text.split(',') {
            let at = start..start + part.len();
            start = at.end + 1;
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step, &at)?)),
                None => (part, None),
            };
            let last_value = if self.values == 7 { 6 } else { self.greatest };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" || range == "?" => (self.least, last_value),
                Some((first, last)) => (self.number(first, &at)?, self.number(last, &at)?),
                None => {
                    let first = self.number(range, &at)?;
                    (first, if step.is_some() { last_value.max(first) } else { first })
                }
            };
            let values: Vec<u32> = if first <= last {
                (first..=last).collect()
            } else {
                (first..=last_value).chain(self.least..=last).collect()
            };
            set.extend(values.into_iter().step_by(step.unwrap_or(1) as usize));
        }
        Ok(set)
    }

    fn number(&self, text: &str, at: &Range<usize>) -> Result<u32, FieldProblem> {
        let lower = text.to_ascii_lowercase();
        if let Some(position) = self.names.iter().position(|name| *name == lower) {
            return Ok(position as u32 + self.first_name);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse::<u32>()
            .ok()
            .filter(|number| digits && (self.least..=self.greatest).contains(number));
        number.ok_or_else(|| {
            let message = match text {
                "" => format!("the {} has an empty place", self.name),
                text => format!(
                    "`{text}` is not {} {}",
                    if self.name == "hour" { "an" } else { "a" },
                    self.name
                ),
            };
            let mut help = format!("{} to {}", self.least, self.greatest);
            if let (Some(first), Some(last)) = (self.names.first(), self.names.last()) {
                help.push_str(&format!(", or `{first}` to `{last}`"));
            }
            (at.clone(), message, help)
        })
    }

    fn step(&self, text: &str, at: &Range<usize>) -> Result<u32, FieldProblem> {
        let step = text.parse::<u32>().ok().filter(|step| (1..=self.values).contains(step));
        step.ok_or_else(|| {
            (
                at.clone(),
                format!("`/{text}` is not a step of the {}", self.name),
                format!("1 to {}", self.values),
            )
        })
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, Option<&str>) {
        match check(text) {
            Ok(()) => panic!("`{text}` was accepted"),
            Err(problem) => (problem.message, problem.part.map(|part| &text[part])),
        }
    }

    #[test]
    fn lines_that_croniter_reads_are_read() {
        for line in [
            "* * * * *",
            "0 2 15 * *",
            "*/5 0-6,22-23 1,15 jan-mar MON-fri",
            "0 0 * * 7",
            "0 22-2 * * fri-mon",
            "5/15 * ? * *",
            "  0  2 15 * * ",
            "@daily",
            "0 0 29 2 *",
            "0 0 31 2 mon",
            "0 0 * * 0-7",
            "0 0 30 2,3 *",
        ] {
            assert!(check(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_field_is_named_and_its_place_given() {
        assert_eq!(refused("60 * * * *"), ("`60` is not a minute".into(), Some("60")));
        assert_eq!(refused("0 2,24 * * *"), ("`24` is not an hour".into(), Some("24")));
        assert_eq!(refused("0 0 0 * *"), ("`0` is not a day of month".into(), Some("0")));
        assert_eq!(refused("0 0 1 jam *"), ("`jam` is not a month".into(), Some("jam")));
        assert_eq!(refused("0 0 1 * 8"), ("`8` is not a day of week".into(), Some("8")));
        assert_eq!(refused("*/61 * * * *").0, "`/61` is not a step of the minute");
        assert_eq!(refused("*/0 * * * *").0, "`/0` is not a step of the minute");
        assert_eq!(refused("1,,2 * * * *").0, "the minute has an empty place");
        assert_eq!(refused("+5 * * * *").0, "`+5` is not a minute");
    }

    #[test]
    fn fields_are_counted_and_days_that_never_come_are_refused() {
        assert!(refused("0 2 * *").0.contains("has 4 fields"));
        assert!(refused("0 0 2 * * *").0.contains("has 6 fields"));
        assert!(refused("").0.contains("has 0 fields"));
        assert!(refused("@dayly").0.contains("nickname"));
        assert_eq!(refused("0 0 30 2 *").1, Some("30"));
        assert_eq!(refused("0 0 31 4,6 *").1, Some("31"));
    }
}
