//! Who may ask: a token for a password, the token on each request, and the one table of routes and roles.

pub mod bearer;
pub mod caller;
pub mod keys;
pub mod limit;
pub mod options;
mod problems;
pub mod rules;
pub mod token;
pub mod users;
