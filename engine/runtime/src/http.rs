//! Asking others over HTTP.

use reqwest::{Client, ClientBuilder, Url};

/// TLS without a C compiler's help. The first provider that a process installs stays, and ours is the same everywhere.
pub(crate) fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for an address. No proxy stands between this machine and itself.
pub(crate) fn builder(address: &Url) -> ClientBuilder {
    use_ring();
    let host = address.host_str().unwrap_or_default();
    let local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if local {
        Client::builder().no_proxy()
    } else {
        Client::builder()
    }
}
