//! How the service fails to start or to go on.

use std::net::SocketAddr;

/// The service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or may not be used.
    #[error("{address} cannot be listened on: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection handling ended.
    #[error("the service on {address} ended: {source}; start it again")]
    Serve {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
