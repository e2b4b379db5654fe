//! From a promoted version to a bundle that may serve.
//!
//! Everything here runs on a thread of its own, so that no check, however long, holds a request up. The bundle comes from outside:
//! it may be missing, damaged, of another model, of a newer format, or answer otherwise than it did in training. Each of these is a
//! [`Problem`] and none is a panic; should a reader panic all the same, that is a problem too.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratchet_artifacts::{Bucket, BucketError, ModelManifest, PromotionEntry, PromotionLog};
use ratchet_model::{Bundle, BundleError, Rows};
use tokio::runtime::Handle;

use super::lookups::{self, LoadedLookups};
use super::registry::{Served, Version};
use super::signatures;

/// Rows that a bundle answers before it serves, and the longest that may take.
const WARM_UP_ROWS: usize = 500;
const WARM_UP_TIME: Duration = Duration::from_millis(200);
/// Keys of an answer that the service itself fills.
pub const OWN_KEYS: [&str; 4] = ["explanation", "model", "prediction_id", "simulated"];
/// Earlier entries that are looked through for a version to fall back to.
const ENTRIES_BACK: u64 = 1000;

/// Why a version does not serve: a word for metrics, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of failure it was.
    pub reason: Reason,
    /// The failure and its remedy.
    pub message: String,
}

/// Kinds of failure, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The bucket did not answer.
    Unreachable,
    /// Manifest or bundle is not in the bucket.
    Missing,
    /// Manifest or bundle is not what its digest says.
    Damaged,
    /// Manifest or promotion lack a signature that counts.
    Signature,
    /// The bundle's structure does not hold together.
    Structure,
    /// The bundle's format is not one that this program reads.
    Format,
    /// The bundle is of another model.
    Name,
    /// The golden rows are not answered as in training.
    GoldenRows,
    /// The answers cannot be given as they are.
    Answer,
    /// The declared route is taken or not a path.
    Route,
    /// It would take more memory than the limit.
    Memory,
    /// A lookup that it reads cannot be used.
    Lookup,
    /// A check panicked.
    Panic,
}

impl Reason {
    /// The label in `ratchet_api_model_load_failures_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unreachable => "unreachable",
            Reason::Missing => "missing",
            Reason::Damaged => "damaged",
            Reason::Signature => "signature",
            Reason::Structure => "structure",
            Reason::Format => "format",
            Reason::Name => "name",
            Reason::GoldenRows => "golden_rows",
            Reason::Answer => "answer",
            Reason::Route => "route",
            Reason::Memory => "memory",
            Reason::Lookup => "lookup",
            Reason::Panic => "panic",
        }
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(reason: Reason, message: impl Into<String>) -> Problem {
        Problem {
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<BucketError> for Problem {
    fn from(error: BucketError) -> Problem {
        let reason = match &error {
            BucketError::BlobMissing { .. } => Reason::Missing,
            BucketError::BlobDamaged { .. } | BucketError::ManifestDamaged { .. } => Reason::Damaged,
            BucketError::FormatTooNew { .. } => Reason::Format,
            _ => Reason::Unreachable,
        };
        Problem::new(reason, error.to_string())
    }
}

impl From<BundleError> for Problem {
    fn from(error: BundleError) -> Problem {
        let reason = match error {
            BundleError::Damaged(_) => Reason::Structure,
            BundleError::UnknownFormat { .. } => Reason::Format,
            BundleError::Lookup { .. } => Reason::Lookup,
            BundleError::GoldenRow { .. } => Reason::GoldenRows,
        };
        Problem::new(reason, error.to_string())
    }
}

/// What to load.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name of the model.
    pub model: String,
    /// The alias that it holds.
    pub alias: String,
    /// The version that was promoted.
    pub promoted: Version,
    /// The log entry that says so, if an earlier version may stand in: nothing of this model serves yet.
    pub fall_back_from: Option<Arc<PromotionEntry>>,
    /// Versions of lookups that this replica holds.
    pub lookups: LoadedLookups,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// The promoted version, or why it does not load.
    pub promoted: Result<Served, Problem>,
    /// The version that stands in, if the promoted one failed and an earlier one loads.
    pub stand_in: Option<Served>,
    /// From the start of the job.
    pub duration: Duration,
}

/// Does a job. Gives up between steps once `cancelled` is set: a newer entry has made it pointless.
pub fn run(handle: &Handle, bucket: &Bucket, job: Job, cancelled: &AtomicBool) -> Outcome {
    let started = Instant::now();
    let promoted = load_guarded(handle, bucket, &job, &job.promoted, None, cancelled);
    let stand_in = match (&promoted, &job.fall_back_from) {
        (Err(_), Some(entry)) => stand_in(handle, bucket, &job, entry, cancelled),
        _ => None,
    };
    Outcome {
        job,
        promoted,
        stand_in,
        duration: started.elapsed(),
    }
}

/// The newest earlier holder of the alias that loads. One that a rollback has barred was found bad and is passed over.
fn stand_in(
    handle: &Handle,
    bucket: &Bucket,
    job: &Job,
    newest: &PromotionEntry,
    cancelled: &AtomicBool,
) -> Option<Served> {
    let log = PromotionLog::new(bucket.clone());
    // Where signatures count, an earlier entry may be signed though the newest for the same version is not.
    let mut tried = match bucket.trusted() {
        Some(_) => Vec::new(),
        None => vec![job.promoted.clone()],
    };
    let mut barring = bucket.trusted().is_none().then(|| newest.clone());
    let oldest = newest.number.saturating_sub(ENTRIES_BACK).max(1);
    for number in (oldest..=newest.number).rev() {
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let entry = match handle.block_on(signatures::entry(bucket, &log, number)) {
            Ok(Some(entry)) => entry,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(model = job.model, entry = number, %error, "cannot look for an earlier version");
                continue;
            }
        };
        let barring = barring.get_or_insert_with(|| entry.clone());
        let holder = entry.holder(&job.model, &job.alias)?;
        let version = Version {
            version: holder.version,
            digest: holder.digest.clone(),
        };
        if tried.contains(&version) || barring.is_barred(&job.model, &version.digest) {
            continue;
        }
        match load_guarded(handle, bucket, job, &version, Some(number), cancelled) {
            Ok(served) => return Some(served),
            Err(problem) => {
                tracing::warn!(model = job.model, version = version.version, %problem, "an earlier version does not load either");
            }
        }
        tried.push(version);
    }
    None
}

