//! Ticks around the days when clocks change, in three zones that do it differently: London at 01:00 UTC, New York at
//! 02:00 of its own time, and Lord Howe Island by half an hour. The instants of the changes are those of the published
//! time zone database.

use jiff::Timestamp;
use ratchet_core::spec::{Catchup, OnGap, OnOverlap, Overlap, Schedule};
use ratchet_runtime::cron::Timetable;

/// A cron line, its policies, an instant, and the ticks that follow it.
type Row = (&'static str, OnGap, OnOverlap, &'static str, &'static [&'static str]);

const SHIFT: OnGap = OnGap::Shift;
const SKIP: OnGap = OnGap::Skip;
const FIRST: OnOverlap = OnOverlap::First;
const LAST: OnOverlap = OnOverlap::Last;

fn timetable(timezone: &str, cron: &str, on_gap: OnGap, on_overlap: OnOverlap) -> Timetable {
    let schedule = Schedule {
        cron: cron.to_owned(),
        timezone: timezone.to_owned(),
        on_gap,
        on_overlap,
        catchup: Catchup::None,
        overlap: Overlap::Skip,
    };
    Timetable::new(&schedule).unwrap()
}

fn check(timezone: &str, rows: &[Row]) {
    for &(cron, on_gap, on_overlap, after, expected) in rows {
        let table = timetable(timezone, cron, on_gap, on_overlap);
        let mut instant: Timestamp = after.parse().unwrap();
        for &tick in expected {
            let tick: Timestamp = tick.parse().unwrap();
            assert_eq!(
                table.next_after(instant),
                Some(tick),
                "`{cron}` in {timezone} with {on_gap:?} and {on_overlap:?} after {instant}"
            );
            instant = tick;
        }
        // The same ticks on the way back.
        for pair in expected.windows(2).rev() {
            let (earlier, later): (Timestamp, Timestamp) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
            assert_eq!(
                table.last_before(later),
                Some(earlier),
                "`{cron}` in {timezone} before {later}"
            );
        }
    }
}

/// How many ticks lie in the civil day that begins and ends at these instants.
fn count(timezone: &str, cron: &str, begin: &str, end: &str) -> usize {
    let table = timetable(timezone, cron, SHIFT, FIRST);
    let (begin, end): (Timestamp, Timestamp) = (begin.parse().unwrap(), end.parse().unwrap());
    let first = table.next_after(begin - jiff::SignedDuration::from_nanos(1));
    std::iter::successors(first, |tick| table.next_after(*tick))
        .take_while(|tick| *tick < end)
        .count()
}

/// 31 March 2024, 01:00 to 02:00 left out at 01:00 UTC; 27 October 2024, 01:00 to 02:00 twice, until 01:00 UTC.
/// Y-083, Y-084, Y-085
#[test]
fn london() {
    check(
        "Europe/London",
        &[
            (
                "30 1 * * *",
                SHIFT,
                FIRST,
                "2024-03-30T02:00:00Z",
                &["2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"],
            ),
            (
                "30 1 * * *",
                SKIP,
                FIRST,
                "2024-03-30T02:00:00Z",
                &["2024-04-01T00:30:00Z", "2024-04-02T00:30:00Z"],
            ),
            (
                "59 0 * * *",
                SHIFT,
                FIRST,
                "2024-03-30T02:00:00Z",
                &["2024-03-31T00:59:00Z", "2024-03-31T23:59:00Z"],
            ),
            (
                "0 2 * * *",
                SHIFT,
                FIRST,
                "2024-03-30T02:00:00Z",
                &["2024-03-31T01:00:00Z", "2024-04-01T01:00:00Z"],
            ),
            // 01:00 itself is left out, and 02:00 is the instant to which it is shifted: one tick.
            (
                "0 1,2 * * *",
                SHIFT,
                FIRST,
                "2024-03-30T12:00:00Z",
                &["2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"],
            ),
            (
                "30 1 * * *",
                SHIFT,
                FIRST,
                "2024-10-26T12:00:00Z",
                &["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"],
            ),
            (
                "30 1 * * *",
                SHIFT,
                LAST,
                "2024-10-26T12:00:00Z",
                &["2024-10-27T01:30:00Z", "2024-10-28T01:30:00Z"],
            ),
            (
                "0 1,2 * * *",
                SHIFT,
                FIRST,
                "2024-10-26T12:00:00Z",
                &["2024-10-27T00:00:00Z", "2024-10-27T02:00:00Z"],
            ),
            (
                "0 1,2 * * *",
                SHIFT,
                LAST,
                "2024-10-26T12:00:00Z",
                &["2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z"],
            ),
            // A step of the hour follows elapsed time: nothing is shifted, nothing left out.
            (
                "30 */1 * * *",
                SHIFT,
                FIRST,
                "2024-03-31T00:00:00Z",
                &["2024-03-31T00:30:00Z", "2024-03-31T01:30:00Z"],
            ),
            (
                "30 */1 * * *",
                SHIFT,
                FIRST,
                "2024-10-27T00:00:00Z",
                &["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"],
            ),
        ],
    );
    assert_eq!(
        count(
            "Europe/London",
            "0 * * * *",
            "2024-03-31T00:00:00Z",
            "2024-03-31T23:00:00Z"
        ),
        23
    );
    assert_eq!(
        count(
            "Europe/London",
            "0 * * * *",
            "2024-10-26T23:00:00Z",
            "2024-10-28T00:00:00Z"
        ),
        25
    );
    assert_eq!(
        count(
            "Europe/London",
            "*/15 * * * *",
            "2024-10-26T23:00:00Z",
            "2024-10-28T00:00:00Z"
        ),
        100
    );
}

