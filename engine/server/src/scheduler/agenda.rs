//! What to do about the ticks of one schedule. Pure: the time comes in, decisions come out.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use ratchet_core::spec::{Catchup, Overlap, Schedule};
use ratchet_runtime::cron::{CronError, Timetable};

/// A tick found later than this was missed: nobody was there when it came.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(60);
/// More missed ticks than this are not caught up at once; the oldest are kept.
const MOST_MISSED: usize = 10_000;

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Run this tick.
    Start(Timestamp),
    /// End the active runs; the tick waits for that.
    CancelActive,
    /// There is no run for this tick: one is active.
    Drop(Timestamp),
    /// Nothing to do now.
    Wait,
}

struct Waiting {
    tick: Timestamp,
    /// Caught-up ticks wait for their turn, whatever the overlap policy: that is what was asked for.
    caught_up: bool,
}

/// The ticks of one schedule from some instant on.
pub(super) struct Agenda {
    timetable: Timetable,
    catchup: Catchup,
    overlap: Overlap,
    most_active: usize,
    /// Up to here ticks were looked at.
    seen: Timestamp,
    waiting: VecDeque<Waiting>,
}

impl Agenda {
    /// Ticks after `since`, at most `most_active` runs at once.
    pub(super) fn new(schedule: &Schedule, most_active: usize, since: Timestamp) -> Result<Self, CronError> {
        Ok(Self {
            timetable: Timetable::new(schedule)?,
            catchup: schedule.catchup,
            overlap: schedule.overlap,
            most_active: most_active.max(1),
            seen: since,
            waiting: VecDeque::new(),
        })
    }

    /// Takes notice of the ticks until `now`.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let first = self.timetable.next_after(self.seen);
        let due: Vec<Timestamp> = std::iter::successors(first, |tick| self.timetable.next_after(*tick))
            .take_while(|tick| *tick <= now)
            .take(MOST_MISSED)
            .collect();
        let Some(newest) = due.last().copied() else { return };
        self.seen = newest;
        for tick in due {
            let missed = now.duration_since(tick) > PUNCTUAL;
            let wanted = !missed
                || match self.catchup {
                    Catchup::None => false,
                    Catchup::Latest => tick == newest,
                    Catchup::All => true,
                };
            if wanted {
                self.waiting.push_back(Waiting {
                    tick,
                    caught_up: missed,
                });
            }
        }
    }

    /// The tick could not be run for a reason that passes: it comes first again.
    pub(super) fn put_back(&mut self, tick: Timestamp) {
        self.waiting.push_front(Waiting { tick, caught_up: true });
    }

    /// What to do now, with so many runs active. Asked again after each decision until it is [`Decision::Wait`].
    pub(super) fn decide(&mut self, active: usize) -> Decision {
        let Some(next) = self.waiting.front() else {
            return Decision::Wait;
        };
        let (tick, caught_up) = (next.tick, next.caught_up);
        if active < self.most_active {
            self.waiting.pop_front();
            return Decision::Start(tick);
        }
        match self.overlap {
            _ if caught_up => Decision::Wait,
            Overlap::Queue => Decision::Wait,
            Overlap::Skip => {
                self.waiting.pop_front();
                Decision::Drop(tick)
            }
            Overlap::CancelRunning => Decision::CancelActive,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_core::spec::{OnGap, OnOverlap};

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2024-05-{text}:00Z").parse().unwrap()
    }

    /// A tick every day at noon.
    fn agenda(catchup: Catchup, overlap: Overlap, since: &str) -> Agenda {
        let schedule = Schedule {
            cron: "0 12 * * *".to_owned(),
            timezone: "UTC".to_owned(),
            on_gap: OnGap::Shift,
            on_overlap: OnOverlap::First,
            catchup,
            overlap,
        };
        Agenda::new(&schedule, 1, at(since)).unwrap()
    }

    fn started(agenda: &mut Agenda) -> Vec<Timestamp> {
        std::iter::from_fn(|| match agenda.decide(0) {
            Decision::Start(tick) => Some(tick),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn a_tick_runs_once_and_not_before_its_time() {
        let mut agenda = agenda(Catchup::None, Overlap::Skip, "01T00:00");
        agenda.advance(at("01T11:59"));
        assert_eq!(agenda.decide(0), Decision::Wait);
        agenda.advance(at("01T12:00"));
        assert_eq!(agenda.decide(0), Decision::Start(at("01T12:00")));
        agenda.advance(at("01T12:01"));
        assert_eq!(agenda.decide(0), Decision::Wait);
    }

    /// Y-087
    #[test]
    fn missed_ticks_go_by_the_catch_up_policy() {
        for (catchup, expected) in [
            (Catchup::None, vec![]),
            (Catchup::Latest, vec![at("03T12:00")]),
            (Catchup::All, vec![at("01T12:00"), at("02T12:00"), at("03T12:00")]),
        ] {
            let mut agenda = agenda(catchup, Overlap::Skip, "01T00:00");
            agenda.advance(at("04T08:00"));
            assert_eq!(started(&mut agenda), expected, "{catchup:?}");
        }
    }

    #[test]
    fn a_punctual_tick_runs_whatever_the_catch_up_policy() {
        let mut agenda = agenda(Catchup::None, Overlap::Skip, "01T00:00");
        agenda.advance(at("03T12:00"));
        assert_eq!(started(&mut agenda), [at("03T12:00")]);
    }

    /// Y-088
    #[test]
    fn a_tick_while_a_run_is_active_goes_by_the_overlap_policy() {
        let tick = at("01T12:00");
        for (overlap, expected) in [
            (Overlap::Skip, Decision::Drop(tick)),
            (Overlap::Queue, Decision::Wait),
            (Overlap::CancelRunning, Decision::CancelActive),
        ] {
            let mut agenda = agenda(Catchup::Latest, overlap, "01T00:00");
            agenda.advance(tick);
            assert_eq!(agenda.decide(1), expected, "{overlap:?}");
            let after = if overlap == Overlap::Skip {
                Decision::Wait
            } else {
                Decision::Start(tick)
            };
            assert_eq!(agenda.decide(0), after, "{overlap:?}");
        }
    }

    #[test]
    fn a_tick_that_was_put_back_comes_first_again() {
        let mut agenda = agenda(Catchup::All, Overlap::Skip, "01T00:00");
        agenda.advance(at("02T12:00"));
        assert_eq!(agenda.decide(0), Decision::Start(at("01T12:00")));
        agenda.put_back(at("01T12:00"));
        assert_eq!(started(&mut agenda), [at("01T12:00"), at("02T12:00")]);
    }

    #[test]
    fn ticks_that_are_caught_up_wait_for_each_other() {
        let mut agenda = agenda(Catchup::All, Overlap::Skip, "01T00:00");
        agenda.advance(at("02T18:00"));
        assert_eq!(agenda.decide(0), Decision::Start(at("01T12:00")));
        assert_eq!(agenda.decide(1), Decision::Wait);
        assert_eq!(agenda.decide(0), Decision::Start(at("02T12:00")));
    }
}
