//! A store that fails on demand: what S3 does on a bad day, on a good one.
//!
//! Wraps any store. Each conditional create, and each read, takes the next fault from a list; what other requests do is
//! untouched.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 409: another conditional create is said to be under way. Nothing is written.
    Conflict,
    /// 412: the object is said to exist. Nothing is written.
    PreconditionFailed,
    /// 503: nothing is written or read.
    Unavailable,
    /// The request is carried out, then the answer times out.
    LostAnswer,
    /// The request is carried out, the client loses the answer and repeats by itself, and hears 412 from its own write.
    ExistsByItself,
}

/// The faults to come.
#[derive(Default)]
struct Schedule {
    upcoming: VecDeque<Option<Fault>>,
    pattern: Vec<Option<Fault>>,
}

impl Schedule {
    fn next(&mut self) -> Option<Fault> {
        if self.upcoming.is_empty() {
            self.upcoming.extend(&self.pattern);
        }
        self.upcoming.pop_front().flatten()
    }
}

/// A store with faults.
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    creates: Mutex<Schedule>,
    reads: Mutex<Schedule>,
    rival: Mutex<Option<BoxFuture<'static, ()>>>,
    rival_of_delete: Mutex<Option<BoxFuture<'static, ()>>>,
    injected: AtomicU64,
    away: AtomicBool,
}

impl FaultyStore {
    /// Wraps `inner`; without further calls it behaves as `inner` does.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            creates: Mutex::default(),
            reads: Mutex::default(),
            rival: Mutex::default(),
            rival_of_delete: Mutex::default(),
            injected: AtomicU64::new(0),
            away: AtomicBool::new(false),
        }
    }

    /// The next conditional creates meet these faults in order (`None`: no fault), those after them none.
    #[must_use]
    pub fn on_creates(self, faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        lock(&self.creates).upcoming.extend(faults);
        self
    }

    /// All conditional creates meet this pattern again and again.
    #[must_use]
    pub fn on_creates_forever(self, pattern: impl IntoIterator<Item = Option<Fault>>) -> Self {
        lock(&self.creates).pattern = pattern.into_iter().collect();
        self
    }

    /// The next reads meet these faults in order. A read knows [`Fault::Unavailable`] and [`Fault::LostAnswer`].
    #[must_use]
    pub fn on_reads(self, faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        lock(&self.reads).upcoming.extend(faults);
        self
    }

    /// Completes `rival` right before the next conditional create: another writer who is faster by a hair.
    #[must_use]
    pub fn before_next_create(self, rival: impl Future<Output = ()> + Send + 'static) -> Self {
        *lock(&self.rival) = Some(Box::pin(rival));
        self
    }

    /// Completes `rival` right before the next delete: somebody who writes what is about to go.
    #[must_use]
    pub fn before_next_delete(self, rival: impl Future<Output = ()> + Send + 'static) -> Self {
        *lock(&self.rival_of_delete) = Some(Box::pin(rival));
        self
    }

    /// From now on every create and every read fails as unavailable, or no longer does.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// How many faults have been injected.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::SeqCst)
    }

    fn next(&self, schedule: &Mutex<Schedule>) -> Option<Fault> {
        if self.away.load(Ordering::SeqCst) {
            return Some(Fault::Unavailable);
        }
        let fault = lock(schedule).next();
        if fault.is_some() {
            self.injected.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable() -> Error {
    Error::Generic {
        store: "faulty",
        source: "Server returned non-2xx status code: 503 Service Unavailable".into(),
    }
}

fn timed_out() -> Error {
    Error::Generic {
        store: "faulty",
        source: Box::new(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

fn precondition_failed(location: &Path) -> Error {
    Error::Precondition {
        path: location.to_string(),
        source: "status code: 412 Precondition Failed".into(),
    }
}

/// As `object_store` reports a 409 of S3.
fn conflict(location: &Path) -> Error {
    Error::AlreadyExists {
        path: location.to_string(),
        source: "status code: 409 Conflict".into(),
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FaultyStore({:?})", self.inner)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FaultyStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_create = matches!(options.mode, PutMode::Create);
        let rival = if is_create { lock(&self.rival).take() } else { None };
        if let Some(rival) = rival {
            rival.await;
        }
        let fault = if is_create { self.next(&self.creates) } else { None };
        match fault {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Fault::Conflict) => Err(conflict(location)),
            Some(Fault::PreconditionFailed) => Err(precondition_failed(location)),
            Some(Fault::Unavailable) => Err(unavailable()),
            Some(Fault::LostAnswer) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(timed_out())
            }
            Some(Fault::ExistsByItself) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(precondition_failed(location))
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.next(&self.reads) {
            None => self.inner.get_opts(location, options).await,
            Some(Fault::LostAnswer) => Err(timed_out()),
            Some(_) => Err(unavailable()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let rival = lock(&self.rival_of_delete).take();
        let inner = Arc::clone(&self.inner);
        let deleted = async move {
            if let Some(rival) = rival {
                rival.await;
            }
            inner.delete_stream(locations)
        };
        deleted.flatten_stream().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
