//! How far each schedule was followed: `schedules.json` in the home directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ratchet_core::spec::Schedule;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Followed {
    /// The schedule's text at that time. Another text begins anew.
    schedule: String,
    /// Every tick until here was decided on.
    until: Timestamp,
}

/// The file. A write goes to a new file that then takes the old one's place.
pub(super) struct Progress {
    path: PathBuf,
    followed: BTreeMap<String, Followed>,
}

impl Progress {
    /// Reads the file. A missing one is an empty one; a damaged one is said and left behind, and all schedules begin
    /// at this moment.
    pub(super) fn open(home: &Path) -> Self {
        let path = home.join("schedules.json");
        let followed = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                tracing::warn!(file = %path.display(), %error, "cannot be read; missed ticks are not caught up");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Self { path, followed }
    }

    /// From where on a schedule counts: where it was left, or `now` if its text was never seen.
    pub(super) fn begin(&mut self, dag: &str, schedule: &Schedule, now: Timestamp) -> Timestamp {
        let text = format!("{} {}", schedule.cron, schedule.timezone);
        match self.followed.get(dag) {
            Some(followed) if followed.schedule == text => followed.until,
            _ => {
                self.followed.insert(
                    dag.to_owned(),
                    Followed {
                        schedule: text,
                        until: now,
                    },
                );
                self.write();
                now
            }
        }
    }

    /// A tick was run or dropped.
    pub(super) fn decided(&mut self, dag: &str, tick: Timestamp) {
        if let Some(followed) = self.followed.get_mut(dag) {
            followed.until = followed.until.max(tick);
            self.write();
        }
    }

    fn write(&self) {
        let new = self.path.with_extension("json.new");
        let written = serde_json::to_string_pretty(&self.followed)
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::write(&new, text))
            .and_then(|()| std::fs::rename(&new, &self.path));
        if let Err(error) = written {
            // Runs are unique on their tick, so that a lost write costs a second look and no second run.
            tracing::warn!(file = %self.path.display(), %error, "cannot be written");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use ratchet_core::spec::{Catchup, OnGap, OnOverlap, Overlap};

    use super::*;

    fn schedule(cron: &str) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            timezone: "UTC".to_owned(),
            on_gap: OnGap::Shift,
            on_overlap: OnOverlap::First,
            catchup: Catchup::All,
            overlap: Overlap::Skip,
        }
    }

    #[test]
    fn a_schedule_goes_on_where_it_was_left_and_an_edited_one_begins_anew() {
        let home = tempfile::tempdir().unwrap();
        let instant = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(
            Progress::open(home.path()).begin("a", &schedule("0 1 * * *"), instant(100)),
            instant(100)
        );
        let mut again = Progress::open(home.path());
        assert_eq!(again.begin("a", &schedule("0 1 * * *"), instant(200)), instant(100));
        again.decided("a", instant(150));
        let mut later = Progress::open(home.path());
        assert_eq!(later.begin("a", &schedule("0 1 * * *"), instant(300)), instant(150));
        assert_eq!(later.begin("a", &schedule("0 2 * * *"), instant(300)), instant(300));
    }
}
