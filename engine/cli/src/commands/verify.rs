//! `ratchet models verify NAME@VERSION`: whether a version is what was registered, and who says so.

use ratchet_artifacts::{Bucket, ModelManifest, PromotionLog, SignatureError, Signed, TrustedKeys, models};
use ratchet_model::Bundle;
use serde::Serialize;
use serde_json::json;

use crate::arguments::{Format, Reference};
use crate::display::table::Listing;
use crate::display::{describe, output};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    check: String,
    holds: bool,
    detail: String,
}

impl Check {
    fn new(check: impl Into<String>, outcome: Result<String, String>) -> Self {
        let holds = outcome.is_ok();
        let (Ok(detail) | Err(detail)) = outcome;
        Self {
            check: check.into(),
            holds,
            detail,
        }
    }
}

/// Checks a version from its bundle's bytes to the log's entries, and prints what holds. Exit status 1 if anything does not.
pub async fn verify(reference: &Reference, format: Format, settings: &Settings) -> Result<(), Failure> {
    let bucket = settings.open_bucket().await?.trusting(settings.trusted_keys()?);
    let found = super::models::find(&bucket, reference).await?;
    let manifest = models::get_signed(&bucket, &found.name, found.version)
        .await?
        .ok_or_else(|| Failure::service(format!("{}@{} has just gone", found.name, found.version)))?;
    let mut checks = contents(&bucket, &manifest.document).await;
    checks.push(Check::new("manifest", signature(&manifest, bucket.trusted())));
    checks.extend(promotions(&bucket, &manifest.document).await);

    let holds = checks.iter().all(|check| check.holds);
    let name = format!("{}@{}", found.name, found.version);
    match format {
        Format::Json => output::document(&json!({ "model": name, "holds": holds, "checks": checks }))?,
        Format::Text => {
            let mut listing = Listing::new(&["check", "", "detail"]);
            for check in &checks {
                let word = if check.holds { "holds" } else { "FAILS" };
                listing.row([check.check.as_str(), word, &check.detail]);
            }
            output::line(&listing.to_string());
        }
    }
    match holds {
        true => Ok(()),
        false => Err(Failure::reported(Status::Failed)),
    }
}

/// The bundle's bytes, its structure and its answers. What rests on a check that fails is not looked at.
async fn contents(bucket: &Bucket, manifest: &ModelManifest) -> Vec<Check> {
    let bytes = match bucket.get_blob(&manifest.bundle).await {
        Ok(bytes) => bytes,
        Err(error) => return vec![Check::new("bundle", Err(error.to_string()))],
    };
    let size = describe::count(manifest.bundle.bytes);
    let mut checks = vec![Check::new(
        "bundle",
        Ok(format!("{size} bytes, SHA-256 {}", manifest.bundle.sha256)),
    )];
    let bundle = match Bundle::read(&bytes) {
        Ok(bundle) if bundle.name() == manifest.name => bundle,
        Ok(bundle) => {
            let other = format!("it is a bundle of the model {:?}", bundle.name());
            checks.push(Check::new("structure", Err(other)));
            return checks;
        }
        Err(error) => {
            checks.push(Check::new("structure", Err(error.to_string())));
            return checks;
        }
    };
    checks.push(Check::new(
        "structure",
        Ok("lengths, indices and references hold together".to_owned()),
    ));
    let golden = bundle.check_golden_rows().map_err(|error| error.to_string());
    let golden = golden.map(|rows| format!("{rows} answered as in training, to the last bit"));
    checks.push(Check::new("golden rows", golden));
    checks
}

/// The chain of the log, and the entries that gave this version an alias.
async fn promotions(bucket: &Bucket, manifest: &ModelManifest) -> Vec<Check> {
    let log = PromotionLog::new(bucket.clone());
    let entries = match log.entries().await {
        Ok(entries) => entries,
        Err(error) => return vec![Check::new("promotion log", Err(error.to_string()))],
    };
    let chain = format!("{} entries, each names the digest of the one before", entries.len());
    let mut checks = vec![Check::new("promotion log", Ok(chain))];
    for entry in &entries {
        if entry.model != manifest.name || entry.version != manifest.version {
            continue;
        }
        let outcome = match log.signed_entry(entry.number).await {
            Ok(Some(signed)) => signature(&signed, bucket.trusted()),
            Ok(None) => Err("it has just gone".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        checks.push(Check::new(
            format!("entry {} ({} to {})", entry.number, entry.action, entry.alias),
            outcome,
        ));
    }
    checks
}

/// Who signed a document. Where nobody says whose signature counts, a document without one passes and says so.
fn signature<T>(signed: &Signed<T>, trusted: Option<&TrustedKeys>) -> Result<String, String> {
    let outcome = match trusted {
        Some(trusted) => trusted
            .accept(signed)
            .map(|key| format!("signed by {key}, a trusted key")),
        None => signed.signer.clone().map(|signer| match signer {
            Some(key) => format!("signed by {key}; RATCHET_TRUSTED_KEYS names nobody who is trusted"),
            None => "not signed".to_owned(),
        }),
    };
    outcome.map_err(|error: SignatureError| error.to_string())
}
