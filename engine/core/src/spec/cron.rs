//! The five fields of a cron line, read once for the check of a DAG file and for its ticks.
//!
//! The fields are read as Python's `croniter` reads them: 0 and 7 are Sunday, names are accepted, a range may go
//! round (`22-2`, `fri-mon`), one that begins where it ends is the whole field (`mon-mon`), and where day-of-month and
//! day-of-week are both restricted (anything but `*`), a day that either of them names counts. `?` is another way to
//! write `*`. Two of croniter's readings are refused instead: a step wider than its field (`*/61`) and seconds or years
//! as a sixth and seventh field. Two thousand random lines are compared with croniter's own answers
//! (`engine/runtime/tests/it/croniter.rs`).

use std::ops::Range;

use jiff::civil::{Date, DateTime};

use crate::diagnostics::did_you_mean;

/// What is wrong with a cron line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({help})")]
pub struct CronProblem {
    /// The bytes of the line that are to blame; none: all of it.
    pub part: Option<Range<usize>>,
    /// What is wrong, as a fragment.
    pub message: String,
    /// What may stand there.
    pub help: String,
}

/// The five fields, each a set of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    day_restricted: bool,
    weekday_restricted: bool,
    follows_elapsed_time: bool,
}

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
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Most days of each month, from January.
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

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

impl Cron {
    /// Reads five fields, or one of `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    ///
    /// # Errors
    ///
    /// Names the field, what stands there and what may stand there.
    pub fn parse(line: &str) -> Result<Self, CronProblem> {
        let trimmed = line.trim();
        if trimmed.starts_with('@') {
            return Self::parse(nickname(trimmed)?);
        }
        let fields = split(line);
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(miscounted(trimmed, fields.len()));
        };
        let read = |index: usize, (start, text): &(usize, &str)| {
            FIELDS[index].read(text).map_err(|mut problem| {
                problem.part = problem.part.map(|part| start + part.start..start + part.end);
                problem
            })
        };
        let (days, weekdays) = (read(2, day)?, read(4, weekday)?);
        // A field that names all its days is no restriction if the other one holds a `*`, as in `*/2`.
        let open = |field: &str, all: bool, other: &str| names_all(field) || all && other.contains(['*', '?']);
        Ok(Self {
            minutes: read(0, minute)?,
            hours: read(1, hour)?,
            days,
            months: read(3, month)?,
            weekdays,
            day_restricted: !open(day.1, days.count_ones() == 31, weekday.1),
            weekday_restricted: !open(weekday.1, weekdays.count_ones() == 7, day.1),
            follows_elapsed_time: hour.1.split(',').any(|part| {
                let range = part.split_once('/').map_or(part, |(range, _)| range);
                is_all(range)
            }),
        })
    }

    /// The same, and refuses a line that would never tick: a day that none of the months has, unless a day of week
    /// counts beside it.
    ///
    /// # Errors
    ///
    /// As [`Cron::parse`]; a day that never comes.
    pub fn check(line: &str) -> Result<Self, CronProblem> {
        let cron = Self::parse(line)?;
        let months = (1_u32..=12).zip(LENGTHS);
        let named = months.filter(|(month, _)| cron.months & (1 << month) != 0);
        let longest = named.map(|(_, days)| days).max().unwrap_or(31);
        if cron.weekday_restricted || cron.days & ((1_u64 << (longest + 1)) - 1) != 0 {
            return Ok(cron);
        }
        let day = split(line).get(2).copied();
        Err(CronProblem {
            part: day.map(|(start, text)| start..start + text.len()),
            message: format!(
                "day of month `{}` comes in none of these months: it would never run",
                day.map_or(line, |(_, text)| text)
            ),
            help: format!("the longest of them has {longest} days"),
        })
    }

    /// True if the hour is `*` or a step of it: then ticks follow elapsed time and not the clocks on the wall.
    pub fn follows_elapsed_time(&self) -> bool {
        self.follows_elapsed_time
    }

    /// True if the day has ticks at all.
    pub fn names_date(&self, date: Date) -> bool {
        if self.months & (1 << date.month()) == 0 {
            return false;
        }
        let day = self.days & (1 << date.day()) != 0;
        let weekday = self.weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        if self.day_restricted && self.weekday_restricted {
            day || weekday
        } else {
            day && weekday
        }
    }

    /// The civil times of one day, ascending. Empty if the day has none.
    pub fn civil_times(&self, date: Date) -> impl Iterator<Item = DateTime> {
        let hours = if self.names_date(date) { self.hours } else { 0 };
        let minutes = self.minutes;
        (0_i8..24)
            .filter(move |hour| hours & (1 << hour) != 0)
            .flat_map(move |hour| {
                (0_i8..60)
                    .filter(move |minute| minutes & (1 << minute) != 0)
                    .map(move |minute| date.at(hour, minute, 0, 0))
            })
    }
}

