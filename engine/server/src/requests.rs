//! `Idempotency-Key`: the same request with the same key starts one run, also after a crash in between.
//!
//! A claim is a file in `<home>/requests`, written before the run is made and again with the run's id after it. A claim
//! that was left without a run is settled by looking whether its run was made. Claims are kept for a day.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use ratchet_artifacts::sha256;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::problem::Problem;

/// How long a key is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A claim without a run that is younger may belong to another process that is still at it.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// A request that starts something once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Digest of what was asked.
    request: String,
    /// When it was asked first.
    pub(crate) asked_at: Timestamp,
    /// The run, once there is one.
    run: Option<String>,
}

/// What is to be done about a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody asked before: make the run.
    New,
    /// The run is there.
    Made(String),
    /// Somebody asked at that time and did not come to the end: look for the run, and make it if there is none.
    LeftBehind(Timestamp),
}

/// The claims of one home. Holding the lock is having the turn.
pub(crate) struct Requests {
    directory: PathBuf,
    turn: Mutex<()>,
}

impl Requests {
    /// Claims in this home; nothing is made yet.
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            directory: home.join("requests"),
            turn: Mutex::default(),
        }
    }

    /// Waits until no other request of this process is being claimed.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Where the claim of a caller's key stands.
    pub(crate) fn place(&self, caller: &str, key: &str) -> PathBuf {
        let name = sha256(format!("{}:{caller}{key}", caller.len()).as_bytes());
        self.directory.join(format!("{name}.json"))
    }

    /// Claims a key, or says what became of it.
    ///
    /// # Errors
    ///
    /// 422 if the key was used for another request, 409 if another process is at it, 503 if the home cannot be written.
    pub(crate) fn claim(&self, place: &Path, request: &str) -> Result<Standing, Problem> {
        self.forget_old();
        let now = Timestamp::now();
        match read(place)? {
            Some(claim) if claim.request != request => Err(Problem::new(
                axum::http::StatusCode::UNPROCESSABLE_ENTITY,
                "this Idempotency-Key was used for another request; take a new one",
            )),
            Some(Claim { run: Some(run), .. }) => Ok(Standing::Made(run)),
            Some(claim) if now.duration_since(claim.asked_at) < SETTLED_AFTER => Err(Problem::conflict(
                "the request with this Idempotency-Key is still being handled; ask again in a few seconds",
            )),
            Some(claim) => Ok(Standing::LeftBehind(claim.asked_at)),
            None => {
                let claim = Claim {
                    request: request.to_owned(),
                    asked_at: now,
                    run: None,
                };
                if write(place, &claim, false)? {
                    Ok(Standing::New)
                } else {
                    Err(Problem::conflict(
                        "another request with this Idempotency-Key came at the same moment; ask again in a few seconds",
                    ))
                }
            }
        }
    }

    /// Writes down the run of a claim.
    ///
    /// # Errors
    ///
    /// 503 if the home cannot be written; the run is found by the next request with this key.
    pub(crate) fn made(&self, place: &Path, request: &str, run: &str) -> Result<(), Problem> {
        let claim = Claim {
            request: request.to_owned(),
            asked_at: Timestamp::now(),
            run: Some(run.to_owned()),
        };
        write(place, &claim, true).map(drop)
    }

    /// Gives a key free whose request came to nothing.
    pub(crate) fn release(&self, place: &Path) {
        if let Err(error) = std::fs::remove_file(place) {
            tracing::warn!(place = %place.display(), %error, "the claim of a request stays");
        }
    }

    /// The runs that claims name.
    pub(crate) fn runs(&self) -> BTreeSet<String> {
        self.files()
            .into_iter()
            .filter_map(|file| read(&file).ok().flatten()?.run)
            .collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    fn forget_old(&self) {
        for file in self.files() {
            let modified = std::fs::metadata(&file).and_then(|metadata| metadata.modified()).ok();
            let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
            if modified.is_some_and(|time| Timestamp::now().duration_since(time) > KEPT) {
                self.release(&file);
            }
        }
    }
}

fn unusable(place: &Path, error: &impl std::fmt::Display) -> Problem {
    Problem::unavailable(format!(
        "the claim {} cannot be used: {error}; check the home directory's rights and space",
        place.display()
    ))
}

fn read(place: &Path) -> Result<Option<Claim>, Problem> {
    match std::fs::read(place) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| unusable(place, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(place, &error)),
    }
}

/// Puts a whole file in its place. False if there is one and it may not be replaced.
fn write(place: &Path, claim: &Claim, replace: bool) -> Result<bool, Problem> {
    let failed = |error: std::io::Error| unusable(place, &error);
    let directory = place.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut draft = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let text = serde_json::to_vec(claim).map_err(|error| unusable(place, &error))?;
    draft.write_all(&text).map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    if replace {
        draft.persist(place).map_err(|error| failed(error.error))?;
        return Ok(true);
    }
    match draft.persist_noclobber(place) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error.error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_once_and_then_names_its_run() {
        let home = tempfile::tempdir().unwrap();
        let requests = Requests::new(home.path());
        let place = requests.place("ada", "k1");
        assert_eq!(requests.claim(&place, "a").unwrap(), Standing::New);
        assert!(requests.claim(&place, "a").is_err(), "somebody is at it");
        requests.made(&place, "a", "run-1").unwrap();
        assert_eq!(requests.claim(&place, "a").unwrap(), Standing::Made("run-1".to_owned()));
        assert!(requests.claim(&place, "b").is_err(), "another request");
        assert_eq!(requests.runs(), BTreeSet::from(["run-1".to_owned()]));
    }

    #[test]
    fn the_same_key_of_another_caller_is_another_key() {
        let requests = Requests::new(Path::new("/nowhere"));
        assert_ne!(requests.place("ada", "bk"), requests.place("adab", "k"));
        assert_ne!(requests.place("ada", "k"), requests.place("bob", "k"));
    }

    #[test]
    fn a_claim_whose_process_died_is_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let requests = Requests::new(home.path());
        let place = requests.place("ada", "k1");
        let asked_at = Timestamp::now() - SignedDuration::from_secs(60);
        let claim = Claim {
            request: "a".to_owned(),
            asked_at,
            run: None,
        };
        assert!(write(&place, &claim, false).unwrap());
        assert_eq!(requests.claim(&place, "a").unwrap(), Standing::LeftBehind(asked_at));
        requests.release(&place);
        assert_eq!(requests.claim(&place, "a").unwrap(), Standing::New);
    }
}
