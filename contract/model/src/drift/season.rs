//! Parts of the day, the week or the year in which rows are known to differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::features::{CalendarPart, DAY, date};

/// How time is parted, by the civil time of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    /// 24 hours.
    HourOfDay,
    /// Seven days, from Monday.
    DayOfWeek,
    /// 168 hours, from Monday at midnight.
    HourOfWeek,
    /// Twelve months.
    Month,
}

impl Season {
    /// How many seasons there are.
    pub fn count(self) -> usize {
        match self {
            Season::HourOfDay => 24,
            Season::DayOfWeek => 7,
            Season::HourOfWeek => 168,
            Season::Month => 12,
        }
    }

    /// The season, from 0, of a civil time given as seconds since 1970-01-01 00:00:00.
    pub fn of(self, seconds: i64) -> usize {
        match self {
            Season::HourOfDay => CalendarPart::Hour.of(seconds) as usize,
            Season::DayOfWeek => CalendarPart::Weekday.of(seconds) as usize,
            Season::HourOfWeek => CalendarPart::HourOfWeek.of(seconds) as usize,
            Season::Month => date(seconds.div_euclid(DAY)).map_or(0, |date| date.month() as usize - 1),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::parse_timestamp;

    #[test]
    fn the_season_of_a_known_moment() {
        let saturday = parse_timestamp("2017-04-01 18:30:00").unwrap();
        let last = parse_timestamp("1968-12-29 23:59:59").unwrap();
        let seasons = [Season::HourOfDay, Season::DayOfWeek, Season::HourOfWeek, Season::Month];
        assert_eq!(seasons.map(|season| season.of(saturday)), [18, 5, 5 * 24 + 18, 3]);
        assert_eq!(
            seasons.map(|season| season.of(last)),
            seasons.map(|season| season.count() - 1)
        );
        for seconds in [i64::MIN, i64::MAX] {
            assert!(seasons.iter().all(|season| season.of(seconds) < season.count()));
        }
    }
}
