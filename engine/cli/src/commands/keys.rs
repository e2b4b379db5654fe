//! `ratchet keys add | list | revoke`.

use jiff::Timestamp;
use ratchet_identity::{ApiKey, Audience};
use serde_json::json;

use super::users::open;
use crate::arguments::{Format, Keys};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::Settings;

/// Makes, lists or revokes keys.
pub async fn keys(command: Keys, settings: &Settings) -> Result<(), Failure> {
    let identity = open(settings).await?;
    match command {
        Keys::Add {
            name,
            role,
            days,
            only,
            listing,
        } => {
            let made = identity.add_key_for(&name, role, days, only).await?;
            if listing.format == Format::Json {
                return output::document(&json!({ "key": made.key, "secret": made.secret }));
            }
            output::line(&format!(
                "made {name} with the role {role}, good until {}\nkey: {}\nIt is shown this once. Send it as 'Authorization: Bearer KEY'.",
                describe::instant(made.key.expires_at),
                made.secret
            ));
            Ok(())
        }
        Keys::List { listing } => {
            let keys = identity.list_keys().await?;
            if listing.format == Format::Json {
                return output::document(&keys);
            }
            let mut rows = Listing::new(&["key", "role", "for", "since", "by", "until", "state"]);
            for key in &keys {
                rows.row([
                    key.name.clone(),
                    key.role.to_string(),
                    key.audience.map_or("both", Audience::as_str).to_owned(),
                    describe::instant(key.created_at),
                    key.created_by.clone(),
                    describe::instant(key.expires_at),
                    state(key).to_owned(),
                ]);
            }
            table::print(&rows, "there are no keys yet; `ratchet keys add NAME` makes one");
            Ok(())
        }
        Keys::Revoke { name } => {
            identity.revoke_key(&name).await?;
            output::line(&format!("revoked {name}; it is refused within two seconds"));
            Ok(())
        }
    }
}

fn state(key: &ApiKey) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at <= Timestamp::now() {
        "expired"
    } else {
        "active"
    }
}
