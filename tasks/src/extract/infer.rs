//! The type of a column, from all of its values.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use ratchet_core::plugin::ColumnType;

/// Formats of dates beside ISO 8601 that are read when a column is declared as a date.
const DATE_FORMATS: [&str; 5] = ["%d/%m/%Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y"];

/// `%Y` also reads `20` as the year 20; a file means 2020.
const FIRST_YEAR: i16 = 1_000;

/// Formats of instants that are read when a column is declared as a timestamp.
const TIMESTAMP_FORMATS: [&str; 4] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
];

/// What the values of a column have had in common so far.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    integer: bool,
    number: bool,
    seen: bool,
}

impl Evidence {
    /// Nothing seen yet.
    pub const NONE: Evidence = Evidence {
        integer: true,
        number: true,
        seen: false,
    };

    /// Takes one value that is not null.
    pub fn take(&mut self, value: &str) {
        self.seen = true;
        if self.integer && parse_integer(value).is_none() {
            self.integer = false;
        }
        if self.number && !self.integer && parse_number(value).is_none() {
            self.number = false;
        }
    }

    /// The narrowest type that keeps every value; a column without values is text.
    pub fn column_type(&self) -> ColumnType {
        match (self.seen, self.integer, self.number) {
            (true, true, _) => ColumnType::Integer,
            (true, false, true) => ColumnType::Number,
            _ => ColumnType::Text,
        }
    }
}

/// A whole number in its one usual spelling: no plus sign, no leading zeros (those are codes), no blanks.
pub fn parse_integer(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let usual = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.is_empty()
        && (digits == "0" || !digits.starts_with('0'))
        && value != "-0";
    if usual { value.parse().ok() } else { None }
}

/// A finite decimal number. Whole numbers count if they fit 64 bits; longer rows of digits are codes and stay text.
pub fn parse_number(value: &str) -> Option<f64> {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let whole = unsigned.split(['.', 'e', 'E']).next().unwrap_or_default();
    if whole.len() == unsigned.len() {
        return parse_integer(value).map(|integer| integer as f64);
    }
    let usual = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && (whole == "0" || !whole.starts_with('0'))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit());
    if usual {
        value.parse().ok().filter(|number: &f64| number.is_finite())
    } else {
        None
    }
}

/// `true` or `false`, in the spellings that files have.
pub fn parse_boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01.
pub fn parse_date(value: &str) -> Option<i32> {
    let date = value.parse::<Date>().ok().filter(|_| value.len() == 10).or_else(|| {
        let read = |format: &&str| {
            Date::strptime(format, value)
                .ok()
                .filter(|date| date.year() >= FIRST_YEAR)
        };
        DATE_FORMATS.iter().find_map(read)
    })?;
    let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
    Some(days)
}

/// Microseconds since 1970-01-01 00:00:00, civil time. A date alone is its midnight; a time with an offset, such as
/// `2026-01-31T12:00:00Z`, is that of UTC.
pub fn parse_timestamp(value: &str) -> Option<i64> {
    let moment = TIMESTAMP_FORMATS
        .iter()
        .find_map(|format| {
            DateTime::strptime(format, value)
                .ok()
                .filter(|moment| moment.year() >= FIRST_YEAR)
        })
        .or_else(|| {
            parse_date(value)
                .and_then(|_| value.parse::<Date>().ok())
                .map(|date| date.at(0, 0, 0, 0))
        })
        .or_else(|| {
            let instant = value.parse::<Timestamp>().ok()?;
            Some(instant.to_zoned(TimeZone::UTC).datetime())
        })?;
    let seconds = moment.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    i64::try_from(seconds.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(values: &[&str]) -> ColumnType {
        let mut evidence = Evidence::NONE;
        values.iter().for_each(|value| evidence.take(value));
        evidence.column_type()
    }

    #[test]
    fn numbers_are_numbers_only_if_nothing_is_lost() {
        assert_eq!(inferred(&["1", "-20", "0"]), ColumnType::Integer);
        assert_eq!(inferred(&["1", "2.5", "1e3", "-.5"]), ColumnType::Number);
        assert_eq!(inferred(&["2.5", "7"]), ColumnType::Number);
        assert_eq!(inferred(&[]), ColumnType::Text);
    }

    #[test]
    fn codes_stay_text() {
        for codes in [
            ["007", "12"],
            ["1", "000003-01012017"],
            ["1", "99999999999999999999"],
            ["1.5", "99999999999999999999"],
            ["1", "+5"],
            ["1", " 5"],
            ["1", "nan"],
            ["1", "inf"],
            ["1.5", "00.5"],
            ["1", "1e999"],
            ["1", "-"],
            ["1", "."],
        ] {
            assert_eq!(inferred(&codes), ColumnType::Text, "{codes:?}");
        }
    }

    #[test]
    fn the_published_spellings_of_a_date_are_one_day() {
        let days = parse_date("2020-01-01");
        assert_eq!(days, Some(18_262));
        for spelling in ["01/01/2020", "01/01/20", "01 Jan 2020", "01-Jan-20", "01-Jan-2020"] {
            assert_eq!(parse_date(spelling), days, "{spelling}");
        }
        assert_eq!(parse_date("2020-13-01"), None);
        assert_eq!(parse_timestamp("1970-01-02 00:00:01"), Some(86_401_000_000));
        assert_eq!(parse_timestamp("02/01/1970 00:00:01"), Some(86_401_000_000));
        assert_eq!(parse_timestamp("1970-01-02 00:00:01.25"), Some(86_401_250_000));
        for instant in [
            "1970-01-02T00:00:01Z",
            "1970-01-02T01:00:01+01:00",
            "1970-01-02 00:00:01+00",
        ] {
            assert_eq!(parse_timestamp(instant), Some(86_401_000_000), "{instant}");
        }
    }
}
