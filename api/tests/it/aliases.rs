//! Traffic that is split over aliases, and answers that nobody hears.

use std::collections::BTreeMap;
use std::time::Duration;

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, PASSWORD, Server, model, row};

/// `alpha` with a champion that adds 0 and a challenger that adds 1000.
async fn house() -> House {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 0.0).at("/predict/alpha_pump").bytes())
        .await;
    let challenger = house.register("alpha", TestBundle::new("alpha", 1000.0).bytes()).await;
    house.promote_to(&challenger, "challenger").await;
    house
}

async fn serves(server: &Server, aliases: &[&str]) {
    let there = |health: &Value| {
        let beside = model(health, "alpha")["beside"].as_array().cloned().unwrap_or_default();
        let served: Vec<&str> = beside
            .iter()
            .filter(|beside| beside["served"].is_object())
            .filter_map(|beside| beside["alias"].as_str())
            .collect();
        served == aliases
    };
    server.wait_for(there).await;
}

async fn ask(server: &Server, key: &str) -> (Value, String) {
    let request = server
        .client
        .post(server.url("/predict/alpha_pump"))
        .bearer_auth(&server.token);
    let request = request.header("Ratchet-Route-Key", key).json(&row(5.0));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let alias = response.headers()["ratchet-model-alias"].to_str().unwrap().to_owned();
    (response.json().await.unwrap(), alias)
}

