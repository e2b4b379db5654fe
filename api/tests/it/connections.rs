//! Headers, pages of other origins, and HTTPS.

use std::path::PathBuf;

use ratchet_api::Options;
use ratchet_api::access::options::AccessOptions;
use ratchet_api::connection::TlsFiles;
use serde_json::Value;

use crate::server::{House, client};

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/certificate.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/key.pem");

#[tokio::test]
async fn answers_are_neither_guessed_nor_framed_nor_kept() {
    let house = House::new().await;
    let server = house.serve().await;
    for path in ["/health", "/nowhere", "/v2/nowhere", "/openapi.json", "/docs/"] {
        let response = server.client.get(server.url(path)).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("script-src 'self'"), path == "/docs/", "{path}");
        assert!(!headers.contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask_only_where_that_was_said() {
    let house = House::new().await;
    let closed = house.serve().await;
    let options = Options {
        access: AccessOptions {
            origins: vec!["https://app.example".to_owned()],
            ..AccessOptions::default()
        },
        ..house.options()
    };
    let open = house.serve_with(options).await;
    let allowed = async |server: &crate::server::Server, origin: &str| {
        let request = server
            .client
            .request(reqwest::Method::OPTIONS, server.url("/predict/alpha"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let headers = request.send().await.unwrap().headers().clone();
        let said = headers.get("access-control-allow-origin").cloned();
        said.map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(allowed(&closed, "https://app.example").await, None);
    assert_eq!(
        allowed(&open, "https://app.example").await.as_deref(),
        Some("https://app.example")
    );
    assert_eq!(allowed(&open, "https://evil.example").await, None);
}

#[tokio::test]
async fn with_a_certificate_it_speaks_https_alone() {
    let house = House::new().await;
    let options = Options {
        tls: Some(TlsFiles {
            certificate: PathBuf::from(CERTIFICATE),
            key: PathBuf::from(KEY),
        }),
        ..house.options()
    };
    let server = house.serve_with(options).await;
    let _ = client();
    let pem = std::fs::read(CERTIFICATE).unwrap();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let url = format!("https://{}/health", server.address);
    let response = trusting.get(&url).send().await.unwrap();
    assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
    let health: Value = response.json().await.unwrap();
    assert!(health["status"].is_string());
    assert!(client().get(&url).send().await.is_err(), "nobody knows this authority");
    let plain = client().get(format!("http://{}/health", server.address)).send().await;
    assert!(plain.is_err(), "no plain HTTP beside it");
    drop(trusting);
    server.stop().await;
}