fn load_guarded(
    handle: &Handle,
    bucket: &Bucket,
    job: &Job,
    version: &Version,
    entry: Option<u64>,
    cancelled: &AtomicBool,
) -> Result<Served, Problem> {
    let work = || {
        let manifest = signatures::manifest(bucket, &job.model, &job.alias, version, entry);
        load(handle, bucket, job, version, handle.block_on(manifest)?, cancelled)
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Problem::new(
            Reason::Panic,
            "a check of the bundle panicked, which is a bug of this program",
        ))
    })
}

fn load(
    handle: &Handle,
    bucket: &Bucket,
    job: &Job,
    version: &Version,
    manifest: Option<ModelManifest>,
    cancelled: &AtomicBool,
) -> Result<Served, Problem> {
    let model = job.model.as_str();
    let go_on = || match cancelled.load(Ordering::Relaxed) {
        true => Err(Problem::new(Reason::Unreachable, "a newer promotion came first")),
        false => Ok(()),
    };
    let number = version.version;
    let manifest = manifest.ok_or_else(|| {
        Problem::new(
            Reason::Missing,
            format!(
                "{model}@{number} was promoted but has no manifest in bucket '{}'",
                bucket.url()
            ),
        )
    })?;
    if manifest.bundle.sha256 != version.digest {
        return Err(Problem::new(
            Reason::Damaged,
            format!(
                "the log promoted {model}@{number} with digest {}, its manifest names {}; promote a version that is whole",
                version.digest, manifest.bundle.sha256
            ),
        ));
    }
    let bytes = handle.block_on(bucket.get_blob(&manifest.bundle))?;
    go_on()?;
    let bundle = Bundle::read(&bytes)?;
    drop(bytes);
    if bundle.name() != model {
        return Err(Problem::new(
            Reason::Name,
            format!(
                "the bundle of {model}@{number} is one of model {:?}; register it under that name",
                bundle.name()
            ),
        ));
    }
    go_on()?;
    if bundle.check_golden_rows()? == 0 {
        return Err(Problem::new(
            Reason::GoldenRows,
            "the bundle has no golden rows, so that nothing proves its answers; train it again",
        ));
    }
    go_on()?;
    let (bundle, lookups) = lookups::equip(handle, bucket, &bundle, &job.lookups)?;
    go_on()?;
    check_answers(&bundle)?;
    let route = bundle.route().map(str::to_owned);
    Ok(Served {
        name: model.to_owned(),
        alias: job.alias.clone(),
        version: version.clone(),
        route,
        bundle,
        lookups,
    })
}

/// Answers the example and the golden rows until caches and branch predictors know the way, and looks at the answers meanwhile.
fn check_answers(bundle: &Bundle) -> Result<(), Problem> {
    let example = bundle.parse(&bundle.example()).map_err(|problems| {
        let first = problems
            .first()
            .map(|problem| format!("{}: {}", problem.pointer, problem.message))
            .unwrap_or_default();
        Problem::new(
            Reason::Answer,
            format!("the bundle does not accept its own example ({first})"),
        )
    })?;
    let golden = bundle.golden_rows();
    let singles: Vec<Rows> = (0..golden.len())
        .map(|row| golden.select(&[row]))
        .chain([example])
        .collect();
    let began = Instant::now();
    for rows in singles.iter().cycle().take(WARM_UP_ROWS.max(singles.len())) {
        for answer in bundle.answer(rows) {
            if !answer.prediction.value.is_finite() {
                return Err(Problem::new(
                    Reason::Answer,
                    "the bundle answers a row of its own with no finite number",
                ));
            }
            let json = answer.to_json();
            if let Some(key) = OWN_KEYS.iter().find(|key| json.contains_key(**key)) {
                return Err(Problem::new(
                    Reason::Answer,
                    format!(
                        "the model's answer has a field {key:?}, which the service fills itself; name it otherwise"
                    ),
                ));
            }
        }
        if began.elapsed() > WARM_UP_TIME {
            break;
        }
    }
    Ok(())
}
