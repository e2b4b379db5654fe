//! Civil times -> instants: when a schedule ticks.
//!
//! Where the hours are fixed, a tick is a civil time: one that does not exist is shifted or skipped and one that comes
//! twice ticks once, as the schedule says. Where the hour is `*` or a step of it, ticks follow elapsed time: 23 and 25
//! of `0 * * * *` on the days when the clocks change. How the five fields are read, [`Cron`] says.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use ratchet_core::spec::{Cron, OnGap, OnOverlap, Schedule};

/// A schedule that cannot be read. A lower-case fragment with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

/// A schedule ready to be asked for its ticks.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    timezone: TimeZone,
    on_gap: OnGap,
    on_overlap: OnOverlap,
}

/// No tick within so many days means that there is none: 29 February on a given weekday comes every 28 years, and
/// 1900 and 2100 leave one out.
const HORIZON_DAYS: i32 = 41 * 366;

impl Timetable {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// The cron line or the time zone cannot be read.
    pub fn new(schedule: &Schedule) -> Result<Self, CronError> {
        let timezone = TimeZone::get(&schedule.timezone).map_err(|_| {
            CronError(format!(
                "`{}` is not a time zone; write an IANA name such as `Europe/London`",
                schedule.timezone
            ))
        })?;
        Ok(Self {
            cron: Cron::parse(&schedule.cron).map_err(|problem| CronError(problem.to_string()))?,
            timezone,
            on_gap: schedule.on_gap,
            on_overlap: schedule.on_overlap,
        })
    }

    /// The first tick after an instant; none if there is none within 41 years (31 February).
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.search(instant, 1, |tick| *tick > instant, |ticks| ticks.min())
    }

    /// The last tick before an instant; none if there is none within 41 years.
    pub fn last_before(&self, instant: Timestamp) -> Option<Timestamp> {
        self.search(instant, -1, |tick| *tick < instant, |ticks| ticks.max())
    }

    /// The last tick at an instant or before it.
    pub fn last_until(&self, instant: Timestamp) -> Option<Timestamp> {
        self.last_before(instant.checked_add(SignedDuration::from_nanos(1)).ok()?)
    }

    fn search(
        &self,
        instant: Timestamp,
        direction: i32,
        wanted: impl Fn(&Timestamp) -> bool,
        choose: impl Fn(std::vec::IntoIter<Timestamp>) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let today = self.timezone.to_datetime(instant).date();
        let mut found: Vec<Timestamp> = Vec::new();
        // From two days on the other side: a zone that leaves out a whole day shifts its ticks by that much.
        for offset in -2..HORIZON_DAYS {
            let Ok(date) = today.checked_add((offset * direction).days()) else {
                break;
            };
            let had_some = !found.is_empty();
            found.extend(self.ticks_of(date).into_iter().filter(&wanted));
            // One day more than the day of the first hit: clocks that go back over midnight mix the ticks of two days.
            if had_some {
                break;
            }
        }
        choose(found.into_iter())
    }

    /// The instants of one civil day.
    fn ticks_of(&self, date: Date) -> Vec<Timestamp> {
        let mut ticks = Vec::new();
        for civil in self.cron.civil_times(date) {
            let offsets = self.timezone.to_ambiguous_timestamp(civil).offset();
            let chosen = match offsets {
                AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
                AmbiguousOffset::Fold { before, after } if self.cron.follows_elapsed_time() => {
                    [Some(before), Some(after)]
                }
                AmbiguousOffset::Fold { before, after } => match self.on_overlap {
                    OnOverlap::First => [Some(before), None],
                    OnOverlap::Last => [Some(after), None],
                },
                AmbiguousOffset::Gap { before, .. } => {
                    if !self.cron.follows_elapsed_time() && self.on_gap == OnGap::Shift {
                        ticks.extend(
                            before
                                .to_timestamp(civil)
                                .ok()
                                .and_then(|late| self.transition_until(late)),
                        );
                    }
                    [None, None]
                }
            };
            ticks.extend(
                chosen
                    .into_iter()
                    .flatten()
                    .filter_map(|offset| offset.to_timestamp(civil).ok()),
            );
        }
        ticks
    }

    /// The newest change of the clocks at an instant or before it.
    fn transition_until(&self, instant: Timestamp) -> Option<Timestamp> {
        let just_after = instant.checked_add(SignedDuration::from_nanos(1)).ok()?;
        self.timezone
            .preceding(just_after)
            .next()
            .map(|transition| transition.timestamp())
    }
}

