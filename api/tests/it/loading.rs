//! Bundles that must not serve, and what the service does instead.

use ratchet_artifacts::PromotionEntry;
use serde_json::{Value, json};

use crate::bundles::{TestBundle, with_another_golden_answer};
use crate::server::{House, Server, model, row};

/// Waits until version `version` of alpha has been refused, and returns why.
async fn refusal(server: &Server, version: u64) -> Value {
    let failed = |health: &Value| {
        let alpha = model(health, "alpha");
        alpha["promoted"]["version"] == version && alpha["state"] == "failed"
    };
    let health = server.wait_for(failed).await;
    model(&health, "alpha")["reason"].clone()
}

#[tokio::test]
async fn each_kind_of_bad_bundle_leaves_the_old_one_serving() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;

    let whole = TestBundle::new("alpha", 2.0).bytes();
    let overlapping = TestBundle {
        answer: "simulated".to_owned(),
        ..TestBundle::new("alpha", 2.0)
    };
    let cases = [
        ("structure", b"this is no bundle".to_vec()),
        ("structure", Vec::new()),
        ("structure", whole[..whole.len() / 2].to_vec()),
        ("golden_rows", with_another_golden_answer(&whole)),
        ("name", TestBundle::new("beta", 2.0).bytes()),
        ("route", TestBundle::new("alpha", 2.0).at("/token").bytes()),
        ("answer", overlapping.bytes()),
    ];
    for (reason, bytes) in cases {
        let manifest = house.release("alpha", bytes).await;
        let why = refusal(&server, manifest.version).await;
        assert_eq!(why["code"], reason, "{why}");
        let (status, health) = server.get("/health").await;
        assert_eq!((status, &health["status"]), (200, &json!("degraded")));
        assert_eq!(model(&health, "alpha")["served"]["version"], 1);
        let (status, answer) = server.post("/predict/alpha", &row(1.0)).await;
        assert_eq!(
            (status, &answer["seconds"], &answer["model"]["version"]),
            (200, &json!(2.0), &json!(1))
        );
        let metrics = server.text("/metrics/prometheus").await;
        assert!(
            metrics.contains(&format!(r#"load_failures_total{{model="alpha",reason="{reason}"}}"#)),
            "{metrics}"
        );
        assert!(metrics.contains(r#"ratchet_api_model_behind{model="alpha"} 1"#));
    }

    let good = house.release("alpha", whole).await;
    let health = server.wait_for_version("alpha", good.version).await;
    assert_eq!(health["status"], "ok");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.1["seconds"], 3.0);
}

#[tokio::test]
async fn every_truncation_is_refused_and_none_ends_the_service() {
    let house = House::new().await;
    let whole = TestBundle::new("alpha", 2.0).bytes();
    let server = house.serve().await;
    for part in 1..8 {
        let manifest = house.release("alpha", whole[..whole.len() * part / 8].to_vec()).await;
        assert_eq!(refusal(&server, manifest.version).await["code"], "structure");
    }
    assert_eq!(server.get("/models").await.0, 200);
}

#[tokio::test]
async fn a_model_that_never_loaded_is_503_and_says_where_to_look() {
    let house = House::new().await;
    house.release("alpha", b"this is no bundle".to_vec()).await;
    let server = house.serve().await;
    server.wait_until_settled().await;
    let (status, health) = server.get("/health").await;
    assert_eq!((status, &health["status"]), (503, &json!("unavailable")));
    assert_eq!(model(&health, "alpha")["served"], Value::Null);
    // The route that it declares is unknown until it loads, so an unknown path may well be its own.
    for path in ["/predict/alpha", "/predict/alpha_pump"] {
        let (status, problem) = server.post(path, &row(1.0)).await;
        assert_eq!(
            (status, &problem["type"]),
            (503, &json!("urn:ratchet:problem:model-not-loaded")),
            "{path}"
        );
    }
    let listed = server.get("/models").await.1;
    assert_eq!(model(&listed, "alpha")["version"], Value::Null);
    assert_eq!(model(&listed, "alpha")["promoted"]["version"], 1);
}

#[tokio::test]
async fn a_replica_that_starts_takes_the_newest_earlier_version_that_loads() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    house.release("alpha", TestBundle::new("alpha", 2.0).bytes()).await;
    house.release("beta", TestBundle::new("beta", 7.0).bytes()).await;
    house.release("alpha", b"this is no bundle".to_vec()).await;
    house.release("alpha", b"this is none either".to_vec()).await;
    let server = house.serve().await;
    let health = server.wait_until_settled().await;
    let alpha = model(&health, "alpha");
    assert_eq!(
        (&alpha["promoted"]["version"], &alpha["served"]["version"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(
        (&health["status"], &alpha["reason"]["code"]),
        (&json!("degraded"), &json!("structure"))
    );
    assert_eq!(model(&health, "beta")["state"], "ok");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.1["seconds"], 3.0);
}

#[tokio::test]
async fn a_version_that_was_rolled_back_does_not_stand_in() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    house.release("alpha", TestBundle::new("alpha", 2.0).bytes()).await;
    house.rollback("alpha").await;
    house.release("alpha", b"this is no bundle".to_vec()).await;
    let server = house.serve().await;
    let health = server.wait_until_settled().await;
    assert_eq!(model(&health, "alpha")["served"]["version"], 1);
}

#[tokio::test]
async fn a_damaged_blob_is_told_from_a_damaged_bundle_and_serves_once_it_is_restored() {
    let house = House::new().await;
    let bytes = TestBundle::new("alpha", 1.0).bytes();
    let manifest = house.release("alpha", bytes.clone()).await;
    let path = house.home.path().join("bucket").join(manifest.bundle.path().unwrap());
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let server = house.serve().await;
    assert_eq!(refusal(&server, 1).await["code"], "damaged");
    std::fs::remove_file(&path).unwrap();
    server
        .wait_for(|health| model(health, "alpha")["reason"]["code"] == "missing")
        .await;
    std::fs::write(&path, &bytes).unwrap();
    server.wait_for_version("alpha", 1).await;
}

#[tokio::test]
async fn a_route_belongs_to_one_model() {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 1.0).at("/predict/pump_time").bytes())
        .await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    house
        .release("beta", TestBundle::new("beta", 2.0).at("/predict/pump_time").bytes())
        .await;
    let health = server
        .wait_for(|health| model(health, "beta")["state"] == "failed")
        .await;
    assert_eq!(model(&health, "beta")["reason"]["code"], "route");
    assert!(
        model(&health, "beta")["reason"]["message"]
            .as_str()
            .unwrap()
            .contains("alpha")
    );
    assert_eq!(
        server.post("/predict/pump_time", &row(1.0)).await.1["model"]["name"],
        "alpha"
    );
    // Its owner may keep it from version to version, and give it up.
    let next = house
        .release("alpha", TestBundle::new("alpha", 3.0).at("/predict/pump_time").bytes())
        .await;
    server.wait_for_version("alpha", next.version).await;
    assert_eq!(server.post("/predict/pump_time", &row(1.0)).await.1["seconds"], 4.0);
}

