//! One entry of the promotion log, and what a sequence of entries says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A version took an alias.
    Promote,
    /// The alias went back to a version that held it before.
    Rollback,
    /// Requests are spread over the aliases in another way; versions stay where they are.
    Route,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Route => "route",
        })
    }
}

/// Who has an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Version of the model.
    pub version: u64,
    /// Digest of its bundle.
    pub digest: String,
    /// Share of the requests, in percent: 100 unless traffic is split.
    pub weight: u32,
    /// True if it only runs beside another, its answers recorded and not given.
    pub shadow: bool,
}

impl Holder {
    /// The only holder of an alias.
    #[must_use]
    pub fn alone(version: u64, digest: &str) -> Self {
        Self {
            version,
            digest: digest.to_owned(),
            weight: 100,
            shadow: false,
        }
    }
}

/// `promotions/<20 digits>.json`.
///
/// The newest entry alone says everything that serving needs; those before it say how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromotionEntry {
    /// 1.
    pub format: u32,
    /// From 1, without gaps.
    pub number: u64,
    /// When it was appended, by the clock of the machine that did.
    pub at: Timestamp,
    /// What it did.
    pub action: Action,
    /// The model.
    pub model: String,
    /// The alias, such as `champion`.
    pub alias: String,
    /// The version that has the alias now.
    pub version: u64,
    /// Digest of that version's bundle.
    pub digest: String,
    /// Who had the alias before.
    pub previous: Option<Holder>,
    /// Digest of the champion that the comparison met; none for the first, and where a person overrode.
    pub expected_champion: Option<String>,
    /// Who did it: a user, or the run.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The comparison that justified it; null if none did.
    pub comparison: Value,
    /// `run/task`, or what else makes a repetition recognizable.
    pub key: String,
    /// SHA-256 of the entry before, byte for byte; none for the first.
    pub predecessor: Option<String>,
    /// Model, alias, holder: the whole state after this entry.
    pub table: BTreeMap<String, BTreeMap<String, Holder>>,
    /// Model, digests that a rollback has barred from unattended promotion.
    pub barred: BTreeMap<String, BTreeSet<String>>,
    /// Model, field: where requests are spread, those with the same value in it are answered by the same alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sticky: BTreeMap<String, String>,
}

impl PromotionEntry {
    /// Who has `alias` of `model` after this entry.
    #[must_use]
    pub fn holder(&self, model: &str, alias: &str) -> Option<&Holder> {
        self.table.get(model)?.get(alias)
    }

    /// True if `digest` of `model` may be promoted by a person only.
    #[must_use]
    pub fn is_barred(&self, model: &str, digest: &str) -> bool {
        self.barred.get(model).is_some_and(|digests| digests.contains(digest))
    }

    /// Where the entry with this number lies in the bucket.
    #[must_use]
    pub fn path(number: u64) -> String {
        format!("promotions/{number:020}.json")
    }
}

/// Where a rollback of `alias` goes: the holder before the current one.
///
/// Promotions stack up and a rollback takes the uppermost off, so that repeated rollbacks go further back and one after
/// a new promotion returns to what was there before it. A holder with the current one's bundle would change nothing and
/// a barred one has been found bad: both are passed over.
pub(crate) fn holder_before(entries: &[PromotionEntry], model: &str, alias: &str) -> Option<Holder> {
    let mut stack: Vec<Holder> = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.model == model && entry.alias == alias && entry.action != Action::Route)
    {
        let Some(holder) = entry.holder(model, alias) else {
            continue;
        };
        if entry.action == Action::Rollback {
            while stack.last().is_some_and(|upper| upper.version != holder.version) {
                stack.pop();
            }
        }
        if stack.last() != Some(holder) {
            stack.push(holder.clone());
        }
    }
    let head = entries.last()?;
    let current = head.holder(model, alias)?;
    stack
        .into_iter()
        .rev()
        .find(|earlier| earlier.digest != current.digest && !head.is_barred(model, &earlier.digest))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Replays `p3` (promote version 3), `r2` (rollback to version 2) on one alias; a rollback bars what it left.
    fn history(steps: &[&str]) -> Vec<PromotionEntry> {
        let mut entries: Vec<PromotionEntry> = Vec::new();
        for step in steps {
            let (action, version) = step.split_at(1);
            let version: u64 = version.parse().unwrap();
            let mut barred = entries.last().map(|entry| entry.barred.clone()).unwrap_or_default();
            let previous = entries.last().and_then(|entry| entry.holder("m", "champion")).cloned();
            let action = if action == "p" {
                Action::Promote
            } else {
                Action::Rollback
            };
            if action == Action::Rollback {
                barred
                    .entry("m".to_owned())
                    .or_default()
                    .insert(previous.clone().unwrap().digest);
            }
            let holder = Holder::alone(version, &format!("digest{version}"));
            entries.push(PromotionEntry {
                format: 1,
                number: entries.len() as u64 + 1,
                at: Timestamp::UNIX_EPOCH,
                action,
                model: "m".to_owned(),
                alias: "champion".to_owned(),
                version,
                digest: holder.digest.clone(),
                previous,
                expected_champion: None,
                actor: String::new(),
                reason: String::new(),
                comparison: Value::Null,
                key: String::new(),
                predecessor: None,
                table: BTreeMap::from([("m".to_owned(), BTreeMap::from([("champion".to_owned(), holder)]))]),
                barred,
                sticky: BTreeMap::new(),
            });
        }
        entries
    }

    fn target(steps: &[&str]) -> Option<u64> {
        holder_before(&history(steps), "m", "champion").map(|holder| holder.version)
    }

    #[test]
    fn a_rollback_goes_to_the_holder_before() {
        assert_eq!(target(&[]), None);
        assert_eq!(target(&["p1"]), None);
        assert_eq!(target(&["p1", "p2", "p3"]), Some(2));
    }

    #[test]
    fn repeated_rollbacks_go_further_back() {
        assert_eq!(target(&["p1", "p2", "p3", "r2"]), Some(1));
        assert_eq!(target(&["p1", "p2", "p3", "r2", "r1"]), None);
    }

    #[test]
    fn a_rollback_after_a_new_promotion_returns_to_what_was_there_before_it() {
        assert_eq!(target(&["p1", "p2", "p3", "r2", "p4"]), Some(2));
        assert_eq!(target(&["p1", "p2", "r1", "p3", "r1"]), None);
    }

    #[test]
    fn a_rollback_never_lands_on_a_barred_version() {
        // 1 was left for 2, then 2 for 1 by a person, then rolled back: 1 is barred and 2 holds.
        assert_eq!(target(&["p1", "p2", "p1", "r2"]), None);
    }

    #[test]
    fn another_alias_has_a_history_of_its_own() {
        assert_eq!(holder_before(&history(&["p1", "p2"]), "m", "staging"), None);
        assert_eq!(holder_before(&history(&["p1", "p2"]), "n", "champion"), None);
    }
}
