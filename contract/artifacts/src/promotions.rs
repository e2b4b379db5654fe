//! The promotion log: append-only, one for the bucket, safe under any number of writers.
//!
//! To append is to create the next number. Who loses the race reads what came between, decides again on the new state,
//! and is refused if that decision no longer holds. The key in each entry makes a repetition find its first try.

use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;

use crate::blobs::sha256;
use crate::names::{check_key, check_name};
use crate::promotion_entry::holder_before;
use crate::signing::signer;
use crate::versions::{decode, encode};
use crate::{Action, Bucket, BucketError, Created, Holder, PromotionEntry, PromotionError, Signed, models};

/// Directory of the log.
const DIRECTORY: &str = "promotions";

/// Entries read at the same time.
const READS: usize = 16;

/// How often others may be faster before an append gives up.
const ATTEMPTS: usize = 1000;

/// What the decision to promote rested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Digest of the champion that the comparison met; `None`: there was none. Another holder is a refusal.
    Champion(Option<String>),
    /// Whoever holds the alias: a person overrides.
    Any,
}

/// A promotion to append.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPromotion {
    /// The model.
    pub model: String,
    /// The version that gets the alias; it has to be registered.
    pub version: u64,
    /// Digest of that version's bundle.
    pub digest: String,
    /// The alias, such as `champion`.
    pub alias: String,
    /// What the decision rested on.
    pub expected: Expected,
    /// Who promotes: a user, or the run.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The comparison that justifies it; null if none does.
    pub comparison: Value,
    /// `run/task`: the same promotion with the same key is appended once.
    pub key: String,
    /// True if a person answers for it: may promote what a rollback barred, and lifts the bar.
    pub attended: bool,
}

/// The entry that an append led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The entry as it stands in the log.
    pub entry: PromotionEntry,
    /// False if the key was there already.
    pub new: bool,
}

/// The log of a bucket.
#[derive(Clone, Debug)]
pub struct PromotionLog {
    bucket: Bucket,
}

/// The log as far as it was read.
#[derive(Default)]
pub(crate) struct Replay {
    entries: Vec<PromotionEntry>,
    /// SHA-256 of the newest entry.
    newest: Option<String>,
}

impl PromotionLog {
    /// The log in `bucket`.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// All entries in order, the chain of predecessors verified.
    ///
    /// # Errors
    ///
    /// If an entry is missing, altered or unreadable, or the bucket fails.
    pub async fn entries(&self) -> Result<Vec<PromotionEntry>, PromotionError> {
        Ok(self.replay().await?.entries)
    }

    /// The newest entry, whose `table` is the whole state; `None`: nothing was promoted yet.
    ///
    /// # Errors
    ///
    /// If the entry is unreadable or the bucket fails.
    pub async fn head(&self) -> Result<Option<PromotionEntry>, PromotionError> {
        let mut head = self.entry(self.last_listed().await?).await?;
        while let Some(entry) = &head {
            match self.entry(entry.number + 1).await? {
                Some(next) => head = Some(next),
                None => break,
            }
        }
        Ok(head)
    }

    /// One entry by its number, in one request; `None`: there is none yet. A replica asks for the next one so.
    ///
    /// # Errors
    ///
    /// If the entry is unreadable or the bucket fails.
    pub async fn entry(&self, number: u64) -> Result<Option<PromotionEntry>, PromotionError> {
        Ok(self.read(number).await?.map(|(entry, _)| entry))
    }

    /// One entry with who signed it.
    ///
    /// # Errors
    ///
    /// As [`PromotionLog::entry`].
    pub async fn signed_entry(&self, number: u64) -> Result<Option<Signed<PromotionEntry>>, PromotionError> {
        let found = self.read(number).await?;
        Ok(found.map(|(document, content)| {
            let path = PromotionEntry::path(number);
            Signed {
                signer: signer(&path, &content),
                document,
                path,
            }
        }))
    }

