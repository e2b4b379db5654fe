//! Whether somebody who may has signed what is about to be served, where a service is told to require it.
//!
//! What counts is the entry that gave a version its alias and the version's manifest. The table of a later entry repeats what
//! stood before it: whoever signed that one does not answer for it.

use ratchet_artifacts::{
    Bucket, LookupManifest, ModelManifest, PromotionEntry, PromotionError, PromotionLog, SignatureError, lookups,
    models,
};

use super::load::{Problem, Reason};
use super::registry::Version;

impl From<PromotionError> for Problem {
    fn from(error: PromotionError) -> Problem {
        match error {
            PromotionError::Bucket(error) => error.into(),
            other => Problem::new(Reason::Damaged, other.to_string()),
        }
    }
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Problem {
        Problem::new(Reason::Signature, error.to_string())
    }
}

/// An entry of the log; none if there is none, or if it lacks a signature that it needs.
pub async fn entry(bucket: &Bucket, log: &PromotionLog, number: u64) -> Result<Option<PromotionEntry>, PromotionError> {
    let Some(trusted) = bucket.trusted() else {
        return log.entry(number).await;
    };
    let entry = log.signed_entry(number).await?;
    let accepted = entry.filter(|entry| trusted.accept(entry).is_ok());
    Ok(accepted.map(|entry| entry.document))
}

/// The manifest of a lookup, which decides answers as much as a model does.
pub async fn lookup(bucket: &Bucket, name: &str, version: u64) -> Result<Option<LookupManifest>, Problem> {
    let Some(trusted) = bucket.trusted() else {
        return Ok(lookups::get(bucket, name, version).await?);
    };
    let manifest = lookups::get_signed(bucket, name, version).await?;
    if let Some(manifest) = &manifest {
        trusted.accept(manifest)?;
    }
    Ok(manifest.map(|manifest| manifest.document))
}

/// The manifest of a version, if it is there. Where signatures count, it and the entry, not after `newest`, that gave the version its alias
/// are checked.
pub async fn manifest(
    bucket: &Bucket,
    model: &str,
    alias: &str,
    version: &Version,
    newest: Option<u64>,
) -> Result<Option<ModelManifest>, Problem> {
    let Some(trusted) = bucket.trusted() else {
        return Ok(models::get(bucket, model, version.version).await?);
    };
    let log = PromotionLog::new(bucket.clone());
    let newest = match newest {
        Some(newest) => newest,
        None => log.head().await?.map_or(0, |head| head.number),
    };
    let entry = log.giving(model, alias, newest).await?;
    let entry = entry.filter(|entry| {
        let promoted = &entry.document;
        promoted.version == version.version && promoted.digest == version.digest
    });
    let entry = entry.ok_or_else(|| {
        let message = format!(
            "no entry of the promotion log makes {model}@{} {alias}, only the table of another one says so; promote it again \
             with RATCHET_SIGNING_KEY set",
            version.version
        );
        Problem::new(Reason::Signature, message)
    })?;
    trusted.accept(&entry)?;
    let manifest = models::get_signed(bucket, model, version.version).await?;
    if let Some(manifest) = &manifest {
        trusted.accept(manifest)?;
    }
    Ok(manifest.map(|manifest| manifest.document))
}
