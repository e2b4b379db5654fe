//! Passwords: the rules, and argon2id hashes of them.
//!
//! Parameters are argon2's own defaults (19 MiB, two passes, one lane), which are OWASP's first choice; they are part of each hash,
//! so that they can rise later without touching the users there are.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

use crate::error::Error;

/// Shortest password, in characters.
pub const SHORTEST: usize = 8;
/// Longest password, in bytes: hashing a request body of megabytes is work that nobody asked for in earnest.
pub const LONGEST: usize = 1024;

/// Checks a new password against the rules.
///
/// # Errors
/// [`Error::PasswordRule`] with the rule that it breaks; never the password.
pub fn check_rules(password: &str) -> Result<(), Error> {
    if password.chars().count() < SHORTEST {
        return Err(Error::PasswordRule("it needs at least 8 characters"));
    }
    if password.len() > LONGEST {
        return Err(Error::PasswordRule("it may have at most 1024 bytes"));
    }
    Ok(())
}

/// Hashes a password with a fresh salt to a PHC string (`$argon2id$v=19$...`). Takes tens of milliseconds on purpose: call it off
/// the threads that answer requests.
///
/// # Errors
/// [`Error::Internal`] if argon2 refuses, which its defaults never do.
pub fn hash(password: &str) -> Result<String, Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(internal)?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(internal)?;
    Ok(hash.to_string())
}

/// True if the password made this hash. An unreadable hash matches nothing.
pub fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// Does the work of [`verify`] for a user who does not exist, so that time does not tell who does. Always false.
pub fn verify_nobody(password: &str) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let hash = NOBODY.get_or_init(|| hash(&hex::encode(rand::random::<[u8; 16]>())).unwrap_or_default());
    // The dummy's password is random and forgotten; should someone guess it, there is still nobody.
    std::hint::black_box(verify(password, hash));
    false
}

fn internal(error: argon2::password_hash::Error) -> Error {
    Error::Internal(format!("argon2 refused its own defaults: {error}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_salted_and_matches_only_its_password() {
        let first = hash("correct horse").unwrap();
        let second = hash("correct horse").unwrap();
        assert!(first.starts_with("$argon2id$v=19$"), "{first}");
        assert_ne!(first, second, "the salt is fresh");
        assert!(verify("correct horse", &first));
        assert!(!verify("correct horsf", &first));
        assert!(!verify("correct horse", "not a hash"));
    }

    #[test]
    fn rules_count_characters_and_bound_bytes() {
        assert_eq!(
            check_rules("1234567").unwrap_err().to_string(),
            "the password is not usable: it needs at least 8 characters"
        );
        assert!(check_rules("äöüäöüäö").is_ok());
        assert!(check_rules(&"x".repeat(LONGEST)).is_ok());
        assert!(check_rules(&"x".repeat(LONGEST + 1)).is_err());
    }
}
