//! `ratchet audit list | verify`.

use super::users::open;
use crate::arguments::{Audit, Format};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

/// Lists the audit log or checks it.
pub async fn audit(command: Audit, settings: &Settings) -> Result<(), Failure> {
    let identity = open(settings).await?;
    match command {
        Audit::List { limit, listing } => {
            let entries = identity.audit_log(None, limit).await?;
            if listing.format == Format::Json {
                return output::document(&entries);
            }
            let mut rows = Listing::new(&["entry", "at", "who", "from", "what", "to what", "outcome"]);
            for entry in &entries {
                rows.row([
                    entry.number.to_string(),
                    describe::instant(entry.at),
                    entry.actor.clone(),
                    entry.origin.clone(),
                    entry.action.clone(),
                    entry.subject.clone(),
                    entry.outcome.clone(),
                ]);
            }
            table::print(&rows, "there are no entries yet");
            Ok(())
        }
        Audit::Verify { listing } => {
            let check = identity.verify_audit().await?;
            match (&check.broken, listing.format) {
                (_, Format::Json) => output::document(&check)?,
                (None, Format::Text) => output::line(&format!(
                    "{} entries, each follows from the one before it; the last has the hash {}",
                    check.intact, check.head
                )),
                (Some(_), Format::Text) => {}
            }
            match check.broken {
                None => Ok(()),
                Some(_) if listing.format == Format::Json => Err(Failure::reported(Status::Failed)),
                Some(broken) => Err(
                    Failure::failed(format!("the audit log was tampered with: {broken}")).help(format!(
                        "trust the first {} entries; look for a copy of identity.sqlite",
                        check.intact
                    )),
                ),
            }
        }
    }
}
