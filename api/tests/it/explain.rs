//! `?explain=true`: what each field contributed.

use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, Server, row};

async fn serve(bundle: TestBundle) -> (House, Server) {
    let house = House::new().await;
    house.release("alpha", bundle.bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    (house, server)
}

#[tokio::test]
async fn a_trees_contributions_are_those_of_its_training_rows() {
    let bundle = TestBundle {
        tree: Some(true),
        ..TestBundle::new("alpha", 1.0)
    };
    let (_house, server) = serve(bundle).await;
    // Of the training rows 0, 50.5 and 100, two lie above the split at 50.
    let (status, answer) = server.post("/predict/alpha?explain=true", &row(70.0)).await;
    assert_eq!(status, 200, "{answer}");
    let explanation = &answer["explanation"];
    assert_eq!(explanation["scale"], "none");
    assert_eq!(
        (&answer["seconds"], &explanation["score"]),
        (&json!(11.0), &json!(11.0))
    );
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(close(&explanation["base"], 1.0 + 20.0 / 3.0), "{explanation}");
    assert!(
        close(&explanation["contributions"]["easting"], 10.0 / 3.0),
        "{explanation}"
    );
    assert_eq!(explanation["contributions"]["station"], json!(0.0));
    // The others are told nothing, and the answer is the same.
    let (_, plain) = server.post("/predict/alpha", &row(70.0)).await;
    assert_eq!(
        (plain.get("explanation"), &plain["seconds"]),
        (None, &answer["seconds"])
    );
    let (_, list) = server
        .post("/predict/alpha?explain=true", &json!([row(70.0), row(1.0)]))
        .await;
    assert_eq!(&list["predictions"][0]["explanation"], explanation);
    assert!(close(
        &list["predictions"][1]["explanation"]["contributions"]["easting"],
        -20.0 / 3.0
    ));
}

#[tokio::test]
async fn a_linear_model_is_explained_exactly() {
    let (_house, server) = serve(TestBundle::new("alpha", 0.5)).await;
    let (_, answer) = server.post("/predict/alpha?explain=true", &row(70.25)).await;
    let expected = json!({"easting": 70.25, "station": 0.0, "called_at": 0.0});
    assert_eq!(answer["explanation"]["contributions"], expected);
    assert_eq!(answer["explanation"]["base"], json!(0.5));
}

#[tokio::test]
async fn a_bundle_without_counts_answers_but_does_not_explain() {
    let bundle = TestBundle {
        tree: Some(false),
        ..TestBundle::new("alpha", 1.0)
    };
    let (_house, server) = serve(bundle).await;
    assert_eq!(
        server.post("/predict/alpha", &row(70.0)).await.1["seconds"],
        json!(11.0)
    );
    let (status, problem) = server.post("/predict/alpha?explain=true", &row(70.0)).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:ratchet:problem:not-explainable"))
    );
    assert_eq!(server.post("/predict/alpha?explain=maybe", &row(70.0)).await.0, 422);
}
