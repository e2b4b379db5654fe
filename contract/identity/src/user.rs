//! A user, without the password.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::error::Error;
use crate::role::Role;

/// Someone, or something, that may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// UUIDv7; the subject of this user's tokens. A removed user's id never comes back.
    pub id: Uuid,
    /// Unique; upper and lower case differ.
    pub username: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was added.
    pub created_at: Timestamp,
    /// A disabled user keeps the name and gets no token.
    pub disabled: bool,
}

/// Checks a username: 1 to 64 ASCII letters, digits or `. - _ @ +`, beginning with a letter or digit.
///
/// # Errors
/// [`Error::Username`] with the rule.
pub fn check_username(username: &str) -> Result<(), Error> {
    let begins_well = username.starts_with(|first: char| first.is_ascii_alphanumeric());
    let made_of_known = username
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || ".-_@+".contains(letter));
    if begins_well && made_of_known && username.len() <= 64 {
        Ok(())
    } else {
        Err(Error::Username(username.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::check_username;

    #[test]
    fn usernames_are_short_and_plain() {
        for good in ["a", "ada", "Ada.Lovelace+test@example.org", &"x".repeat(64)] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in ["", " ada", "ada lovelace", "-ada", "ådä", "a\n", &"x".repeat(65)] {
            assert!(check_username(bad).is_err(), "{bad}");
        }
    }
}
