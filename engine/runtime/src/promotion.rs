//! The one way to a promotion: what serving could not answer, and what those who ask would miss, is refused before the log is asked.

use ratchet_artifacts::{
    Appended, BlobRef, Bucket, BucketError, ModelManifest, NewPromotion, PromotionEntry, PromotionError, PromotionLog,
    models,
};
use ratchet_model::{Bundle, breaking_changes, route_problem};
use serde_json::Value;

/// Why nothing was promoted.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// The log refuses, or the bucket fails.
    #[error(transparent)]
    Log(#[from] PromotionError),
    /// Those who ask would notice.
    #[error(
        "{model}@{version} would break requests or answers of {model}@{holder}: {changes}; tell those who ask, then allow it: \
         `breaking: true` in the task, or 'ratchet models promote {model}@{version} --breaking'"
    )]
    Breaking {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// The version that holds the alias.
        holder: u64,
        /// What would break.
        changes: String,
    },
    /// Its path cannot be its own.
    #[error("{model}@{version} cannot be promoted: {problem}; give it another `route`")]
    Route {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// What is wrong with the route.
        problem: String,
    },
}

impl From<BucketError> for PromoteError {
    fn from(error: BucketError) -> Self {
        Self::Log(error.into())
    }
}

impl PromoteError {
    /// True if the same call may succeed later with nothing changed.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Log(error) if error.may_retry())
    }
}

/// Gives an alias to a version. `breaking` allows what those who ask would notice: fields that are new, narrower or gone, and answers
/// that hold less.
///
/// # Errors
///
/// [`PromoteError::Breaking`], [`PromoteError::Route`], and what [`PromotionLog::promote`] refuses.
pub async fn promote(bucket: &Bucket, promotion: NewPromotion, breaking: bool) -> Result<Appended, PromoteError> {
    let log = PromotionLog::new(bucket.clone());
    let entries = log.entries().await?;
    // What was appended already is only read back.
    let repeated = entries.iter().any(|entry| entry.key == promotion.key);
    let manifest = models::get(bucket, &promotion.model, promotion.version).await?;
    if let (false, Some(manifest)) = (repeated, manifest) {
        check_route(bucket, &manifest, entries.last()).await?;
        if !breaking {
            check_breaking(bucket, &manifest, &promotion.alias, entries.last()).await?;
        }
    }
    Ok(log.promote(promotion).await?)
}

fn route(manifest: &ModelManifest) -> Option<&str> {
    manifest.parameters.get("route").and_then(Value::as_str)
}

/// Two models cannot answer at one path, and none at a path of the API itself.
async fn check_route(
    bucket: &Bucket,
    manifest: &ModelManifest,
    head: Option<&PromotionEntry>,
) -> Result<(), PromoteError> {
    let Some(path) = route(manifest) else {
        return Ok(());
    };
    let refused = |problem: String| {
        Err(PromoteError::Route {
            model: manifest.name.clone(),
            version: manifest.version,
            problem,
        })
    };
    if let Some(problem) = route_problem(&manifest.name, path) {
        return refused(problem);
    }
    let others = head
        .iter()
        .flat_map(|head| &head.table)
        .filter(|(other, _)| **other != manifest.name);
    for (other, aliases) in others {
        for holder in aliases.values() {
            let theirs = models::get(bucket, other, holder.version).await?;
            if theirs.is_some_and(|theirs| route(&theirs) == Some(path)) {
                return refused(format!("its route {path} is taken by `{other}`"));
            }
        }
    }
    Ok(())
}

async fn check_breaking(
    bucket: &Bucket,
    manifest: &ModelManifest,
    alias: &str,
    head: Option<&PromotionEntry>,
) -> Result<(), PromoteError> {
    let Some(holder) = head.and_then(|head| head.holder(&manifest.name, alias)) else {
        return Ok(());
    };
    let Some(held) = models::get(bucket, &manifest.name, holder.version).await? else {
        return Ok(());
    };
    // A bundle that cannot be read answers nobody: whoever replaces it breaks nothing, and serving never loads it.
    let (Some(before), Some(after)) = (read(bucket, &held.bundle).await?, read(bucket, &manifest.bundle).await?) else {
        return Ok(());
    };
    let changes = breaking_changes(&before, &after);
    if changes.is_empty() {
        return Ok(());
    }
    Err(PromoteError::Breaking {
        model: manifest.name.clone(),
        version: manifest.version,
        holder: holder.version,
        changes: changes.join(", "),
    })
}

async fn read(bucket: &Bucket, blob: &BlobRef) -> Result<Option<Bundle>, PromoteError> {
    match bucket.get_blob(blob).await {
        Ok(bytes) => Ok(Bundle::read(&bytes).ok()),
        Err(error) if error.may_retry() => Err(error.into()),
        Err(_) => Ok(None),
    }
}
