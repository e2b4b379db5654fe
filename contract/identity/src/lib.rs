//! Who may ask: users, roles, passwords, bearer tokens, API keys; and who changed what.
//!
//! [`Identity::open`] opens `identity.sqlite` in a Ratchet home and creates it on first use, or a schema of its own in the Postgres that
//! several homes share. The engine's command line adds and
//! removes users there; the prediction API checks passwords, issues tokens and checks them again on each request:
//!
//! ```
//! # async fn story(home: &std::path::Path) -> Result<(), ratchet_identity::Error> {
//! use ratchet_identity::{Identity, Role};
//!
//! let identity = Identity::open(home, None).await?;
//! identity.add_user("ada", "correct horse", Role::User).await?;
//!
//! let user = identity.verify_password("ada", "correct horse").await?;
//! let issued = identity.issue_token(&user)?;
//! let caller = identity.verify_token(&issued.token).await?;
//! assert_eq!(caller.username, "ada");
//! # Ok(())
//! # }
//! ```
//!
//! What holds:
//!
//! - A password is kept as an argon2id hash ([`password`]). Checking an unknown name takes as long as checking a known one, and
//!   both are answered by the same words.
//! - Five wrong passwords in a minute lock a name until the oldest of them is a minute old ([`throttle`]).
//! - A token is a JWT ([`token`]) signed with `RATCHET_JWT_SECRET` or, without it, with a random secret that is kept in the
//!   home ([`secret`]), or with a key pair whose public half others may have. A user who was removed or disabled, or whose role changed, is met as they are now, at most
//!   [`memory::CALLER_MEMORY`] later, whatever the token says.
//! - While the database does not answer, who was let in within [`memory::OUTAGE_MEMORY`] is let in.
//! - A token is for one service: the engine refuses what was issued by the prediction API, and the other way round
//!   ([`Identity::for_audience`]).
//! - A refresh token ([`refresh`]) is good for one new pair of tokens. One that comes a second time was stolen from someone: all
//!   that came from the same login end.
//! - Programs use API keys ([`api_key`]): 256 random bits, shown once, kept as SHA-256, with a role and an end, for one service or both.
//! - Every change is an entry of the audit log ([`audit`]), written in the same transaction. Each entry holds the hash of the one
//!   before it, so that an altered history shows.
//! - Who writes holds a lock from the beginning, so that processes on one database take turns instead of failing.

pub mod api_key;
pub mod audit;
pub mod error;
pub mod identity;
pub mod memory;
pub mod password;
pub mod refresh;
pub mod role;
pub mod secret;
mod store;
pub mod throttle;
pub mod token;
pub mod user;
mod verified;

pub use api_key::{ApiKey, NewKey};
pub use audit::{Act, Actor, AuditCheck, AuditEntry};
pub use error::Error;
pub use identity::{Administrator, Identity};
pub use refresh::IssuedRefresh;
pub use role::Role;
pub use token::{Audience, IssuedToken, PublicKey, PublicKeys};
pub use user::User;
