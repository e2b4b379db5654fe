//! What the collections are, as the bucket says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratchet_artifacts::{Bucket, BucketError, check_name, collections};

use super::check::Checked;
use crate::problem::Problem;

/// How long what was read holds.
const FRESH: Duration = Duration::from_secs(5);

/// Reads collections and remembers them for a while; while the bucket does not answer, for as long as that lasts.
#[derive(Debug)]
pub struct Collections {
    bucket: Bucket,
    known: Mutex<HashMap<String, (Instant, Arc<Checked>)>>,
}

impl Collections {
    /// The collections of a bucket.
    pub fn new(bucket: Bucket) -> Collections {
        Collections {
            bucket,
            known: Mutex::default(),
        }
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// 404; 503 if the bucket does not answer and the collection was not read before.
    pub(super) async fn get(&self, name: &str) -> Result<Arc<Checked>, Problem> {
        let known = self.locked().get(name).cloned();
        if let Some((at, collection)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(collection.clone());
        }
        if check_name("collection", name).is_err() {
            return Err(Problem::unknown_collection());
        }
        let read = collections::get(&self.bucket, name).await;
        let found = match (read, known) {
            (Ok(Some(found)), _) => found,
            (Ok(None), _) => {
                self.locked().remove(name);
                return Err(Problem::unknown_collection());
            }
            (Err(error), Some((_, collection))) => {
                tracing::warn!(%error, collection = name, "the bucket does not answer; what was read of the collection before holds on");
                self.locked()
                    .insert(name.to_owned(), (Instant::now(), collection.clone()));
                return Ok(collection);
            }
            (Err(error), None) => return Err(Problem::bucket_unavailable(&error)),
        };
        let checked = Arc::new(Checked::new(found)?);
        self.locked().insert(name.to_owned(), (Instant::now(), checked.clone()));
        Ok(checked)
    }

    /// All of them, by name.
    pub(super) async fn list(&self) -> Result<Vec<ratchet_artifacts::collections::Collection>, BucketError> {
        collections::list(&self.bucket).await
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Arc<Checked>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