/// 10 March 2024, 02:00 to 03:00 left out at 07:00 UTC; 3 November 2024, 01:00 to 02:00 twice, until 06:00 UTC.
/// Y-083, Y-084, Y-085
#[test]
fn new_york() {
    check(
        "America/New_York",
        &[
            (
                "30 2 * * *",
                SHIFT,
                FIRST,
                "2024-03-09T12:00:00Z",
                &["2024-03-10T07:00:00Z", "2024-03-11T06:30:00Z"],
            ),
            (
                "30 2 * * *",
                SKIP,
                FIRST,
                "2024-03-09T12:00:00Z",
                &["2024-03-11T06:30:00Z", "2024-03-12T06:30:00Z"],
            ),
            (
                "0 3 * * *",
                SHIFT,
                FIRST,
                "2024-03-09T12:00:00Z",
                &["2024-03-10T07:00:00Z", "2024-03-11T07:00:00Z"],
            ),
            (
                "30 1 * * *",
                SHIFT,
                FIRST,
                "2024-11-02T12:00:00Z",
                &["2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"],
            ),
            (
                "30 1 * * *",
                SHIFT,
                LAST,
                "2024-11-02T12:00:00Z",
                &["2024-11-03T06:30:00Z", "2024-11-04T06:30:00Z"],
            ),
            (
                "0 2 * * *",
                SHIFT,
                FIRST,
                "2024-11-02T12:00:00Z",
                &["2024-11-03T07:00:00Z", "2024-11-04T07:00:00Z"],
            ),
            // Weekly on the day of the change, and on the Monday after it.
            (
                "15 2 * * 0",
                SHIFT,
                FIRST,
                "2024-03-04T00:00:00Z",
                &["2024-03-10T07:00:00Z", "2024-03-17T06:15:00Z"],
            ),
            (
                "15 2 * * mon",
                SHIFT,
                FIRST,
                "2024-03-05T00:00:00Z",
                &["2024-03-11T06:15:00Z", "2024-03-18T06:15:00Z"],
            ),
        ],
    );
    assert_eq!(
        count(
            "America/New_York",
            "0 * * * *",
            "2024-03-10T05:00:00Z",
            "2024-03-11T04:00:00Z"
        ),
        23
    );
    assert_eq!(
        count(
            "America/New_York",
            "0 * * * *",
            "2024-11-03T04:00:00Z",
            "2024-11-04T05:00:00Z"
        ),
        25
    );
}

