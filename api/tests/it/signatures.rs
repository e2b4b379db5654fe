//! A service that is told to require signatures serves nothing unsigned.

use std::fs;

use ratchet_api::{Options, Service, StartError};
use ratchet_artifacts::{Bucket, SigningKey};
use serde_json::{Value, json};

use crate::bundles::{TestBundle, stations};
use crate::server::{House, Server, model, row};

/// The pair that RFC 8410, section 10, shows, and another one.
const OURS: [&str; 2] = [
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
];
const THEIRS: [&str; 2] = [
    "MC4CAQAwBQYDK2VwBCIEIPcmarNBkZIedaiJUebCwTxd1fiMTINS3cdfS4U8pSwE",
    "MCowBQYDK2VwAyEAP8sAPDEPZjD/oGny7VbfhcgXX7kdkQ9jqVOy1JTEtYQ=",
];

/// A house whose promotions are signed with `key`, and options that trust us.
struct Signed {
    house: House,
    plain: Bucket,
}

impl Signed {
    async fn new() -> Signed {
        let house = House::new().await;
        let path = house.home.path().join("trusted.pem");
        fs::write(
            path,
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", OURS[1]),
        )
        .unwrap();
        let plain = house.bucket.clone();
        Signed { house, plain }
    }

    fn sign_with(&mut self, key: Option<[&str; 2]>) {
        let key = key.map(|[private, _]| {
            let path = self.house.home.path().join("signing.pem");
            fs::write(
                &path,
                format!("-----BEGIN PRIVATE KEY-----\n{private}\n-----END PRIVATE KEY-----\n"),
            )
            .unwrap();
            SigningKey::open(&path).unwrap()
        });
        self.house.bucket = self.plain.clone().signing_with(key);
    }

    async fn release(&self, slope: f64) -> u64 {
        let bytes = TestBundle::new("alpha", slope).bytes();
        self.house.release("alpha", bytes).await.version
    }

    fn options(&self) -> Options {
        Options {
            trusted_keys: Some(self.house.home.path().join("trusted.pem")),
            ..self.house.options()
        }
    }
}

/// Waits until `version` was refused; why, and which version serves meanwhile.
async fn refused(server: &Server, version: u64) -> (Value, Value) {
    let health = server
        .wait_for(|health| {
            let alpha = model(health, "alpha");
            alpha["promoted"]["version"] == version && alpha["reason"].is_object()
        })
        .await;
    let alpha = model(&health, "alpha");
    (alpha["reason"].clone(), alpha["served"]["version"].clone())
}

#[tokio::test]
async fn what_is_not_signed_by_us_leaves_the_signed_version_serving() {
    let mut signed = Signed::new().await;
    signed.sign_with(Some(OURS));
    signed.release(1.0).await;
    let server = signed.house.serve_with(signed.options()).await;
    server.wait_for_version("alpha", 1).await;

    for (key, said) in [(None, "is not signed"), (Some(THEIRS), "none of the trusted keys")] {
        signed.sign_with(key);
        let version = signed.release(2.0).await;
        let (why, served) = refused(&server, version).await;
        assert_eq!((&why["code"], served), (&json!("signature"), json!(1)), "{why}");
        assert!(why["message"].as_str().unwrap().contains(said), "{why}");
        assert_eq!(server.get("/health").await.1["status"], "degraded");
        assert_eq!(server.post("/predict/alpha", &row(1.0)).await.1["seconds"], 2.0);
    }
    let metrics = server.text("/metrics/prometheus").await;
    assert!(
        metrics.contains(r#"load_failures_total{model="alpha",reason="signature"}"#),
        "{metrics}"
    );

    signed.sign_with(Some(OURS));
    let good = signed.release(2.0).await;
    server.wait_for_version("alpha", good).await;
}

#[tokio::test]
async fn a_signed_version_needs_a_signed_promotion_too() {
    let mut signed = Signed::new().await;
    signed.sign_with(Some(OURS));
    signed.release(1.0).await;
    let manifest = signed
        .house
        .register("alpha", TestBundle::new("alpha", 2.0).bytes())
        .await;
    let server = signed.house.serve_with(signed.options()).await;
    server.wait_for_version("alpha", 1).await;
    signed.sign_with(None);
    signed.house.promote(&manifest).await;
    let (why, served) = refused(&server, 2).await;
    assert!(
        why["message"]
            .as_str()
            .unwrap()
            .contains("promotions/00000000000000000002.json"),
        "{why}"
    );
    assert_eq!(served, 1);
}

#[tokio::test]
async fn a_service_that_starts_takes_the_newest_signed_entry_that_loads() {
    let mut signed = Signed::new().await;
    signed.sign_with(Some(OURS));
    signed.release(1.0).await;
    signed.release(2.0).await;
    signed.sign_with(None);
    signed.release(3.0).await;
    // Back to the first, by nobody that is trusted: the second is the newest that somebody signed.
    signed.house.rollback("alpha").await;
    signed.house.rollback("alpha").await;
    let server = signed.house.serve_with(signed.options()).await;
    let health = server.wait_for_version("alpha", 2).await;
    assert_eq!(model(&health, "alpha")["reason"]["code"], "signature", "{health}");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.1["seconds"], 3.0);

    // One that is not told to require signatures follows the log.
    let trusting = signed.house.serve().await;
    trusting.wait_for_version("alpha", 1).await;
}

#[tokio::test]
async fn a_manifest_that_was_altered_is_refused() {
    let mut signed = Signed::new().await;
    signed.sign_with(Some(OURS));
    signed.release(1.0).await;
    let path = signed.house.home.path().join("bucket/models/alpha/1.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"simulated\": false", "\"simulated\": true")).unwrap();
    let server = signed.house.serve_with(signed.options()).await;
    let (why, served) = refused(&server, 1).await;
    assert!(why["message"].as_str().unwrap().contains("does not hold"), "{why}");
    assert_eq!(served, Value::Null);
    assert_eq!(server.get("/health").await.0, 503);
}

#[tokio::test]
async fn a_lookup_that_nobody_signed_is_passed_over() {
    let mut signed = Signed::new().await;
    signed.sign_with(Some(OURS));
    signed
        .house
        .publish("delays", stations("delay", &[("Soho", 2.0)]))
        .await;
    let reader = TestBundle {
        lookup: Some("delays".to_owned()),
        ..TestBundle::new("alpha", 1.0)
    };
    signed.house.release("alpha", reader.bytes()).await;
    let server = signed.house.serve_with(signed.options()).await;
    server.wait_for_version("alpha", 1).await;
    signed.sign_with(None);
    signed
        .house
        .publish("delays", stations("delay", &[("Soho", 7.0)]))
        .await;
    let health = server
        .wait_for(|health| health["lookups"][0]["reason"]["code"] == "signature")
        .await;
    assert_eq!(health["lookups"][0]["version"], 1);
    // One, five, and ten times the delay that somebody signed.
    assert_eq!(server.post("/predict/alpha", &row(5.0)).await.1["seconds"], 26.0);
}

#[tokio::test]
async fn keys_that_cannot_be_read_stop_the_start() {
    let house = House::new().await;
    let options = Options {
        trusted_keys: Some(house.home.path().join("nowhere.pem")),
        ..house.options()
    };
    match Service::start_with(house.identity.clone(), house.bucket.clone(), &options).await {
        Err(StartError::Input(message)) => assert!(message.contains("nowhere.pem"), "{message}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}