#[tokio::test]
async fn shares_are_kept_keys_stick_and_the_answer_says_who_gave_it() {
    let house = house().await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let (answer, alias) = ask(&server, "x").await;
    assert_eq!(
        (answer["seconds"].as_f64(), alias.as_str()),
        (Some(5.0), "champion"),
        "not split yet"
    );
    house.route("alpha", &[("challenger", 40), ("champion", 60)], &[]).await;
    serves(&server, &["challenger"]).await;
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..200 {
        let key = format!("courier-{number}");
        let (answer, alias) = ask(&server, &key).await;
        let expected = if alias == "champion" { 5.0 } else { 1005.0 };
        assert_eq!(answer["seconds"], expected, "{answer}");
        assert_eq!(answer["model"]["alias"], alias.as_str());
        assert_eq!(ask(&server, &key).await.1, alias, "a key sticks");
        *answered.entry(alias).or_default() += 1;
    }
    // The keys are fixed, and so is what they lead to; 80 are expected.
    assert!((55..105).contains(&answered["challenger"]), "{answered:?}");
    let (_, models) = server.get("/models").await;
    let listed = model(&models, "alpha");
    assert_eq!(
        (&listed["share"], &listed["beside"][0]["share"]),
        (&json!(60), &json!(40))
    );
    assert_eq!(listed["beside"][0]["alias"], "challenger");
    let metrics = server.text("/metrics/prometheus").await;
    let count = answered["challenger"] * 2;
    let line = format!(r#"ratchet_api_predictions_total{{model="alpha",alias="challenger"}} {count}"#);
    assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    let v2 = json!({"inputs": [
        {"name": "easting", "datatype": "FP64", "shape": [1], "data": [5.0]},
        {"name": "station", "datatype": "BYTES", "shape": [1], "data": ["Soho"]},
        {"name": "called_at", "datatype": "BYTES", "shape": [1], "data": ["1970-01-01 00:30:00"]},
    ]});
    let (status, named) = server.post("/v2/models/alpha/versions/2/infer", &v2).await;
    assert_eq!((status, &named["model_version"]), (200, &json!("2")), "{named}");
    house.route("alpha", &[("champion", 100)], &[]).await;
    serves(&server, &[]).await;
    for number in 0..20 {
        assert_eq!(ask(&server, &format!("courier-{number}")).await.1, "champion");
    }
}

#[tokio::test]
async fn a_challenger_that_does_not_load_leaves_its_share_to_the_champion() {
    let house = house().await;
    let damaged = house.register("alpha", b"no bundle".to_vec()).await;
    house.promote_to(&damaged, "challenger").await;
    house.route("alpha", &[("challenger", 99), ("champion", 1)], &[]).await;
    let server = house.serve().await;
    let health = server.wait_for(|health| health["status"] == "degraded").await;
    let beside = &model(&health, "alpha")["beside"][0];
    assert_eq!(
        (&beside["served"], &beside["reason"]["code"]),
        (&Value::Null, &json!("structure")),
        "{health}"
    );
    for number in 0..20 {
        assert_eq!(ask(&server, &format!("courier-{number}")).await.1, "champion");
    }
}

#[tokio::test]
async fn a_shadow_is_logged_measured_and_never_heard() {
    let house = house().await;
    let olga = house.identity.add_user("olga", PASSWORD, Role::Operator).await.unwrap();
    let operator = house.identity.issue_token(&olga).unwrap().token;
    house.route("alpha", &[("champion", 100)], &["challenger"]).await;
    let server = house.serve().await;
    serves(&server, &["challenger"]).await;
    let mut predictions = Vec::new();
    for number in 0..10 {
        let (answer, alias) = ask(&server, &format!("{number}")).await;
        assert_eq!((answer["seconds"].as_f64(), alias.as_str()), (Some(5.0), "champion"));
        predictions.push(answer["prediction_id"].as_str().unwrap().to_owned());
    }
    let mut entries = Vec::new();
    for _ in 0..200 {
        let (_, page) = server.ask(&operator, "GET", "/logs/100", None).await;
        entries = page["entries"].as_array().cloned().unwrap();
        if entries.len() == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let shadows: Vec<&Value> = entries.iter().filter(|entry| entry["alias"] == "challenger").collect();
    assert_eq!(shadows.len(), 10);
    for shadow in shadows {
        assert_eq!(
            (&shadow["answer"]["seconds"], &shadow["version"]),
            (&json!(1005.0), &json!(2))
        );
        assert!(predictions.iter().any(|id| shadow["beside"] == id.as_str()), "{shadow}");
    }
    // One truth measures both.
    let truths: Vec<Value> = predictions
        .iter()
        .map(|id| json!({"prediction_id": id, "truth": 4.0}))
        .collect();
    let (status, kept) = server.post("/feedback", &json!(truths)).await;
    assert_eq!((status, &kept["joined"]), (200, &json!(10)));
    let (_, accuracy) = server.ask(&server.token, "GET", "/accuracy", None).await;
    let of = |alias: &str| {
        let models = accuracy["models"].as_array().unwrap();
        models.iter().find(|model| model["alias"] == alias).unwrap()["metrics"]["mae"].as_f64()
    };
    assert_eq!(
        (of("champion"), of("challenger")),
        (Some(1.0), Some(1001.0)),
        "{accuracy}"
    );
}

/// Who answers a row of this easting, as a row, as the first of a list, and as tensors.
async fn asked_three_ways(server: &Server, easting: f64) -> [String; 3] {
    let alias = async |body: Value| {
        let request = server
            .client
            .post(server.url("/predict/alpha_pump"))
            .bearer_auth(&server.token);
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.headers()["ratchet-model-alias"].to_str().unwrap().to_owned()
    };
    let tensors = json!({"inputs": [
        {"name": "easting", "datatype": "FP64", "shape": [1], "data": [easting]},
        {"name": "station", "datatype": "BYTES", "shape": [1], "data": ["Soho"]},
        {"name": "called_at", "datatype": "BYTES", "shape": [1], "data": ["1970-01-01 00:30:00"]},
    ]});
    let (status, answer) = server.post("/v2/models/alpha/infer", &tensors).await;
    assert_eq!(status, 200, "{answer}");
    let by_version = if answer["model_version"] == "1" {
        "champion"
    } else {
        "challenger"
    };
    [
        alias(row(easting)).await,
        alias(json!([row(easting), row(easting + 1.0)])).await,
        by_version.to_owned(),
    ]
}

#[tokio::test]
async fn requests_stick_by_a_field_on_every_replica_and_the_header_goes_first() {
    let house = house().await;
    house
        .route_by("alpha", &[("challenger", 40), ("champion", 60)], &[], Some("easting"))
        .await;
    let server = house.serve().await;
    serves(&server, &["challenger"]).await;
    let (_, models) = server.get("/models").await;
    assert_eq!(model(&models, "alpha")["sticky"], "easting");
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..100_u32 {
        let [alias, of_list, of_tensors] = asked_three_ways(&server, f64::from(number)).await;
        assert_eq!((&of_list, &of_tensors), (&alias, &alias), "{number}");
        let by_header = server
            .client
            .post(server.url("/predict/alpha_pump"))
            .bearer_auth(&server.token);
        let by_header = by_header
            .header("Ratchet-Route-Key", number.to_string())
            .json(&row(7.0));
        let by_header = by_header.send().await.unwrap();
        assert_eq!(
            by_header.headers()["ratchet-model-alias"],
            alias.as_str(),
            "the same key, said by the header"
        );
        *answered.entry(alias).or_default() += 1;
    }
    // The keys are fixed, and so is what they lead to; 40 are expected.
    assert!((20..60).contains(&answered["challenger"]), "{answered:?}");
    house.route("alpha", &[("challenger", 40), ("champion", 60)], &[]).await;
    while !model(&server.get("/models").await.1, "alpha")["sticky"].is_null() {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.insert(asked_three_ways(&server, 3.0).await[0].clone());
        if seen.len() == 2 {
            return;
        }
    }
    panic!("without the field chance decides, and it was {seen:?} two hundred times");
}
