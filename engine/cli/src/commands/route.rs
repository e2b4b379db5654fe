//! `ratchet models route`.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_artifacts::{NewRouting, PromotionEntry};
use serde_json::json;

use super::models::{by_hand, given};
use crate::arguments::{Format, Route};
use crate::display::output;
use crate::failure::Failure;
use crate::remote::Client;
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
        sticky: route.sticky,
        actor: settings::actor(),
        reason: given(route.reason)?,
        key: by_hand(),
    };
    let entry = match &route.remote.server {
        Some(server) => there(&Client::open(server)?, &routing).await?,
        None => {
            ratchet_runtime::route(&settings.open_bucket().await?, &routing)
                .await?
                .entry
        }
    };
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

async fn there(client: &Client, routing: &NewRouting) -> Result<PromotionEntry, Failure> {
    let mut body = json!({ "shares": routing.shares, "shadows": routing.shadows, "reason": routing.reason });
    if let Some(field) = &routing.sticky {
        body["sticky"] = json!(field);
    }
    client
        .post(&["api", "v1", "models", &routing.model, "route"], &[], &body)
        .await
}

fn told(entry: &PromotionEntry) -> String {
    let answering = entry.answering(&entry.model).into_iter();
    let shares = answering.map(|(alias, holder)| format!("{alias} (@{}) {} %", holder.version, holder.weight));
    let shadows = entry
        .shadows(&entry.model)
        .map(|(alias, holder)| format!("{alias} (@{}) as a shadow", holder.version));
    let parts: Vec<String> = shares.chain(shadows).collect();
    let sticky = entry.sticky.get(&entry.model);
    let sticky = sticky.map(|field| format!(", the same {field} by the same one"));
    format!(
        "requests for {} are answered by {}{}",
        entry.model,
        parts.join(", "),
        sticky.unwrap_or_default()
    )
}
