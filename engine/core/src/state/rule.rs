//! What a trigger rule decides, given what became of the dependencies so far.

use super::SkipCause;
use crate::spec::TriggerRule;

/// What became of a task's dependencies so far. The named dependencies are the first in DAG order of their kind, for
/// the reason that people read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Number of dependencies.
    pub total: usize,
    /// How many succeeded.
    pub succeeded: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were not run because something failed.
    pub upstream_failed: usize,
    /// How many were skipped for another reason.
    pub skipped: usize,
    /// The first that succeeded.
    pub first_succeeded: Option<usize>,
    /// The first failed task at the root of what failed.
    pub first_failed: Option<usize>,
    /// The first that was skipped for another reason than a failure.
    pub first_skipped: Option<usize>,
}

impl Upstream {
    /// How many ended.
    pub fn done(&self) -> usize {
        self.succeeded + self.failed + self.upstream_failed + self.skipped
    }

    /// True if all ended.
    pub fn all_done(&self) -> bool {
        self.done() == self.total
    }

    /// How many failed or were not run because something failed.
    pub fn any_failed(&self) -> usize {
        self.failed + self.upstream_failed
    }
}

/// What a task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Not known yet.
    Wait,
    /// It may start.
    Start,
    /// Its rule cannot hold any more.
    Skip(SkipCause),
}

