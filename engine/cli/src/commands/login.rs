//! `ratchet login`.

use std::io::{BufRead, IsTerminal};

use crate::arguments::Login;
use crate::display::output;
use crate::failure::Failure;
use crate::remote::Client;
use crate::settings;

/// Gets a token and keeps it for `--server`.
pub async fn login(arguments: Login) -> Result<(), Failure> {
    let user = arguments.user.unwrap_or_else(settings::actor);
    let password = match std::env::var("RATCHET_PASSWORD") {
        Ok(password) => password,
        Err(_) => asked(&user)?,
    };
    let (server, tokens, role) = Client::log_in(&arguments.server, &user, &password).await?;
    if Client::is_open(&server) {
        output::error(&format!(
            "warning: {server} does not encrypt; the password and the token could be read on the way"
        ));
    }
    output::line(&format!(
        "logged in at {server} as {user} with the role {role}; the token is kept in {}",
        tokens.path().display()
    ));
    Ok(())
}

fn asked(user: &str) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        output::error(&format!("password of {user} (it shows while you type):"));
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::input(format!("the password cannot be read from stdin: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
