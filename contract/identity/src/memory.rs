//! Who was looked up a moment ago: spares a question to the database for each request, and outlives the database for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long an answer of the database is good: a removed user or a revoked key gets in for about this long at most.
pub const CALLER_MEMORY: Duration = Duration::from_secs(2);
/// How long users and keys that were looked up are let in while the database does not answer.
pub const OUTAGE_MEMORY: Duration = Duration::from_secs(300);
/// How long the database may take where an older answer is at hand.
const ANSWER: Duration = Duration::from_secs(1);
/// Kept at once.
const MOST: usize = 4096;

struct Kept<V> {
    value: V,
    confirmed: Instant,
    asked: Instant,
}

pub(crate) struct Memory<K, V>(Mutex<HashMap<K, Kept<V>>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Memory<K, V> {
        Memory(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// What is kept, if it is fresh; else what the database says, or what is kept if it says nothing. Of many who ask for the same at
    /// once, one goes to the database and the others take what is kept.
    pub(crate) async fn get(
        &self,
        key: K,
        look_up: impl Future<Output = Result<Option<V>, Error>>,
    ) -> Result<Option<V>, Error> {
        let kept = {
            let mut all = self.lock();
            match all
                .get_mut(&key)
                .filter(|kept| kept.confirmed.elapsed() < OUTAGE_MEMORY)
            {
                Some(kept) if kept.asked.elapsed() < CALLER_MEMORY => return Ok(Some(kept.value.clone())),
                Some(kept) => {
                    kept.asked = Instant::now();
                    Some(kept.value.clone())
                }
                None => None,
            }
        };
        let found = match kept {
            None => look_up.await?,
            Some(kept) => match tokio::time::timeout(ANSWER, look_up).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) | Err(_) => {
                    if let Some(kept) = self.lock().get_mut(&key) {
                        kept.asked = Instant::now();
                    }
                    return Ok(Some(kept));
                }
            },
        };
        let mut all = self.lock();
        match &found {
            Some(value) => {
                if all.len() >= MOST {
                    all.clear();
                }
                let now = Instant::now();
                let value = value.clone();
                all.insert(
                    key,
                    Kept {
                        value,
                        confirmed: now,
                        asked: now,
                    },
                );
            }
            None => drop(all.remove(&key)),
        }
        Ok(found)
    }

    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