/// Start and end of the interval that a run stands for; the end is its logical date.
///
/// With an instant given, that is the end; otherwise it is the newest tick until `now`, so that a manual run sees a
/// whole interval and not what has come since the last tick. The start is the tick before. Without a schedule (or
/// before its first tick) both are the same.
///
/// # Errors
///
/// The schedule cannot be read.
pub fn interval_of(
    schedule: Option<&Schedule>,
    instant: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), CronError> {
    let timetable = schedule.map(Timetable::new).transpose()?;
    let newest = || timetable.as_ref().and_then(|timetable| timetable.last_until(now));
    let end = instant.or_else(newest).unwrap_or(now);
    let start = timetable.as_ref().and_then(|timetable| timetable.last_before(end));
    Ok((start.unwrap_or(end), end))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use ratchet_core::spec::{Catchup, Overlap};

    use super::*;

    fn timetable(cron: &str, timezone: &str, on_gap: OnGap, on_overlap: OnOverlap) -> Timetable {
        let schedule = Schedule {
            cron: cron.to_owned(),
            timezone: timezone.to_owned(),
            on_gap,
            on_overlap,
            catchup: Catchup::Latest,
            overlap: Overlap::Skip,
        };
        Timetable::new(&schedule).unwrap()
    }

    fn london(cron: &str) -> Timetable {
        timetable(cron, "Europe/London", OnGap::Shift, OnOverlap::First)
    }

    fn ticks(timetable: &Timetable, after: &str, count: usize) -> Vec<String> {
        let mut instant: Timestamp = after.parse().unwrap();
        let mut ticks = Vec::new();
        for _ in 0..count {
            let Some(next) = timetable.next_after(instant) else {
                break;
            };
            ticks.push(next.to_string());
            instant = next;
        }
        ticks
    }

    /// Answers of Python's croniter 7 to `get_next`, five times from 1 January 2024, midnight UTC.
    const CRONITER: &[(&str, &str)] = &[
        (
            "0 2 15 * *",
            "2024-01-15T02:00 2024-02-15T02:00 2024-03-15T02:00 2024-04-15T02:00 2024-05-15T02:00",
        ),
        (
            "*/15 * * * *",
            "2024-01-01T00:15 2024-01-01T00:30 2024-01-01T00:45 2024-01-01T01:00 2024-01-01T01:15",
        ),
        (
            "5/15 * * * *",
            "2024-01-01T00:05 2024-01-01T00:20 2024-01-01T00:35 2024-01-01T00:50 2024-01-01T01:05",
        ),
        (
            "1-10/3 * * * *",
            "2024-01-01T00:01 2024-01-01T00:04 2024-01-01T00:07 2024-01-01T00:10 2024-01-01T01:01",
        ),
        (
            "0 22-2 * * *",
            "2024-01-01T01:00 2024-01-01T02:00 2024-01-01T22:00 2024-01-01T23:00 2024-01-02T00:00",
        ),
        (
            "0 0 */2 * 1",
            "2024-01-03T00:00 2024-01-05T00:00 2024-01-07T00:00 2024-01-08T00:00 2024-01-09T00:00",
        ),
        (
            "0 0 13 * 5",
            "2024-01-05T00:00 2024-01-12T00:00 2024-01-13T00:00 2024-01-19T00:00 2024-01-26T00:00",
        ),
        (
            "0 0 * * fri-mon",
            "2024-01-05T00:00 2024-01-06T00:00 2024-01-07T00:00 2024-01-08T00:00 2024-01-12T00:00",
        ),
        (
            "0 0 * * 5-0",
            "2024-01-05T00:00 2024-01-06T00:00 2024-01-07T00:00 2024-01-12T00:00 2024-01-13T00:00",
        ),
        (
            "0 0 * * 7",
            "2024-01-07T00:00 2024-01-14T00:00 2024-01-21T00:00 2024-01-28T00:00 2024-02-04T00:00",
        ),
        (
            "0 0 * * 6-7",
            "2024-01-06T00:00 2024-01-07T00:00 2024-01-13T00:00 2024-01-14T00:00 2024-01-20T00:00",
        ),
        (
            "0 0 * * 7-2",
            "2024-01-02T00:00 2024-01-07T00:00 2024-01-08T00:00 2024-01-09T00:00 2024-01-14T00:00",
        ),
        (
            "0 0 ? * MON",
            "2024-01-08T00:00 2024-01-15T00:00 2024-01-22T00:00 2024-01-29T00:00 2024-02-05T00:00",
        ),
        (
            "0 0 13 * */2",
            "2024-01-02T00:00 2024-01-04T00:00 2024-01-06T00:00 2024-01-07T00:00 2024-01-09T00:00",
        ),
        (
            "0 0 1-31 * 1",
            "2024-01-02T00:00 2024-01-03T00:00 2024-01-04T00:00 2024-01-05T00:00 2024-01-06T00:00",
        ),
        (
            "0 0 1 * 0-7",
            "2024-01-02T00:00 2024-01-03T00:00 2024-01-04T00:00 2024-01-05T00:00 2024-01-06T00:00",
        ),
        (
            "0 0 1 nov-feb *",
            "2024-02-01T00:00 2024-11-01T00:00 2024-12-01T00:00 2025-01-01T00:00 2025-02-01T00:00",
        ),
        (
            "50-10/5 * * * *",
            "2024-01-01T00:05 2024-01-01T00:10 2024-01-01T00:50 2024-01-01T00:55 2024-01-01T01:00",
        ),
        (
            "0 0 1,*/10 * *",
            "2024-01-11T00:00 2024-01-21T00:00 2024-01-31T00:00 2024-02-01T00:00 2024-02-11T00:00",
        ),
        (
            "30 6,18 1,15 jan,jul *",
            "2024-01-01T06:30 2024-01-01T18:30 2024-01-15T06:30 2024-01-15T18:30 2024-07-01T06:30",
        ),
        (
            "0 0 29 2 *",
            "2024-02-29T00:00 2028-02-29T00:00 2032-02-29T00:00 2036-02-29T00:00 2040-02-29T00:00",
        ),
        (
            "0 12 31 * *",
            "2024-01-31T12:00 2024-03-31T12:00 2024-05-31T12:00 2024-07-31T12:00 2024-08-31T12:00",
        ),
        (
            "59 23 31 12 *",
            "2024-12-31T23:59 2025-12-31T23:59 2026-12-31T23:59 2027-12-31T23:59 2028-12-31T23:59",
        ),
        (
            "0 */5 * * *",
            "2024-01-01T05:00 2024-01-01T10:00 2024-01-01T15:00 2024-01-01T20:00 2024-01-02T00:00",
        ),
        (
            "7 3-9/2 * * 1-5",
            "2024-01-01T03:07 2024-01-01T05:07 2024-01-01T07:07 2024-01-01T09:07 2024-01-02T03:07",
        ),
        (
            "@weekly",
            "2024-01-07T00:00 2024-01-14T00:00 2024-01-21T00:00 2024-01-28T00:00 2024-02-04T00:00",
        ),
        (
            "@monthly",
            "2024-02-01T00:00 2024-03-01T00:00 2024-04-01T00:00 2024-05-01T00:00 2024-06-01T00:00",
        ),
        (
            "@yearly",
            "2025-01-01T00:00 2026-01-01T00:00 2027-01-01T00:00 2028-01-01T00:00 2029-01-01T00:00",
        ),
        (
            "0 0 1 * 1-5",
            "2024-01-02T00:00 2024-01-03T00:00 2024-01-04T00:00 2024-01-05T00:00 2024-01-08T00:00",
        ),
    ];

    #[test]
    fn fields_read_as_croniter_reads_them() {
        for (cron, expected) in CRONITER {
            let table = timetable(cron, "UTC", OnGap::Shift, OnOverlap::First);
            let seen = ticks(&table, "2024-01-01T00:00:00Z", 5).join(" ").replace(":00Z", "");
            assert_eq!(seen, *expected, "{cron}");
        }
    }

    #[test]
    fn a_time_that_does_not_exist_is_shifted_to_the_end_of_the_gap_or_skipped() {
        // On 31 March 2024 the clocks of London went from 01:00 to 02:00 at 01:00 UTC.
        let shifted = ticks(&london("30 1 * * *"), "2024-03-30T12:00:00Z", 2);
        assert_eq!(shifted, ["2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"]);
        let skipping = timetable("30 1 * * *", "Europe/London", OnGap::Skip, OnOverlap::First);
        assert_eq!(ticks(&skipping, "2024-03-30T12:00:00Z", 1), ["2024-04-01T00:30:00Z"]);
    }

    #[test]
    fn two_times_in_one_gap_make_one_tick() {
        let seen = ticks(&london("15,45 1 * * *"), "2024-03-31T00:00:00Z", 2);
        assert_eq!(seen, ["2024-03-31T01:00:00Z", "2024-04-01T00:15:00Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_ticks_once() {
        // On 27 October 2024 the clocks of London went from 02:00 back to 01:00 at 01:00 UTC.
        let first = ticks(&london("30 1 * * *"), "2024-10-26T12:00:00Z", 2);
        assert_eq!(first, ["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"]);
        let last = timetable("30 1 * * *", "Europe/London", OnGap::Shift, OnOverlap::Last);
        assert_eq!(
            ticks(&last, "2024-10-26T12:00:00Z", 2),
            ["2024-10-27T01:30:00Z", "2024-10-28T01:30:00Z"]
        );
    }

    #[test]
    fn an_hourly_tick_follows_elapsed_time() {
        let hourly = london("0 * * * *");
        let count = |from: &str, until: &str| {
            let until: Timestamp = until.parse().unwrap();
            ticks(&hourly, from, 30)
                .iter()
                .filter(|tick| tick.parse::<Timestamp>().unwrap() <= until)
                .count()
        };
        assert_eq!(count("2024-03-30T23:59:00Z", "2024-03-31T22:59:00Z"), 23);
        assert_eq!(count("2024-10-26T22:59:00Z", "2024-10-27T23:59:00Z"), 25);
        assert_eq!(count("2024-06-01T22:59:00Z", "2024-06-02T22:59:00Z"), 24);
    }

    #[test]
    fn a_zone_that_left_out_a_whole_day_ticks_at_its_end() {
        // Samoa had no 30 December 2011.
        let apia = timetable("0 9 30 12 *", "Pacific/Apia", OnGap::Shift, OnOverlap::First);
        assert_eq!(ticks(&apia, "2011-12-01T00:00:00Z", 1), ["2011-12-30T10:00:00Z"]);
    }

    #[test]
    fn a_month_back_from_the_fifteenth() {
        let monthly = london("0 2 15 * *");
        let now: Timestamp = "2024-07-15T01:00:00Z".parse().unwrap();
        assert_eq!(monthly.last_until(now).unwrap(), now);
        assert_eq!(monthly.last_before(now).unwrap().to_string(), "2024-06-15T01:00:00Z");
    }

    /// Y-089
    #[test]
    fn a_manual_run_stands_for_the_newest_whole_interval() {
        let schedule = Schedule {
            cron: "0 2 15 * *".to_owned(),
            ..schedule_of("")
        };
        let now: Timestamp = "2024-07-20T12:34:56Z".parse().unwrap();
        let interval = |instant: Option<&str>| {
            let instant = instant.map(|text| text.parse().unwrap());
            let (start, end) = interval_of(Some(&schedule), instant, now).unwrap();
            [start.to_string(), end.to_string()]
        };
        assert_eq!(interval(None), ["2024-06-15T02:00:00Z", "2024-07-15T02:00:00Z"]);
        assert_eq!(
            interval(Some("2024-01-01T00:00:00Z")),
            ["2023-12-15T02:00:00Z", "2024-01-01T00:00:00Z"]
        );
        assert_eq!(interval_of(None, None, now).unwrap(), (now, now));
    }

    #[test]
    fn a_day_that_never_comes_has_no_tick() {
        assert_eq!(london("0 0 31 2 *").next_after(Timestamp::UNIX_EPOCH), None);
        assert_eq!(
            ticks(&london("0 0 29 2 *"), "2096-03-01T00:00:00Z", 1),
            ["2104-02-29T00:00:00Z"]
        );
    }

    #[test]
    fn what_cannot_be_read_names_the_field_and_its_values() {
        let message = |cron: &str| Timetable::new(&schedule_of(cron)).unwrap_err().to_string();
        assert_eq!(message("60 * * * *"), "`60` is not a minute (0 to 59)");
        assert_eq!(
            message("0 0 * foo *"),
            "`foo` is not a month (1 to 12, or `jan` to `dec`)"
        );
        assert_eq!(message("*/61 * * * *"), "`/61` is not a step of the minute (1 to 60)");
        assert_eq!(message("*/0 * * * *"), "`/0` is not a step of the minute (1 to 60)");
        assert_eq!(
            message("0 0 * *"),
            "`0 0 * *` has 4 fields, a cron line has five (write five: minute, hour, day of month, month, day of week, such \
             as `0 2 15 * *`)"
        );
        let schedule = Schedule {
            timezone: "Europe/Londn".to_owned(),
            ..schedule_of("0 0 * * *")
        };
        assert!(
            Timetable::new(&schedule)
                .unwrap_err()
                .to_string()
                .contains("`Europe/Londn` is not a time zone")
        );
    }

    fn schedule_of(cron: &str) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            timezone: "UTC".to_owned(),
            on_gap: OnGap::Shift,
            on_overlap: OnOverlap::First,
            catchup: Catchup::Latest,
            overlap: Overlap::Skip,
        }
    }

    proptest! {
        /// Back from the next tick is never later than where the search began, and no tick lies between.
        #[test]
        fn next_and_last_are_inverse(
            minute in 0..60_u32, hour in prop::option::of(0..24_u32), seconds in 1_700_000_000_i64..1_800_000_000,
            zone in prop::sample::select(vec!["Europe/London", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let hour = hour.map_or("*".to_owned(), |hour| hour.to_string());
            let table = timetable(&format!("{minute} {hour} * * *"), zone, OnGap::Shift, OnOverlap::First);
            let instant = Timestamp::from_second(seconds).unwrap();
            let next = table.next_after(instant).unwrap();
            prop_assert!(next > instant);
            prop_assert!(table.last_before(next).unwrap() <= instant);
            prop_assert_eq!(table.next_after(table.last_until(instant).unwrap()).unwrap(), next);
        }
    }
}