#[tokio::test]
async fn a_model_beyond_the_memory_limit_is_refused() {
    let house = House::new().await;
    let bytes = TestBundle::new("alpha", 1.0).bytes();
    house.release("alpha", bytes.clone()).await;
    let limit = Some(bytes.len() as u64 * 3 / 2);
    let server = house
        .serve_with(ratchet_api::Options {
            memory_limit: limit,
            ..house.options()
        })
        .await;
    server.wait_for_version("alpha", 1).await;
    house.release("alpha", TestBundle::new("alpha", 2.0).bytes()).await;
    assert_eq!(refusal(&server, 2).await["code"], "memory");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.1["seconds"], 2.0);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_shows_and_serving_goes_on() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let next = house.home.path().join("bucket").join(PromotionEntry::path(2));
    std::fs::write(&next, b"{").unwrap();
    let health = server.wait_for(|health| health["log"]["reachable"] == false).await;
    assert_eq!(
        (&health["status"], &health["log"]["position"]),
        (&json!("degraded"), &json!(1))
    );
    assert!(
        health["log"]["reason"].as_str().unwrap().contains("promotions/"),
        "{health}"
    );
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.0, 200);

    let (identity, bucket) = (house.identity.clone(), house.bucket.clone());
    let refused = ratchet_api::Service::start_with(identity, bucket, &house.options()).await;
    assert_eq!(
        refused.err().unwrap().exit_status(),
        3,
        "a replica does not start on a log that it cannot read"
    );

    std::fs::remove_file(&next).unwrap();
    server.wait_for(|health| health["status"] == "ok").await;
    house.release("alpha", TestBundle::new("alpha", 2.0).bytes()).await;
    server.wait_for_version("alpha", 2).await;
}
