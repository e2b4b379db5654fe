//! Connections: accepted, encrypted, and not waited for for ever.

mod patient;
mod serve;
mod tls;

pub use serve::serve;
pub use tls::{TlsFiles, acceptor};
