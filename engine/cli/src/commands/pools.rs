//! `ratchet pools`: what pools there are, who holds their slots and who waits for them.

use std::sync::Arc;

use ratchet_core::plugin::Registry;
use ratchet_runtime::PoolRecord;
use serde::Deserialize;

use crate::arguments::{Format, Pools};
use crate::display::table::Listing;
use crate::display::{output, table};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::Settings;

#[derive(Deserialize)]
struct PoolsThere {
    pools: Vec<PoolRecord>,
}

/// Lists the pools.
pub async fn pools(arguments: Pools, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let pools = match &arguments.remote.server {
        Some(server) => {
            let answer: PoolsThere = Client::open(server)?.get(&["api", "v1", "pools"], &[]).await?;
            answer.pools
        }
        None => settings.open_engine(registry).await?.pools().await?,
    };
    if arguments.listing.format == Format::Json {
        return output::document(&pools);
    }
    let mut rows = Listing::new(&["pool", "slots", "taken", "held by", "waiting"]);
    for pool in &pools {
        let holders = pool
            .holders
            .iter()
            .map(|holder| format!("{} of {}", holder.task, holder.run));
        let waiting = pool
            .waiting
            .iter()
            .map(|waiter| format!("{} of {}", waiter.task, waiter.run));
        rows.row([
            pool.name.clone(),
            pool.slots
                .map_or_else(|| "not declared here".to_owned(), |slots| slots.to_string()),
            pool.holders.len().to_string(),
            holders.collect::<Vec<_>>().join("\n"),
            waiting.collect::<Vec<_>>().join("\n"),
        ]);
    }
    table::print(&rows, "there are no pools; declare them under [pools] in ratchet.toml");
    Ok(())
}
