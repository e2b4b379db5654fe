//! `ratchet users add | list | remove`.

use std::io::{BufRead, Read};

use ratchet_identity::{Actor, Identity};

use crate::arguments::{Format, Users};
use crate::display::table::Listing;
use crate::display::{describe, output, table};
use crate::failure::Failure;
use crate::settings::{self, Settings};

/// Adds, lists or removes users.
pub async fn users(command: Users, settings: &Settings) -> Result<(), Failure> {
    let identity = open(settings).await?;
    match command {
        Users::Add {
            name,
            role,
            password_stdin,
        } => {
            let given = if password_stdin {
                Some(from_stdin()?)
            } else {
                std::env::var("RATCHET_PASSWORD").ok()
            };
            let made_up = given.is_none();
            let password = given.map_or_else(random_password, Ok)?;
            let user = identity.add_user(&name, &password, role).await?;
            output::line(&format!("added {} with the role {}", user.username, user.role));
            if made_up {
                output::line(&format!("password: {password}\nIt is shown this once."));
            }
            Ok(())
        }
        Users::List { listing } => {
            let users = identity.list().await?;
            if listing.format == Format::Json {
                return output::document(&users);
            }
            let mut rows = Listing::new(&["user", "role", "since", "state"]);
            for user in &users {
                rows.row([
                    user.username.clone(),
                    user.role.to_string(),
                    describe::instant(user.created_at),
                    if user.disabled { "disabled" } else { "active" }.to_owned(),
                ]);
            }
            table::print(&rows, "there are no users yet; `ratchet users add NAME` adds one");
            Ok(())
        }
        Users::Remove { name } => {
            identity.remove(&name).await?;
            output::line(&format!("removed {name}; its tokens are no longer valid"));
            Ok(())
        }
    }
}

/// Opens the database of users in the home directory, as whoever sits before it.
pub async fn open(settings: &Settings) -> Result<Identity, Failure> {
    std::fs::create_dir_all(&settings.home).map_err(|error| {
        Failure::service(format!(
            "the home directory {} cannot be made: {error}",
            settings.home.display()
        ))
        .help("name another one with --home or RATCHET_HOME")
    })?;
    let identity = Identity::open_with_secret(
        &settings.home,
        settings.database_url.as_deref(),
        settings.jwt_secret.as_deref(),
    )
    .await?;
    Ok(identity.acting(Actor::new(settings::actor(), "local")))
}

fn from_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::input(format!("the password cannot be read from stdin: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// 128 bits of the system's randomness as hexadecimal digits.
pub fn random_password() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Failure::service(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
