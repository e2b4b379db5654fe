//! Asking servers over HTTP: what every client of this workspace shares.

use reqwest::{Client, ClientBuilder, Url};

/// TLS without a C compiler's help. The first provider that a process installs stays, and ours is the same everywhere.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for an address. No proxy stands between this machine and itself.
pub fn client(address: &Url) -> ClientBuilder {
    use_ring();
    let host = address.host_str().unwrap_or_default();
    let is_local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    let builder = Client::builder();
    if is_local { builder.no_proxy() } else { builder }
}

/// Why an exchange failed: the innermost cause, as a lower-case fragment without the address, which may hold a secret.
pub fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
