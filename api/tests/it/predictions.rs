//! Rows in, answers out, and each way in which a body can be wrong.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bundles::TestBundle;
use crate::server::{House, Server, row};

async fn alpha() -> (House, Server) {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 0.1).at("/predict/alpha_pump").bytes())
        .await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    (house, server)
}

/// Posts bytes as JSON.
async fn send(server: &Server, body: Vec<u8>) -> (u16, Value) {
    let request = server
        .client
        .post(server.url("/predict/alpha"))
        .bearer_auth(&server.token);
    let response = request
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.headers()["content-type"].to_str().unwrap().contains("problem"),
        response.status() != 200
    );
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_row_is_answered_by_one_version_that_is_named() {
    let (house, server) = alpha().await;
    let digest = ratchet_artifacts::models::get(&house.bucket, "alpha", 1)
        .await
        .unwrap()
        .unwrap()
        .bundle
        .sha256;
    let (status, answer) = server.post("/predict/alpha_pump", &row(50.5)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["model"],
        json!({"name": "alpha", "version": 1, "digest": digest, "alias": "champion"})
    );
    assert_eq!(answer["simulated"], json!(false));
    assert_eq!(answer["out_of_distribution"], json!({"flag": false, "fields": []}));
    // To the last bit: 0.1 + 50.5 is not 50.6.
    assert_eq!(
        answer["seconds"].as_f64().unwrap().to_bits(),
        (0.1_f64 + 50.5).to_bits()
    );
    let id: uuid::Uuid = answer["prediction_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
}

#[tokio::test]
async fn a_list_is_answered_in_its_order_with_an_id_each() {
    let (_house, server) = alpha().await;
    // Above a thousand rows the work moves to another thread; the answer does not change.
    for count in [0, 1, 3, 2500] {
        let rows: Vec<Value> = (0..count).map(|number| row(f64::from(number))).collect();
        let (status, answer) = server.post("/predict/alpha", &Value::Array(rows)).await;
        assert_eq!(status, 200, "{answer}");
        let predictions = answer["predictions"].as_array().unwrap();
        let values: Vec<f64> = predictions
            .iter()
            .map(|answer| answer["seconds"].as_f64().unwrap())
            .collect();
        assert_eq!(
            values,
            (0..count).map(|number| 0.1 + f64::from(number)).collect::<Vec<_>>()
        );
        let ids: BTreeSet<_> = predictions
            .iter()
            .map(|answer| answer["prediction_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), predictions.len());
    }
}

#[tokio::test]
async fn a_row_unlike_the_training_names_its_fields() {
    let (_house, server) = alpha().await;
    let sent = json!({"easting": 1e6, "station": "Atlantis", "called_at": "1970-01-01 00:30"});
    let (_, answer) = server.post("/predict/alpha", &sent).await;
    assert_eq!(
        answer["out_of_distribution"],
        json!({"flag": true, "fields": ["easting", "station"]})
    );
}

#[tokio::test]
async fn simulated_training_shows_in_every_answer() {
    let house = House::new().await;
    let bundle = TestBundle {
        simulated: true,
        ..TestBundle::new("alpha", 1.0)
    };
    house.release("alpha", bundle.bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    assert_eq!(
        server.post("/predict/alpha", &row(1.0)).await.1["simulated"],
        json!(true)
    );
    assert_eq!(
        crate::server::model(&server.get("/models").await.1, "alpha")["simulated"],
        json!(true)
    );
}

#[tokio::test]
async fn all_faults_come_at_once_and_no_value_comes_back() {
    let (_house, server) = alpha().await;
    let sent = json!({"easting": "secret-value", "called_at": "secret-time", "color": "secret-color"});
    let (status, problem) = server.post("/predict/alpha", &sent).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:ratchet:problem:invalid-fields"))
    );
    let errors = problem["errors"].as_array().unwrap();
    let found: BTreeSet<_> = errors
        .iter()
        .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    let expected = [
        ("/called_at", "bad_timestamp"),
        ("/color", "unknown"),
        ("/easting", "wrong_type"),
        ("/station", "missing"),
    ];
    assert_eq!(found, BTreeSet::from(expected));
    assert!(!problem.to_string().contains("secret"), "{problem}");

    for rows in [json!([sent]), json!([row(1.0), sent])] {
        let last = rows.as_array().unwrap().len() - 1;
        let (status, problem) = server.post("/predict/alpha", &rows).await;
        assert_eq!(status, 422);
        for error in problem["errors"].as_array().unwrap() {
            assert!(
                error["pointer"].as_str().unwrap().starts_with(&format!("/{last}/")),
                "{error}"
            );
        }
        assert_eq!(problem["errors"].as_array().unwrap().len(), 4);
    }
}

#[tokio::test]
async fn bodies_that_are_no_rows_get_their_own_status() {
    let (_house, server) = alpha().await;
    let (status, problem) = send(&server, b"{\"easting\": 1,\n \"station\": }".to_vec()).await;
    assert_eq!(status, 400);
    assert_eq!(
        problem["detail"],
        "the body is not JSON: expected value at line 2, column 13"
    );
    assert_eq!(send(&server, b"[1, {}]".to_vec()).await.1["errors"][0]["pointer"], "/0");
    assert_eq!(send(&server, b"\"text\"".to_vec()).await.0, 422);
    assert_eq!(send(&server, b"[{},".repeat(20_000)).await.0, 400);
    let rows = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(
        send(&server, rows.into_bytes()).await.1["errors"][0]["code"],
        "too_many_rows"
    );
    let (status, problem) = send(&server, vec![b' '; 3 << 20]).await;
    assert_eq!(
        (status, &problem["type"]),
        (413, &json!("urn:ratchet:problem:body-too-large"))
    );

    for (kind, encoding) in [
        ("text/plain", None),
        ("application/json; charset=latin1", None),
        ("application/json", Some("gzip")),
    ] {
        let mut request = server
            .client
            .post(server.url("/predict/alpha"))
            .bearer_auth(&server.token);
        request = request.header("content-type", kind).body("{}");
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        assert_eq!(request.send().await.unwrap().status(), 415, "{kind} {encoding:?}");
    }
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_answered() {
    let (house, server) = alpha().await;
    let ask = |token: Option<String>| {
        let request = server.client.post(server.url("/predict/alpha")).json(&row(1.0));
        let request = if let Some(token) = token {
            request.bearer_auth(token)
        } else {
            request
        };
        async { request.send().await.unwrap() }
    };
    let nobody = ask(None).await;
    assert_eq!(
        (nobody.status().as_u16(), &nobody.headers()["www-authenticate"]),
        (401, &"Bearer realm=\"ratchet\"".parse().unwrap())
    );
    let forged = ask(Some(format!("{}x", server.token))).await;
    assert_eq!(forged.status(), 401);
    assert!(
        forged.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("invalid_token")
    );
    assert_eq!(
        forged.json::<Value>().await.unwrap()["type"],
        "urn:ratchet:problem:unauthorized"
    );
    assert_eq!(ask(Some(server.token.clone())).await.status(), 200);
    house.identity.remove("ada").await.unwrap();
    assert_eq!(ask(Some(server.token.clone())).await.status(), 401);
}

#[tokio::test]
async fn a_declared_route_takes_posts_alone() {
    let (_house, server) = alpha().await;
    for path in ["/predict/alpha_pump", "/predict/alpha"] {
        let response = server.client.get(server.url(path)).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST".parse().unwrap()),
            "{path}"
        );
    }
    for path in [
        "/predict/alpha_pump/",
        "/predict/alpha_pump/x",
        "/predict/Alpha",
        "/predict//alpha",
        "/predict/",
    ] {
        assert_eq!(server.post(path, &row(1.0)).await.0, 404, "{path}");
    }
}

/// Sends bytes as they are and returns everything until the server closes or waits for more.
async fn raw(server: &Server, bytes: &[u8], finish: bool) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    if finish {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_asks_before_sending_too_much_is_told_at_once() {
    let (_house, server) = alpha().await;
    let head = format!(
        "POST /predict/alpha HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n",
        server.token
    );
    let answer = raw(&server, head.as_bytes(), false).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let (_house, server) = alpha().await;
    let head = format!(
        "POST /predict/alpha HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{\"easting\"",
        server.token
    );
    let answer = raw(&server, head.as_bytes(), true).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.0, 200);
}

#[tokio::test]
async fn without_a_name_the_default_model_answers_or_the_only_one() {
    let (house, server) = alpha().await;
    let (status, answer) = server.post("/predict", &row(1.0)).await;
    assert_eq!((status, &answer["model"]["name"]), (200, &json!("alpha")));
    house.release("beta", TestBundle::new("beta", 7.0).bytes()).await;
    server.wait_for_version("beta", 1).await;
    let (status, problem) = server.post("/predict", &row(1.0)).await;
    assert_eq!(
        (status, &problem["type"]),
        (404, &json!("urn:ratchet:problem:no-default-model"))
    );
    let options = ratchet_api::Options {
        default_model: Some("beta".to_owned()),
        ..house.options()
    };
    let server = house.serve_with(options).await;
    server.wait_for_version("beta", 1).await;
    assert_eq!(server.post("/predict", &row(1.0)).await.1["seconds"], json!(8.0));
    let response = server.client.get(server.url("/predict")).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
    let metrics = server.text("/metrics/prometheus").await;
    assert!(
        metrics.contains(r#"ratchet_api_requests_total{route="/predict",code="200"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_model_may_answer_with_the_published_field_alone() {
    let house = House::new().await;
    let bundle = TestBundle {
        answer: "duration_time".to_owned(),
        answer_only: true,
        ..TestBundle::new("delivery", 0.5).at("/api/predict/delivery/duration")
    };
    house.release("delivery", bundle.bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("delivery", 1).await;
    let path = "/api/predict/delivery/duration";
    let ask = async |body: &Value| {
        let request = server.client.post(server.url(path)).bearer_auth(&server.token);
        request.json(body).send().await.unwrap()
    };
    let response = ask(&row(20.0)).await;
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert_eq!(text, r#"{"duration_time":20.5}"#, "exactly this, to the byte");
    assert_eq!(headers["ratchet-out-of-distribution"], "false");
    assert_eq!(headers["ratchet-model-version"], "1");
    assert_eq!(headers["ratchet-simulated"], "false");
    let id: uuid::Uuid = headers["ratchet-prediction-id"].to_str().unwrap().parse().unwrap();
    let truth = json!({"prediction_id": id.to_string(), "truth": 21.0});
    assert_eq!(server.post("/feedback", &truth).await.0, 200);
    let response = ask(&json!([row(1.0), row(2.0)])).await;
    let ids = response.headers()["ratchet-prediction-id"]
        .to_str()
        .unwrap()
        .split(", ")
        .count();
    let list: Value = response.json().await.unwrap();
    assert_eq!(
        (ids, list),
        (
            2,
            json!({"predictions": [{"duration_time": 1.5}, {"duration_time": 2.5}]})
        )
    );
    let (_, whole) = server.post(&format!("{path}?explain=true"), &row(20.0)).await;
    assert!(
        whole["explanation"].is_object() && whole["prediction_id"].is_string(),
        "{whole}"
    );
    let (_, document) = server.get("/openapi.json").await;
    let schema = &document["components"]["schemas"]["delivery-answer"];
    assert_eq!(schema["required"], json!(["duration_time"]));
}