/// Decides by Airflow's rules, with one difference: where a rule skips both for a skipped and for a failed dependency,
/// a skip waits until all dependencies ended, because a failure may still come and counts more. Thus the end state of
/// a run does not depend on the order in which its tasks end. A task without dependencies starts under every rule.
pub fn decide(rule: TriggerRule, upstream: &Upstream) -> Decision {
    if upstream.total == 0 {
        return Decision::Start;
    }
    let all_done = upstream.all_done();
    let succeeded = upstream.succeeded > 0;
    let failed = upstream.any_failed() > 0;
    let skipped = upstream.skipped > 0;
    let upstream_failed = Decision::Skip(SkipCause::UpstreamFailed);
    let upstream_skipped = Decision::Skip(SkipCause::UpstreamSkipped);
    let without_success = if failed { upstream_failed } else { upstream_skipped };
    let when_all_done = |decision| if all_done { decision } else { Decision::Wait };

    match rule {
        TriggerRule::Always => Decision::Start,
        TriggerRule::AllDone => when_all_done(Decision::Start),

        TriggerRule::AllSuccess | TriggerRule::NoneFailed | TriggerRule::NoneFailedMinOneSuccess if failed => {
            upstream_failed
        }
        TriggerRule::AllSuccess => when_all_done(if skipped { upstream_skipped } else { Decision::Start }),
        TriggerRule::NoneFailed => when_all_done(Decision::Start),
        TriggerRule::NoneFailedMinOneSuccess => {
            when_all_done(if succeeded { Decision::Start } else { upstream_skipped })
        }

        TriggerRule::AllFailed if succeeded || skipped => upstream_skipped,
        TriggerRule::AllSkipped if succeeded || failed => upstream_skipped,
        TriggerRule::NoneSkipped if skipped => upstream_skipped,
        TriggerRule::AllFailed | TriggerRule::AllSkipped | TriggerRule::NoneSkipped => when_all_done(Decision::Start),

        TriggerRule::OneSuccess if succeeded => Decision::Start,
        TriggerRule::AllDoneMinOneSuccess if succeeded => when_all_done(Decision::Start),
        TriggerRule::OneSuccess | TriggerRule::AllDoneMinOneSuccess => when_all_done(without_success),

        TriggerRule::OneFailed if failed => Decision::Start,
        TriggerRule::OneDone if succeeded || upstream.failed > 0 => Decision::Start,
        TriggerRule::OneFailed | TriggerRule::OneDone => when_all_done(upstream_skipped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Decision = Decision::Wait;
    const START: Decision = Decision::Start;
    const FAILED: Decision = Decision::Skip(SkipCause::UpstreamFailed);
    const SKIPPED: Decision = Decision::Skip(SkipCause::UpstreamSkipped);

    /// `s` succeeded, `f` failed, `u` upstream failed, `k` skipped, `.` not ended.
    fn upstream(text: &str) -> Upstream {
        let count = |letter: char| text.chars().filter(|c| *c == letter).count();
        Upstream {
            total: text.len(),
            succeeded: count('s'),
            failed: count('f'),
            upstream_failed: count('u'),
            skipped: count('k'),
            ..Upstream::default()
        }
    }

    const COLUMNS: [&str; 16] = [
        "", "..", "s.", "f.", "u.", "k.", "ss", "sf", "su", "sk", "ff", "fu", "fk", "uu", "uk", "kk",
    ];

    #[rustfmt::skip]
    const TABLE: [(TriggerRule, [Decision; 16]); 12] = [
        //                                     ""     ..     s.       f.       u.       k.       ss       sf       su       sk       ff       fu       fk       uu       uk       kk
        (TriggerRule::AllSuccess,              [START, WAIT, WAIT,    FAILED,  FAILED,  WAIT,    START,   FAILED,  FAILED,  SKIPPED, FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  SKIPPED]),
        (TriggerRule::AllFailed,               [START, WAIT, SKIPPED, WAIT,    WAIT,    SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, START,   START,   SKIPPED, START,   SKIPPED, SKIPPED]),
        (TriggerRule::AllDone,                 [START, WAIT, WAIT,    WAIT,    WAIT,    WAIT,    START,   START,   START,   START,   START,   START,   START,   START,   START,   START]),
        (TriggerRule::AllDoneMinOneSuccess,    [START, WAIT, WAIT,    WAIT,    WAIT,    WAIT,    START,   START,   START,   START,   FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  SKIPPED]),
        (TriggerRule::OneSuccess,              [START, WAIT, START,   WAIT,    WAIT,    WAIT,    START,   START,   START,   START,   FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  SKIPPED]),
        (TriggerRule::OneFailed,               [START, WAIT, WAIT,    START,   START,   WAIT,    SKIPPED, START,   START,   SKIPPED, START,   START,   START,   START,   START,   SKIPPED]),
        (TriggerRule::OneDone,                 [START, WAIT, START,   START,   WAIT,    WAIT,    START,   START,   START,   START,   START,   START,   START,   SKIPPED, SKIPPED, SKIPPED]),
        (TriggerRule::NoneFailed,              [START, WAIT, WAIT,    FAILED,  FAILED,  WAIT,    START,   FAILED,  FAILED,  START,   FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  START]),
        (TriggerRule::NoneSkipped,             [START, WAIT, WAIT,    WAIT,    WAIT,    SKIPPED, START,   START,   START,   SKIPPED, START,   START,   SKIPPED, START,   SKIPPED, SKIPPED]),
        (TriggerRule::NoneFailedMinOneSuccess, [START, WAIT, WAIT,    FAILED,  FAILED,  WAIT,    START,   FAILED,  FAILED,  START,   FAILED,  FAILED,  FAILED,  FAILED,  FAILED,  SKIPPED]),
        (TriggerRule::AllSkipped,              [START, WAIT, SKIPPED, SKIPPED, SKIPPED, WAIT,    SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, SKIPPED, START]),
        (TriggerRule::Always,                  [START, START, START,  START,   START,   START,   START,   START,   START,   START,   START,   START,   START,   START,   START,   START]),
    ];

    /// Y-054, Y-055
    #[test]
    fn every_rule_decides_by_the_table() {
        for (rule, decisions) in TABLE {
            for (column, expected) in COLUMNS.into_iter().zip(decisions) {
                assert_eq!(decide(rule, &upstream(column)), expected, "{rule:?} with {column:?}");
            }
        }
    }
}
