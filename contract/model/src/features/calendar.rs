//! Parts of a civil time as numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{cos, sin};

/// One number read off a civil time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarPart {
    /// 0 to 23.
    Hour,
    /// Sine of the time of day, one turn a day.
    HourSin,
    /// Cosine of the time of day, one turn a day.
    HourCos,
    /// 0 (Monday) to 6.
    Weekday,
    /// Minutes since Monday 00:00, divided by 60: 0 to 168.
    HourOfWeek,
    /// Minute of the day, 0 to 1439.
    Minute,
    /// Day of the year, from 0.
    DayOfYear,
}

/// Seconds.
pub(crate) const DAY: i64 = 86_400;

impl CalendarPart {
    /// The name as written in a DAG.
    pub fn name(self) -> &'static str {
        match self {
            CalendarPart::Hour => "hour",
            CalendarPart::HourSin => "hour_sin",
            CalendarPart::HourCos => "hour_cos",
            CalendarPart::Weekday => "weekday",
            CalendarPart::HourOfWeek => "hour_of_week",
            CalendarPart::Minute => "minute",
            CalendarPart::DayOfYear => "day_of_year",
        }
    }

    /// The part of a civil time given as seconds since 1970-01-01 00:00:00.
    pub fn of(self, seconds: i64) -> f64 {
        let second_of_day = seconds.rem_euclid(DAY);
        let day = seconds.div_euclid(DAY);
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        let turn = second_of_day as f64 / DAY as f64 * std::f64::consts::TAU;
        match self {
            CalendarPart::Hour => (second_of_day / 3600) as f64,
            CalendarPart::HourSin => sin(turn),
            CalendarPart::HourCos => cos(turn),
            CalendarPart::Weekday => weekday as f64,
            CalendarPart::HourOfWeek => weekday as f64 * 24.0 + (second_of_day / 60) as f64 / 60.0,
            CalendarPart::Minute => (second_of_day / 60) as f64,
            CalendarPart::DayOfYear => day_of_year(day) as f64,
        }
    }
}

fn day_of_year(day: i64) -> i64 {
    date(day).map_or(0, |date| i64::from(date.day_of_year()) - 1)
}

/// The date so many days after 1970-01-01.
pub(crate) fn date(day: i64) -> Option<jiff::civil::Date> {
    let days = jiff::Span::new().try_days(day).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(days).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::parse_timestamp;

    #[test]
    fn parts_of_a_known_moment() {
        let saturday = parse_timestamp("2017-04-01 18:30:00").unwrap();
        assert_eq!(CalendarPart::Hour.of(saturday), 18.0);
        assert_eq!(CalendarPart::Weekday.of(saturday), 5.0);
        assert_eq!(CalendarPart::HourOfWeek.of(saturday), 5.0 * 24.0 + 18.5);
        assert_eq!(CalendarPart::Minute.of(saturday), 1110.0);
        assert_eq!(CalendarPart::DayOfYear.of(saturday), 90.0);
        let six = parse_timestamp("2017-04-01 06:00:00").unwrap();
        assert!((CalendarPart::HourSin.of(six) - 1.0).abs() < 1e-12);
        assert!(CalendarPart::HourCos.of(six).abs() < 1e-12);
    }

    #[test]
    fn times_before_1970_stay_in_range() {
        let old = parse_timestamp("1969-12-31 23:59:00").unwrap();
        assert_eq!(CalendarPart::Hour.of(old), 23.0);
        assert_eq!(CalendarPart::Weekday.of(old), 2.0);
    }
}
