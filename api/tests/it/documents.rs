//! Health, metrics, OpenAPI, and the problems that need no model.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, row};

#[tokio::test]
async fn a_service_with_nothing_promoted_is_healthy_and_says_so() {
    let house = House::new().await;
    let server = house.serve().await;
    server.wait_until_settled().await;
    let (status, health) = server.get("/health").await;
    assert_eq!(status, 200);
    assert_eq!(
        health,
        json!({"status": "ok", "models": [], "log": {"position": 0, "reachable": true}})
    );
    assert_eq!(server.get("/models").await, (200, json!({"models": []})));
}

#[tokio::test]
async fn problems_are_documents_with_the_right_status() {
    let house = House::new().await;
    let server = house.serve().await;
    server.wait_until_settled().await;
    let cases = [
        ("GET", "/nothing", 404, "not-found"),
        ("POST", "/nothing", 404, "not-found"),
        ("POST", "/predict/nobody", 404, "unknown-model"),
        ("GET", "/predict/nobody", 404, "not-found"),
        ("POST", "/health", 405, "method-not-allowed"),
        ("GET", "/token", 405, "method-not-allowed"),
        ("DELETE", "/models", 405, "method-not-allowed"),
        ("POST", "/openapi.json", 405, "method-not-allowed"),
        ("PUT", "/metrics/prometheus", 405, "method-not-allowed"),
    ];
    for (method, path, status, kind) in cases {
        let response = server
            .client
            .request(method.parse().unwrap(), server.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{method} {path}"
        );
        if status == 405 {
            let allow = response
                .headers()
                .get_all("allow")
                .iter()
                .map(|value| value.to_str().unwrap())
                .collect::<Vec<_>>();
            assert_eq!(allow.len(), 1, "{method} {path}: {allow:?}");
        }
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            problem["type"],
            format!("urn:ratchet:problem:{kind}"),
            "{method} {path}"
        );
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
}

#[tokio::test]
async fn metrics_count_by_pattern_and_never_by_what_was_sent() {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 1.0).at("/predict/alpha_pump").bytes())
        .await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    server.post("/predict/alpha_pump", &row(1.0)).await;
    server.post("/predict/alpha", &json!([row(1.0), row(500.0)])).await;
    server.post("/predict/alpha", &json!({})).await;
    server.get("/secret-path-of-a-scanner").await;
    let metrics = server.text("/metrics/prometheus").await;
    for line in [
        r#"ratchet_api_requests_total{route="/predict/alpha_pump",code="200"} 1"#,
        r#"ratchet_api_requests_total{route="/predict/{model}",code="422"} 1"#,
        r#"ratchet_api_requests_total{route="other",code="404"} 1"#,
        r#"ratchet_api_request_duration_seconds_count{route="/predict/{model}"} 2"#,
        r#"ratchet_api_predictions_total{model="alpha",alias="champion"} 3"#,
        r#"ratchet_api_out_of_distribution_total{model="alpha"} 1"#,
        r#"ratchet_api_model_info{model="alpha",version="1",digest=""#,
        r#"ratchet_api_model_load_duration_seconds_count{model="alpha"} 1"#,
        r#"ratchet_api_model_behind{model="alpha"} 0"#,
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("scanner"));
}

#[tokio::test]
async fn the_document_grows_with_the_models_that_serve() {
    let house = House::new().await;
    let server = house.serve().await;
    let (_, before) = server.get("/openapi.json").await;
    assert!(before["paths"].get("/predict/alpha_pump").is_none());
    house
        .release("alpha", TestBundle::new("alpha", 1.0).at("/predict/alpha_pump").bytes())
        .await;
    server.wait_for_version("alpha", 1).await;
    let (_, after) = server.get("/openapi.json").await;
    let content = &after["paths"]["/predict/alpha_pump"]["post"]["requestBody"]["content"]["application/json"];
    let schema = &after["components"]["schemas"]["alpha-row"];
    assert_eq!(schema["properties"]["easting"]["type"], "number");
    assert_eq!(schema["properties"]["station"]["type"], json!(["string", "null"]));
    assert_eq!(schema["required"], json!(["easting", "station", "called_at"]));
    // The example is a request that works as it stands.
    let (status, answer) = server
        .post("/predict/alpha_pump", &content["examples"]["row"]["value"])
        .await;
    assert_eq!(status, 200, "{answer}");
    // And the answer has exactly the keys that the document promises.
    let schemas = &after["components"]["schemas"];
    let keys = |schema: &Value| {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let mut promised = keys(&schemas["alpha-answer"]["allOf"][0]);
    promised.extend(keys(&schemas["Provenance"]));
    // A regression without residuals gives no interval.
    promised.remove("interval");
    // Only who asks for it gets one.
    promised.remove("explanation");
    assert_eq!(
        answer.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(),
        promised
    );
}

#[tokio::test]
async fn the_page_of_the_document_is_part_of_the_program() {
    let house = House::new().await;
    let server = house.serve().await;
    let page = server.client.get(server.url("/docs")).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/"));
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let page = page.text().await.unwrap();
    // Every file that the page names is served here; none comes from elsewhere.
    let files: Vec<&str> = page
        .split(['"', '\''])
        .filter(|part| [".js", ".css", ".png"].iter().any(|end| part.ends_with(end)))
        .collect();
    assert!(files.len() >= 4, "{page}");
    for file in files {
        assert!(!file.contains("//"), "{file}");
        let answer = server
            .client
            .get(server.url(&format!("/docs/{}", file.trim_start_matches("./"))))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        assert!(!answer.bytes().await.unwrap().is_empty(), "{file}");
    }
    assert!(
        server
            .text("/docs/swagger-initializer.js")
            .await
            .contains("/openapi.json")
    );
    assert_eq!(server.get("/docs/nothing.js").await.0, 404);
}

#[tokio::test]
async fn authorize_on_the_page_gets_a_token_that_predicts() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let (_, document) = server.get("/openapi.json").await;
    let flow = &document["components"]["securitySchemes"]["password"]["flows"]["password"];
    // As Swagger UI sends it: the form, and an empty client in the Basic header.
    let request = server.client.post(server.url(flow["tokenUrl"].as_str().unwrap()));
    let request = request
        .basic_auth("", Some(""))
        .header("x-requested-with", "XMLHttpRequest");
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", crate::server::PASSWORD),
    ];
    let token: Value = request.form(&form).send().await.unwrap().json().await.unwrap();
    let request = server.client.post(server.url("/predict/alpha"));
    let request = request
        .bearer_auth(token["access_token"].as_str().unwrap())
        .json(&row(1.0));
    assert_eq!(request.send().await.unwrap().status(), 200);
}
