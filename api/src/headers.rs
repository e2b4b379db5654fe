//! What every answer says to browsers: nothing is guessed, framed, kept or shared unless it was asked for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::CorsLayer;

use crate::models::share::ROUTE_KEY;
use crate::service::{Application, StartError};

/// Answers are data; nothing in them runs.
const NOTHING_RUNS: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// How long browsers keep asking by TLS only.
const ENCRYPTED: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Headers of answers that pages of other origins may read.
const SHOWN: [HeaderName; 12] = [
    HeaderName::from_static("ratchet-model"),
    HeaderName::from_static("ratchet-model-version"),
    HeaderName::from_static("ratchet-model-digest"),
    HeaderName::from_static("ratchet-model-alias"),
    HeaderName::from_static("ratchet-lookups"),
    HeaderName::from_static("ratchet-simulated"),
    HeaderName::from_static("ratchet-prediction-id"),
    HeaderName::from_static("ratchet-interval"),
    HeaderName::from_static("ratchet-out-of-distribution"),
    HeaderName::from_static("ratchet-may-be-underestimated"),
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];

/// Adds to each answer what it does not say itself.
pub async fn harden(State(application): State<Arc<Application>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING_RUNS);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if application.encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ENCRYPTED);
    }
    response
}

/// The origins as they stand in requests.
///
/// # Errors
/// [`StartError::Input`] if one is no origin.
pub fn origins(names: &[String]) -> Result<Vec<HeaderValue>, StartError> {
    let named = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    let read = |name: &str| {
        let host = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
        let value = HeaderValue::from_str(name).ok();
        match (host, value) {
            (Some(host), Some(value)) if !host.is_empty() && !host.contains(['/', '*', '?', '#', '@']) => Ok(value),
            _ => Err(StartError::Input(format!(
                "{name:?} in RATCHET_CORS_ORIGINS is no origin; write scheme and host as in https://example.org"
            ))),
        }
    };
    named.map(read).collect()
}

/// Lets pages of these origins ask; none: nothing is added, so that browsers refuse all others.
pub fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, ROUTE_KEY])
        .expose_headers(SHOWN);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host() {
        let read = |name: &str| origins(&[name.to_owned()]).ok();
        assert_eq!(read("https://example.org").map(|origins| origins.len()), Some(1));
        assert_eq!(read("http://localhost:3000").map(|origins| origins.len()), Some(1));
        assert_eq!(read(" ").map(|origins| origins.len()), Some(0));
        for wrong in [
            "*",
            "example.org",
            "https://",
            "https://example.org/",
            "https://*.org",
            "null",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
