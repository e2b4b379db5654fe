//! `ratchet lookups list`.

use ratchet_runtime::{PublishedLookup, published_lookups};
use serde::Deserialize;

use crate::arguments::{Format, Lookups};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings::Settings;

#[derive(Deserialize)]
struct Answer {
    lookups: Vec<PublishedLookup>,
}

/// Lists what is published, and who reads it.
pub async fn lookups(command: Lookups, settings: &Settings) -> Result<(), Failure> {
    let Lookups::List { remote, listing } = command;
    let lookups = match &remote.server {
        Some(server) => {
            let answer: Answer = Client::open(server)?.get(&["api", "v1", "lookups"], &[]).await?;
            answer.lookups
        }
        None => published_lookups(&settings.open_bucket().await?).await?,
    };
    if listing.format == Format::Json {
        return output::document(&lookups);
    }
    let mut lines = Listing::new(&["lookup", "versions", "rows", "found by", "read by", "newest", "source"]);
    for lookup in lookups {
        let key = lookup.found_by.into_iter().chain(lookup.time);
        let readers = lookup
            .readers
            .iter()
            .map(|reader| format!("{}@{} ({})", reader.model, reader.version, reader.alias));
        lines.row([
            format!("{}@{}", lookup.name, lookup.latest),
            lookup.versions.to_string(),
            describe::count(lookup.rows),
            key.collect::<Vec<_>>().join(", "),
            readers.collect::<Vec<_>>().join(", "),
            describe::instant(lookup.created_at),
            describe::marked(lookup.source, lookup.simulated),
        ]);
    }
    table::print(
        &lines,
        "there are no lookups yet; a run with `publish.lookup` makes them",
    );
    Ok(())
}
