//! Why the promotion log refuses.

use crate::{Action, BucketError, PromotionEntry};

/// Why nothing was appended, or the log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromotionError {
    /// The bucket failed, or a name is wrong.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Another holds the alias than the one that the decision rested on.
    #[error(
        "alias '{alias}' of model '{model}' has changed hands: expected {}, found {}; compare with the new holder first",
        describe(expected.as_deref()), describe(found.as_deref())
    )]
    ChampionChanged {
        /// The model.
        model: String,
        /// The alias.
        alias: String,
        /// Digest expected.
        expected: Option<String>,
        /// Digest found.
        found: Option<String>,
    },
    /// A rollback has barred this bundle.
    #[error(
        "{model}@{version} (digest {digest}) was rolled back and is barred from unattended promotion; \
         if it is right after all, a person promotes it with 'ratchet models promote {model}@{version}'"
    )]
    Barred {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// Digest of its bundle.
        digest: String,
    },
    /// Nothing to do.
    #[error("{model}@{version} holds alias '{alias}' already; there is nothing to promote")]
    AlreadyHolds {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// The alias.
        alias: String,
    },
    /// No earlier holder.
    #[error(
        "alias '{alias}' of model '{model}' has no earlier version to go back to that is not barred; \
         promote another version with 'ratchet models promote {model}@VERSION'"
    )]
    NothingToRollBackTo {
        /// The model.
        model: String,
        /// The alias.
        alias: String,
    },
    /// Requests cannot be spread like this.
    #[error("the requests of model '{model}' cannot be spread like this: {problem}")]
    Routing {
        /// The model.
        model: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The version is not in the bucket; serving could not load it.
    #[error("{model}@{version} is not registered; 'ratchet models list' shows the versions")]
    UnknownVersion {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// The version has another bundle.
    #[error("{model}@{version} has the bundle {found}, not {digest}; promote the version that was compared")]
    OtherDigest {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// Digest given.
        digest: String,
        /// Digest in the manifest.
        found: String,
    },
    /// The key belongs to a different act.
    #[error("key '{key}' belongs to entry {number} ({action} of {model}@{version} to '{alias}'); use a key of its own")]
    KeyTaken {
        /// The key.
        key: String,
        /// Number of the entry that has it.
        number: u64,
        /// What that entry did.
        action: Action,
        /// Its model.
        model: String,
        /// Its version.
        version: u64,
        /// Its alias.
        alias: String,
    },
    /// An entry in the middle is not there.
    #[error("entry {number} of the promotion log in bucket '{url}' is missing; restore it from a copy of the bucket")]
    MissingEntry {
        /// Its number.
        number: u64,
        /// Address of the bucket.
        url: String,
    },
    /// An entry was altered after the next one was appended.
    #[error(
        "entry {number} of the promotion log in bucket '{url}' does not follow from the one before it, which was \
         altered; restore the log from a copy of the bucket"
    )]
    BrokenChain {
        /// Number of the entry whose predecessor differs.
        number: u64,
        /// Address of the bucket.
        url: String,
    },
}

impl PromotionError {
    /// True if the same call may succeed later with nothing changed.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Bucket(error) if error.may_retry())
    }

    /// `entry` has the key already, for another act.
    pub(crate) fn key_taken(entry: &PromotionEntry) -> Self {
        Self::KeyTaken {
            key: entry.key.clone(),
            number: entry.number,
            action: entry.action,
            model: entry.model.clone(),
            version: entry.version,
            alias: entry.alias.clone(),
        }
    }
}

fn describe(digest: Option<&str>) -> String {
    digest.map_or_else(|| "no holder".to_owned(), |digest| format!("digest {digest}"))
}
