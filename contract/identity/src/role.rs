//! What a user may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Roles in rising order: each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Asks for predictions.
    User,
    /// Also starts, cancels and retries runs.
    Operator,
    /// Also manages users and promotes by hand.
    Admin,
}

impl Role {
    /// Every role, in rising order.
    pub const ALL: [Role; 3] = [Role::User, Role::Operator, Role::Admin];

    /// The word that is stored, printed and written in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("role {0:?} is not known; write user, operator or admin")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn roles_rise_and_their_words_read_back() {
        assert!(Role::User < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_choices() {
        let problem = "Admin".parse::<Role>().map_err(|error| error.to_string());
        assert_eq!(
            problem,
            Err("role \"Admin\" is not known; write user, operator or admin".to_owned())
        );
    }
}
