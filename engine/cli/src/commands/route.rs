//! `ratchet models route`.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_artifacts::{NewRouting, PromotionEntry, PromotionLog};

use super::models::{by_hand, given};
use crate::arguments::{Format, Route};
use crate::display::output;
use crate::failure::Failure;
use crate::settings::{self, Settings};

/// Spreads a model's requests over its aliases.
pub async fn route(route: Route, settings: &Settings) -> Result<(), Failure> {
    let mut shares = BTreeMap::new();
    for (alias, share) in route.shares {
        if shares.insert(alias.clone(), share).is_some() {
            return Err(Failure::input(format!("alias `{alias}` has two shares")).help("name each alias once"));
        }
    }
    let routing = NewRouting {
        model: route.name,
        shares,
        shadows: BTreeSet::from_iter(route.shadows),
        actor: settings::actor(),
        reason: given(route.reason)?,
        key: by_hand(),
    };
    let log = PromotionLog::new(settings.open_bucket().await?);
    let entry = log.route(&routing).await?.entry;
    if route.listing.format == Format::Json {
        return output::document(&entry);
    }
    output::line(&format!(
        "{}; entry {} of the promotion log",
        told(&entry),
        entry.number
    ));
    Ok(())
}

fn told(entry: &PromotionEntry) -> String {
    let answering = entry.answering(&entry.model).into_iter();
    let shares = answering.map(|(alias, holder)| format!("{alias} (@{}) {} %", holder.version, holder.weight));
    let shadows = entry
        .shadows(&entry.model)
        .map(|(alias, holder)| format!("{alias} (@{}) as a shadow", holder.version));
    let parts: Vec<String> = shares.chain(shadows).collect();
    format!("requests for {} are answered by {}", entry.model, parts.join(", "))
}