    /// The entry, not after `newest`, that gave `alias` of `model` to who holds it there; `None`: nobody held it.
    ///
    /// # Errors
    ///
    /// As [`PromotionLog::entry`].
    pub async fn giving(
        &self,
        model: &str,
        alias: &str,
        newest: u64,
    ) -> Result<Option<Signed<PromotionEntry>>, PromotionError> {
        for number in (1..=newest).rev() {
            let found = self.signed_entry(number).await?;
            let found = found.filter(|entry| {
                let entry = &entry.document;
                entry.model == model && entry.alias == alias && entry.action != Action::Route
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Gives an alias to a version.
    ///
    /// # Errors
    ///
    /// [`PromotionError::UnknownVersion`] and [`PromotionError::OtherDigest`] if the version is not registered with this
    /// digest, [`PromotionError::AlreadyHolds`], [`PromotionError::Barred`], [`PromotionError::ChampionChanged`]; and if
    /// the log is damaged or the bucket fails.
    pub async fn promote(&self, promotion: NewPromotion) -> Result<Appended, PromotionError> {
        check_name("model", &promotion.model).and_then(|()| check_name("alias", &promotion.alias))?;
        self.check_version(&promotion).await?;
        let same = |entry: &PromotionEntry| {
            entry.action == Action::Promote
                && entry.model == promotion.model
                && entry.alias == promotion.alias
                && entry.digest == promotion.digest
                && entry.version == promotion.version
        };
        self.append(&promotion.key, same, |replay| replay.promotion(&promotion))
            .await
    }

    /// Gives an alias back to the version that held it before the current one, and bars the current one's bundle from
    /// unattended promotion. Repeated, it goes further back.
    ///
    /// # Errors
    ///
    /// [`PromotionError::NothingToRollBackTo`]; [`PromotionError::ChampionChanged`] if the alias changes hands meanwhile,
    /// so that two people rolling back at once go back one step and not two; and if the log is damaged or the bucket
    /// fails.
    pub async fn rollback(
        &self,
        model: &str,
        alias: &str,
        actor: &str,
        reason: &str,
        key: &str,
    ) -> Result<Appended, PromotionError> {
        check_name("model", model).and_then(|()| check_name("alias", alias))?;
        let same =
            |entry: &PromotionEntry| entry.action == Action::Rollback && entry.model == model && entry.alias == alias;
        let mut first_seen: Option<Holder> = None;
        self.append(key, same, |replay| {
            let nothing = || PromotionError::NothingToRollBackTo {
                model: model.to_owned(),
                alias: alias.to_owned(),
            };
            let current = replay.holder(model, alias).ok_or_else(nothing)?;
            let seen = first_seen.get_or_insert_with(|| current.clone());
            if seen != current {
                return Err(PromotionError::ChampionChanged {
                    model: model.to_owned(),
                    alias: alias.to_owned(),
                    expected: Some(seen.digest.clone()),
                    found: Some(current.digest.clone()),
                });
            }
            let target = holder_before(&replay.entries, model, alias).ok_or_else(nothing)?;
            let left = current.digest.clone();
            let mut entry = replay.next(Action::Rollback, model, alias, target);
            entry.barred.entry(model.to_owned()).or_default().insert(left);
            entry.actor = actor.to_owned();
            entry.reason = reason.to_owned();
            entry.key = key.to_owned();
            Ok(entry)
        })
        .await
    }

    /// Appends what `decide` makes of the newest state, deciding again each time that another was faster.
    pub(crate) async fn append(
        &self,
        key: &str,
        same: impl Fn(&PromotionEntry) -> bool,
        mut decide: impl FnMut(&Replay) -> Result<PromotionEntry, PromotionError>,
    ) -> Result<Appended, PromotionError> {
        check_key(key)?;
        let mut replay = self.replay().await?;
        for _ in 0..ATTEMPTS {
            if let Some(entry) = replay.entries.iter().find(|entry| entry.key == key) {
                return if same(entry) {
                    Ok(Appended {
                        entry: entry.clone(),
                        new: false,
                    })
                } else {
                    Err(PromotionError::key_taken(entry))
                };
            }
            let entry = decide(&replay)?;
            let path = PromotionEntry::path(entry.number);
            let content = self.bucket.signed(&path, encode(&self.bucket, &path, &entry)?);
            let created = self.bucket.create(&path, content.clone()).await?;
            // 'Exists' with our own bytes is our own create, whose answer got lost on the way.
            if created == Created::New || self.bucket.get(&path).await? == Some(content) {
                return Ok(Appended { entry, new: true });
            }
            self.catch_up(&mut replay).await?;
        }
        let path = PromotionEntry::path(replay.entries.len() as u64 + 1);
        Err(BucketError::Crowded {
            url: self.bucket.url().to_owned(),
            path,
        }
        .into())
    }

    /// Refuses a version that serving could not load.
    async fn check_version(&self, promotion: &NewPromotion) -> Result<(), PromotionError> {
        let NewPromotion {
            model, version, digest, ..
        } = promotion;
        let Some(manifest) = models::get(&self.bucket, model, *version).await? else {
            return Err(PromotionError::UnknownVersion {
                model: model.clone(),
                version: *version,
            });
        };
        if manifest.bundle.sha256 != *digest {
            return Err(PromotionError::OtherDigest {
                model: model.clone(),
                version: *version,
                digest: digest.clone(),
                found: manifest.bundle.sha256,
            });
        }
        Ok(())
    }

    async fn replay(&self) -> Result<Replay, PromotionError> {
        let last = self.last_listed().await?;
        let mut replay = Replay::default();
        let mut reads = stream::iter(1..=last)
            .map(|number| async move { (number, self.read(number).await) })
            .buffered(READS);
        while let Some((number, read)) = reads.next().await {
            let (entry, content) = read?.ok_or_else(|| PromotionError::MissingEntry {
                number,
                url: self.bucket.url().to_owned(),
            })?;
            replay.push(entry, &content, self.bucket.url())?;
        }
        self.catch_up(&mut replay).await?;
        Ok(replay)
    }

    /// Reads what was appended since.
    async fn catch_up(&self, replay: &mut Replay) -> Result<(), PromotionError> {
        while let Some((entry, content)) = self.read(replay.entries.len() as u64 + 1).await? {
            replay.push(entry, &content, self.bucket.url())?;
        }
        Ok(())
    }

    /// An entry and its bytes.
    async fn read(&self, number: u64) -> Result<Option<(PromotionEntry, Bytes)>, PromotionError> {
        let path = PromotionEntry::path(number);
        let Some(content): Option<Bytes> = self.bucket.get(&path).await? else {
            return Ok(None);
        };
        let entry: PromotionEntry = decode(&self.bucket, &path, &content)?;
        if entry.number != number {
            let detail = format!("it says that it is entry {}", entry.number);
            return Err(BucketError::ManifestDamaged {
                url: self.bucket.url().to_owned(),
                path,
                detail,
            }
            .into());
        }
        Ok(Some((entry, content)))
    }

    /// The highest number in the listing, 0 if there is none. A listing may lag behind, a read does not.
    async fn last_listed(&self) -> Result<u64, PromotionError> {
        let paths = self.bucket.list(DIRECTORY).await?;
        Ok(paths.iter().filter_map(|path| number_in(path)).max().unwrap_or(0))
    }
}

impl Replay {
    fn push(&mut self, entry: PromotionEntry, content: &[u8], url: &str) -> Result<(), PromotionError> {
        if entry.predecessor != self.newest {
            return Err(PromotionError::BrokenChain {
                number: entry.number,
                url: url.to_owned(),
            });
        }
        self.entries.push(entry);
        self.newest = Some(sha256(content));
        Ok(())
    }

    pub(crate) fn holder(&self, model: &str, alias: &str) -> Option<&Holder> {
        self.entries.last()?.holder(model, alias)
    }

    /// The entry that gives `alias` to `holder`, its words still empty. The share of requests stays the alias's.
    pub(crate) fn next(&self, action: Action, model: &str, alias: &str, holder: Holder) -> PromotionEntry {
        let head = self.entries.last();
        let mut table = head.map(|head| head.table.clone()).unwrap_or_default();
        let barred = head.map(|head| head.barred.clone()).unwrap_or_default();
        let sticky = head.map(|head| head.sticky.clone()).unwrap_or_default();
        let version = holder.version;
        let digest = holder.digest.clone();
        let holder = match self.holder(model, alias) {
            Some(current) => Holder {
                weight: current.weight,
                shadow: current.shadow,
                ..holder
            },
            None => holder,
        };
        let previous = table
            .entry(model.to_owned())
            .or_default()
            .insert(alias.to_owned(), holder);
        PromotionEntry {
            format: 1,
            number: self.entries.len() as u64 + 1,
            at: Timestamp::now(),
            action,
            model: model.to_owned(),
            alias: alias.to_owned(),
            version,
            digest,
            previous,
            expected_champion: None,
            actor: String::new(),
            reason: String::new(),
            comparison: Value::Null,
            key: String::new(),
            predecessor: self.newest.clone(),
            table,
            barred,
            sticky,
        }
    }

    /// The entry for a promotion, or why it is refused on this state.
    fn promotion(&self, promotion: &NewPromotion) -> Result<PromotionEntry, PromotionError> {
        let NewPromotion {
            model,
            version,
            digest,
            alias,
            expected,
            actor,
            reason,
            comparison,
            key,
            attended,
        } = promotion;
        let current = self.holder(model, alias);
        if current.is_some_and(|holder| holder.version == *version) {
            return Err(PromotionError::AlreadyHolds {
                model: model.clone(),
                version: *version,
                alias: alias.clone(),
            });
        }
        if !attended && self.entries.last().is_some_and(|head| head.is_barred(model, digest)) {
            return Err(PromotionError::Barred {
                model: model.clone(),
                version: *version,
                digest: digest.clone(),
            });
        }
        let found = current.map(|holder| holder.digest.clone());
        let expected_champion = match expected {
            Expected::Any => None,
            Expected::Champion(expected) if *expected == found => expected.clone(),
            Expected::Champion(expected) => {
                return Err(PromotionError::ChampionChanged {
                    model: model.clone(),
                    alias: alias.clone(),
                    expected: expected.clone(),
                    found,
                });
            }
        };
        let mut entry = self.next(Action::Promote, model, alias, Holder::alone(*version, digest));
        if let Some(digests) = entry.barred.get_mut(model) {
            digests.remove(digest);
            if digests.is_empty() {
                entry.barred.remove(model);
            }
        }
        entry.expected_champion = expected_champion;
        entry.actor.clone_from(actor);
        entry.reason.clone_from(reason);
        entry.comparison = comparison.clone();
        entry.key.clone_from(key);
        Ok(entry)
    }
}

/// The number in `promotions/00000000000000000007.json`.
fn number_in(path: &str) -> Option<u64> {
    let number = path
        .strip_prefix(DIRECTORY)?
        .strip_prefix('/')?
        .strip_suffix(".json")?
        .parse()
        .ok()?;
    (PromotionEntry::path(number) == path).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_number_are_one() {
        assert_eq!(PromotionEntry::path(7), "promotions/00000000000000000007.json");
        for number in [1, 7, u64::MAX] {
            assert_eq!(number_in(&PromotionEntry::path(number)), Some(number));
        }
        for other in [
            "promotions/7.json",
            "promotions/x.json",
            "promotions/00000000000000000007.json.bak",
        ] {
            assert_eq!(number_in(other), None, "{other}");
        }
    }
}