/// 6 October 2024, 02:00 to 02:30 left out at 15:30 UTC of the day before; 7 April 2024, 01:30 to 02:00 twice, until
/// 15:00 UTC of the day before.
/// Y-083, Y-084, Y-085
#[test]
fn lord_howe() {
    check(
        "Australia/Lord_Howe",
        &[
            (
                "15 2 * * *",
                SHIFT,
                FIRST,
                "2024-10-04T18:00:00Z",
                &["2024-10-05T15:30:00Z", "2024-10-06T15:15:00Z"],
            ),
            (
                "15 2 * * *",
                SKIP,
                FIRST,
                "2024-10-04T18:00:00Z",
                &["2024-10-06T15:15:00Z", "2024-10-07T15:15:00Z"],
            ),
            (
                "30 2 * * *",
                SHIFT,
                FIRST,
                "2024-10-04T18:00:00Z",
                &["2024-10-05T15:30:00Z", "2024-10-06T15:30:00Z"],
            ),
            (
                "45 1 * * *",
                SHIFT,
                FIRST,
                "2024-04-05T18:00:00Z",
                &["2024-04-06T14:45:00Z", "2024-04-07T15:15:00Z"],
            ),
            (
                "45 1 * * *",
                SHIFT,
                LAST,
                "2024-04-05T18:00:00Z",
                &["2024-04-06T15:15:00Z", "2024-04-07T15:15:00Z"],
            ),
            (
                "15 1 * * *",
                SHIFT,
                LAST,
                "2024-04-05T18:00:00Z",
                &["2024-04-06T14:15:00Z", "2024-04-07T14:45:00Z"],
            ),
        ],
    );
    // A day of 24 and a half hours and one of 23 and a half: the full hours of the first are 24, since only 01:30 to
    // 02:00 comes twice; the half hours tell the difference.
    assert_eq!(
        count(
            "Australia/Lord_Howe",
            "30 * * * *",
            "2024-04-06T13:00:00Z",
            "2024-04-07T13:30:00Z"
        ),
        25
    );
    assert_eq!(
        count(
            "Australia/Lord_Howe",
            "0 * * * *",
            "2024-04-06T13:00:00Z",
            "2024-04-07T13:30:00Z"
        ),
        24
    );
    assert_eq!(
        count(
            "Australia/Lord_Howe",
            "0 * * * *",
            "2024-10-05T13:30:00Z",
            "2024-10-06T13:00:00Z"
        ),
        23
    );
    assert_eq!(
        count(
            "Australia/Lord_Howe",
            "30 * * * *",
            "2024-10-05T13:30:00Z",
            "2024-10-06T13:00:00Z"
        ),
        24
    );
}

#[test]
fn the_twenty_ninth_of_february_and_the_ends_of_months() {
    check(
        "Europe/London",
        &[
            (
                "0 6 29 2 *",
                SHIFT,
                FIRST,
                "2023-03-01T00:00:00Z",
                &["2024-02-29T06:00:00Z", "2028-02-29T06:00:00Z"],
            ),
            // 2100 is no leap year.
            (
                "0 6 29 2 *",
                SHIFT,
                FIRST,
                "2096-03-01T00:00:00Z",
                &["2104-02-29T06:00:00Z", "2108-02-29T06:00:00Z"],
            ),
            // A Thursday, or the 29th.
            (
                "0 6 29 2 4",
                SHIFT,
                FIRST,
                "2023-02-23T12:00:00Z",
                &["2024-02-01T06:00:00Z", "2024-02-08T06:00:00Z"],
            ),
            (
                "0 6 31 * *",
                SHIFT,
                FIRST,
                "2024-01-31T12:00:00Z",
                &[
                    "2024-03-31T05:00:00Z",
                    "2024-05-31T05:00:00Z",
                    "2024-07-31T05:00:00Z",
                    "2024-08-31T05:00:00Z",
                ],
            ),
            (
                "0 6 30 * *",
                SHIFT,
                FIRST,
                "2024-01-30T12:00:00Z",
                &["2024-03-30T06:00:00Z", "2024-04-30T05:00:00Z", "2024-05-30T05:00:00Z"],
            ),
            (
                "59 23 28-31 2 *",
                SHIFT,
                FIRST,
                "2023-02-28T12:00:00Z",
                &[
                    "2023-02-28T23:59:00Z",
                    "2024-02-28T23:59:00Z",
                    "2024-02-29T23:59:00Z",
                    "2025-02-28T23:59:00Z",
                ],
            ),
        ],
    );
}
