//! Who may ask: a token for a password, and the token on each request.

pub mod bearer;
pub mod token;