/// The fields with the places where they begin.
fn split(line: &str) -> Vec<(usize, &str)> {
    line.split_whitespace()
        .map(|field| (field.as_ptr() as usize - line.as_ptr() as usize, field))
        .collect()
}

fn miscounted(line: &str, fields: usize) -> CronProblem {
    let help = match fields {
        6 => "seconds and years have no field: minute, hour, day of month, month, day of week",
        _ => "write five: minute, hour, day of month, month, day of week, such as `0 2 15 * *`",
    };
    let count = if fields == 1 {
        "1 field".to_owned()
    } else {
        format!("{fields} fields")
    };
    CronProblem {
        part: None,
        message: format!("`{line}` has {count}, a cron line has five"),
        help: help.to_owned(),
    }
}

fn nickname(text: &str) -> Result<&'static str, CronProblem> {
    if let Some((_, line)) = NICKNAMES.iter().find(|(name, _)| *name == text) {
        return Ok(line);
    }
    let help = did_you_mean(text, NICKNAMES.map(|(name, _)| name))
        .unwrap_or_else(|| "write five fields, such as `0 2 15 * *`".to_owned());
    Err(CronProblem {
        part: None,
        message: format!("unknown nickname `{text}`"),
        help,
    })
}

fn is_all(range: &str) -> bool {
    range == "*" || range == "?"
}

fn names_all(field: &str) -> bool {
    field.split(',').any(is_all)
}

impl Field {
    /// The set that a field names. Places count from the field's own beginning.
    fn read(&self, text: &str) -> Result<u64, CronProblem> {
        // Sunday is 0, a 7 as well.
        let week = self.values == 7;
        let last_value = if week { 6 } else { self.greatest };
        let number = |text: &str, at: &Range<usize>| Ok(self.number(text, at)? % if week { 7 } else { u32::MAX });
        let mut set = 0;
        let mut start = 0;
        for part in text.split(',') {
            let at = start..start + part.len();
            start = at.end + 1;
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step, &at)?)),
                None => (part, None),
            };
            let (first, last) = match range.split_once('-') {
                _ if is_all(range) => (self.least, last_value),
                Some((first, last)) => match (number(first, &at)?, number(last, &at)?) {
                    (first, last) if first == last => (self.least, last_value),
                    bounds => bounds,
                },
                // `5/15` starts at 5 and goes on to the end of the field.
                None => {
                    let first = number(range, &at)?;
                    (first, if step.is_some() { last_value } else { first })
                }
            };
            for number in self.steps(first, last, last_value, step.unwrap_or(1)) {
                set |= 1_u64 << number;
            }
        }
        Ok(set)
    }

    /// Every `step`-th number of a range, which goes round the end of the field where it ends before it begins.
    fn steps(&self, first: u32, last: u32, last_value: u32, step: u32) -> Vec<u32> {
        if first <= last {
            return (first..=last).step_by(step as usize).collect();
        }
        let before: Vec<u32> = (first..=last_value).step_by(step as usize).collect();
        let left = last_value - before.last().copied().unwrap_or(last_value);
        // Counting on would begin at `step - left - 1`. Croniter begins one later unless that is the field's beginning,
        // and a schedule that comes from there is to tick as it did.
        let skipped = if left + 1 == step { 0 } else { step - left };
        let after = (self.least + skipped..=last).step_by(step as usize);
        before.into_iter().chain(after).collect()
    }

    fn number(&self, text: &str, at: &Range<usize>) -> Result<u32, CronProblem> {
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
            let article = if self.name == "hour" { "an" } else { "a" };
            let message = match text {
                "" => format!("the {} has an empty place", self.name),
                text => format!("`{text}` is not {article} {}", self.name),
            };
            let mut help = format!("{} to {}", self.least, self.greatest);
            if let (Some(first), Some(last)) = (self.names.first(), self.names.last()) {
                help.push_str(&format!(", or `{first}` to `{last}`"));
            }
            CronProblem {
                part: Some(at.clone()),
                message,
                help,
            }
        })
    }

    fn step(&self, text: &str, at: &Range<usize>) -> Result<u32, CronProblem> {
        let step = text.parse::<u32>().ok().filter(|step| (1..=self.values).contains(step));
        step.ok_or_else(|| CronProblem {
            part: Some(at.clone()),
            message: format!("`/{text}` is not a step of the {}", self.name),
            help: format!("1 to {}", self.values),
        })
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, Option<&str>) {
        match Cron::check(text) {
            Ok(_) => panic!("`{text}` was accepted"),
            Err(problem) => (problem.message, problem.part.map(|part| &text[part])),
        }
    }

    /// Y-080
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
            assert!(Cron::check(line).is_ok(), "{line}");
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

    /// Y-086
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
