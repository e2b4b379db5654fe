//! Lookups beside requests: hot-loaded, checked, named in answers, and the last good version kept.

use ratchet_model::{FieldKind, UnusedField};
use serde_json::{Value, json};

use crate::bundles::{TestBundle, stations};
use crate::server::{House, Server, model, row};

fn reader(name: &str) -> TestBundle {
    TestBundle {
        lookup: Some("delays".to_owned()),
        ..TestBundle::new(name, 1.0)
    }
}

fn delays(rows: &[(&str, f64)]) -> Vec<u8> {
    stations("delay", rows)
}

async fn wait_for_lookup(server: &Server, version: u64) -> Value {
    server
        .wait_for(|health| health["lookups"][0]["version"] == version)
        .await
}

async fn wait_for_reason(server: &Server, code: &str) -> Value {
    let health = server
        .wait_for(|health| health["lookups"][0]["reason"]["code"] == code)
        .await;
    health["lookups"][0]["reason"]["message"].clone()
}

/// What alpha answers for the row of Soho at 5: 1 + 5 + ten times Soho's delay.
async fn answer(server: &Server) -> Value {
    let (status, answer) = server.post("/predict/alpha", &row(5.0)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_newer_version_is_read_without_a_restart_and_answers_name_it() {
    let house = House::new().await;
    house.publish("delays", delays(&[("Soho", 2.0), ("Euston", 3.0)])).await;
    house.release("alpha", reader("alpha").bytes()).await;
    let server = house.serve().await;
    let health = wait_for_lookup(&server, 1).await;
    assert_eq!(health["status"], "ok");
    let first = answer(&server).await;
    assert_eq!(
        (&first["seconds"], &first["unmatched_lookups"]),
        (&json!(26.0), &json!([]))
    );
    assert_eq!(first["model"]["lookups"], json!({"delays": 1}));

    house.publish("delays", delays(&[("SOHO ", 7.0)])).await;
    wait_for_lookup(&server, 2).await;
    let second = answer(&server).await;
    assert_eq!(
        (&second["seconds"], &second["model"]["lookups"]),
        (&json!(76.0), &json!({"delays": 2}))
    );
    let response = server
        .client
        .post(server.url("/predict/alpha"))
        .bearer_auth(&server.token)
        .json(&row(5.0))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["ratchet-lookups"], "delays@2");
    let listed = server.get("/models").await.1;
    let lookups = &model(&listed, "alpha")["lookups"];
    assert_eq!(
        (&lookups[0]["name"], &lookups[0]["version"]),
        (&json!("delays"), &json!(2))
    );
    let metrics = server.text("/metrics/prometheus").await;
    assert!(
        metrics.contains(r#"ratchet_api_lookup_version{model="alpha",lookup="delays"} 2"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_key_that_the_lookup_lacks_is_answered_and_counted() {
    let house = House::new().await;
    house.publish("delays", delays(&[("Euston", 3.0)])).await;
    house.release("alpha", reader("alpha").bytes()).await;
    let server = house.serve().await;
    wait_for_lookup(&server, 1).await;
    let found = answer(&server).await;
    assert_eq!(
        (&found["seconds"], &found["unmatched_lookups"]),
        (&json!(6.0), &json!(["delays"]))
    );
    let list = json!([row(1.0), {"easting": 2, "station": "euston", "called_at": "1970-01-01"}]);
    let (_, answers) = server.post("/predict/alpha", &list).await;
    assert_eq!(answers["predictions"][0]["unmatched_lookups"], json!(["delays"]));
    assert_eq!(answers["predictions"][1]["unmatched_lookups"], json!([]));
    assert_eq!(answers["predictions"][1]["seconds"], 33.0);
    let metrics = server.text("/metrics/prometheus").await;
    let counted = r#"ratchet_api_lookup_unmatched_total{model="alpha",lookup="delays"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_version_that_is_damaged_or_does_not_fit_leaves_the_last_good_one() {
    let house = House::new().await;
    house.publish("delays", delays(&[("Soho", 2.0)])).await;
    house.release("alpha", reader("alpha").bytes()).await;
    let server = house.serve().await;
    wait_for_lookup(&server, 1).await;

    house.publish("delays", b"{\"format\":1,".to_vec()).await;
    let message = wait_for_reason(&server, "damaged").await;
    assert!(
        message.as_str().unwrap().starts_with("delays@2: the lookup is damaged"),
        "{message}"
    );
    let (status, health) = server.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")));
    assert_eq!(answer(&server).await["seconds"], 26.0);

    house.publish("delays", stations("lateness", &[("Soho", 9.0)])).await;
    let message = wait_for_reason(&server, "lookup").await;
    assert_eq!(message, "delays@3 does not fit alpha: it has no column `delay`");
    let kept = answer(&server).await;
    assert_eq!(
        (&kept["seconds"], &kept["model"]["lookups"]["delays"]),
        (&json!(26.0), &json!(1))
    );

    // A replica that starts now passes both over, and so does a model that is promoted now.
    let late = house.serve().await;
    late.wait_for_version("alpha", 1).await;
    assert_eq!(answer(&late).await["seconds"], 26.0);
    let next = TestBundle {
        base: 2.0,
        ..reader("alpha")
    };
    house.release("alpha", next.bytes()).await;
    server.wait_for_version("alpha", 2).await;
    assert_eq!(answer(&server).await["seconds"], 27.0);

    house.publish("delays", delays(&[("Soho", 4.0)])).await;
    let health = wait_for_lookup(&server, 4).await;
    assert_eq!(
        (&health["status"], &health["lookups"][0]["reason"]),
        (&json!("ok"), &Value::Null)
    );
    assert_eq!(answer(&server).await["seconds"], 47.0);
}

#[tokio::test]
async fn a_model_whose_lookup_was_never_published_does_not_serve_and_says_why() {
    let house = House::new().await;
    house.release("alpha", reader("alpha").bytes()).await;
    let server = house.serve().await;
    let failed = |health: &Value| model(health, "alpha")["state"] == "failed";
    let health = server.wait_for(failed).await;
    let reason = &model(&health, "alpha")["reason"];
    assert_eq!(reason["code"], "lookup");
    assert_eq!(
        reason["message"],
        "it reads the lookup delays, which was never published; run the DAG that publishes it"
    );
    // It is tried again by itself.
    house.publish("delays", delays(&[("Soho", 1.0)])).await;
    server.wait_for_version("alpha", 1).await;
    assert_eq!(answer(&server).await["seconds"], 16.0);
}

#[tokio::test]
async fn two_models_read_one_lookup_and_contributions_go_to_the_field_that_finds_it() {
    let house = House::new().await;
    house.publish("delays", delays(&[("Soho", 2.0)])).await;
    house.release("alpha", reader("alpha").bytes()).await;
    house.release("beta", reader("beta").bytes()).await;
    house.release("gamma", TestBundle::new("gamma", 0.0).bytes()).await;
    let server = house.serve().await;
    for name in ["alpha", "beta", "gamma"] {
        server.wait_for_version(name, 1).await;
    }
    house.publish("delays", delays(&[("Soho", 3.0)])).await;
    wait_for_lookup(&server, 2).await;
    for name in ["alpha", "beta"] {
        let (_, answer) = server.post(&format!("/predict/{name}"), &row(5.0)).await;
        assert_eq!(answer["seconds"], 36.0, "{name}");
    }
    let (_, answer) = server.post("/predict/gamma", &row(5.0)).await;
    assert_eq!(
        (&answer["model"]["lookups"], &answer["unmatched_lookups"]),
        (&Value::Null, &Value::Null)
    );
    let (_, explained) = server.post("/predict/alpha?explain=true", &row(5.0)).await;
    let contributions = &explained["explanation"]["contributions"];
    assert_eq!(contributions["station"], 30.0);
    let sum: f64 = contributions
        .as_object()
        .unwrap()
        .values()
        .map(|value| value.as_f64().unwrap())
        .sum();
    assert_eq!(sum + explained["explanation"]["base"].as_f64().unwrap(), 36.0);
}

#[tokio::test]
async fn fields_that_nothing_reads_are_accepted_checked_logged_and_named() {
    let house = House::new().await;
    let unused = UnusedField {
        name: "festival".to_owned(),
        kind: FieldKind::Number,
        because: "the training table does not have it".to_owned(),
    };
    let bundle = TestBundle {
        unused: vec![unused],
        ..TestBundle::new("alpha", 1.0)
    };
    house.release("alpha", bundle.bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let mut sent = row(5.0);
    sent["festival"] = json!(1);
    assert_eq!(server.post("/predict/alpha", &sent).await.1["seconds"], 6.0);
    sent["festival"] = json!("yes");
    let (status, problem) = server.post("/predict/alpha", &sent).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/festival")));
    let listed = server.get("/models").await.1;
    assert_eq!(
        model(&listed, "alpha")["unused_fields"],
        json!([{"name": "festival", "because": "the training table does not have it"}])
    );
    let document = server.get("/openapi.json").await.1;
    let schema = &document["components"]["schemas"]["alpha-row"];
    assert_eq!(schema["properties"]["festival"]["type"], json!(["number", "null"]));
    assert!(!schema["required"].as_array().unwrap().contains(&json!("festival")));
    let csv = "easting,station,called_at,festival\n5,Soho,1970-01-01,1\n";
    let response = server
        .client
        .post(server.url("/predict/alpha"))
        .bearer_auth(&server.token)
        .header("content-type", "text/csv")
        .body(csv)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("6"));
}
