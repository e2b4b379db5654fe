//! The one way to spread requests over aliases: what serving could not follow is refused before the log is asked.

use ratchet_artifacts::{Appended, Bucket, CHAMPION, NewRouting, PromotionError, PromotionLog, models};
use ratchet_model::Bundle;

/// Spreads a model's requests over its aliases.
///
/// # Errors
///
/// [`PromotionError::Routing`] if requests shall stick to what is no field of the champion's requests, and what [`PromotionLog::route`]
/// refuses.
pub async fn route(bucket: &Bucket, routing: &NewRouting) -> Result<Appended, PromotionError> {
    let log = PromotionLog::new(bucket.clone());
    if let Some(field) = &routing.sticky {
        check_field(bucket, &log, &routing.model, field).await?;
    }
    log.route(routing).await
}

async fn check_field(bucket: &Bucket, log: &PromotionLog, model: &str, field: &str) -> Result<(), PromotionError> {
    let head = log.head().await?;
    let Some(champion) = head.as_ref().and_then(|head| head.holder(model, CHAMPION)) else {
        return Ok(());
    };
    let Some(manifest) = models::get(bucket, model, champion.version).await? else {
        return Ok(());
    };
    // A bundle that cannot be read answers nobody.
    let Ok(bundle) = Bundle::read(&bucket.get_blob(&manifest.bundle).await?) else {
        return Ok(());
    };
    let schema = bundle.schema();
    let known = schema.fields.iter().map(|known| known.name.as_str());
    let known: Vec<&str> = known
        .chain(schema.unused.iter().map(|known| known.name.as_str()))
        .collect();
    if known.contains(&field) {
        return Ok(());
    }
    Err(PromotionError::Routing {
        model: model.to_owned(),
        problem: format!(
            "requests for version {} have no field '{field}' to stick to; they have {}",
            champion.version,
            known.join(", ")
        ),
    })
}
