//! `/retrain` and `/evaluate` against a small engine that speaks the same REST.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use ratchet_api::Options;
use ratchet_api::published::engine::EngineOptions;
use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::server::{House, PASSWORD, Server};

const KEY: &str = "the key of the engine";

/// Runs, newest first, and what the engine was asked.
#[derive(Clone, Default)]
struct Engine {
    runs: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Engine {
    async fn serve(&self) -> String {
        let router = Router::new()
            .route(
                "/api/v1/dags",
                get(|| async {
                    Json(json!({"dags": [{"name": "nightly", "cron": "0 2 15 * *", "next": "2030-01-15T02:00:00Z"}]}))
                }),
            )
            .route("/api/v1/runs", get(list))
            .route("/api/v1/runs/{id}", get(show))
            .route("/api/v1/dags/{name}/runs", post(trigger))
            .route("/api/v1/dags/{name}/config", get(config).post(configure))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn end(&self, status: &str) {
        for run in self.runs.lock().unwrap().iter_mut() {
            run["status"] = json!(status);
        }
    }
}

async fn list(State(engine): State<Engine>) -> Json<Value> {
    Json(json!({"runs": *engine.runs.lock().unwrap(), "next": null}))
}

async fn show(State(engine): State<Engine>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    let runs = engine.runs.lock().unwrap();
    let Some(mut run) = runs.iter().find(|run| run["id"] == id.as_str()).cloned() else {
        return (StatusCode::NOT_FOUND, Json(json!({"title": "no such run"})));
    };
    run["tasks"] = json!([
        {"id": "train", "uses": "train.model", "state": "succeeded", "outputs": {}},
        {"id": "compare", "uses": "compare.champion", "state": "succeeded", "outputs": {"better": {"value": true}}},
    ]);
    (StatusCode::OK, Json(run))
}

async fn trigger(
    State(engine): State<Engine>,
    Path(dag): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if headers["authorization"] != format!("Bearer {KEY}") {
        return (StatusCode::FORBIDDEN, Json(json!({})));
    }
    if body["params"].get("colour").is_some() {
        let fault = json!({"errors": [{"pointer": "/params", "message": "there is no parameter colour"}]});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(fault));
    }
    engine.asked.lock().unwrap().push(body);
    let id = uuid::Uuid::now_v7().to_string();
    let run = json!({"id": id, "dag": dag, "status": "running", "created_at": jiff::Timestamp::now().to_string()});
    engine.runs.lock().unwrap().insert(0, run.clone());
    (StatusCode::ACCEPTED, Json(run))
}

async fn config(Path(dag): Path<String>) -> Json<Value> {
    Json(json!({"dag": dag, "file": {"cron": "0 2 15 * *"}, "overrides": {}}))
}

async fn configure(Path(dag): Path<String>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    match body["cron"].as_str() {
        Some("never") => {
            let fault = json!({"errors": [{"pointer": "/cron", "message": "has one field instead of five"}]});
            (StatusCode::UNPROCESSABLE_ENTITY, Json(fault))
        }
        _ => (StatusCode::OK, Json(json!({"dag": dag, "overrides": body}))),
    }
}

async fn serve(house: &House, url: Option<String>, cooldown: u64) -> Server {
    let options = Options {
        engine: EngineOptions {
            url,
            key: Some(KEY.to_owned()),
            dag: None,
            cooldown: Duration::from_secs(cooldown),
        },
        ..house.options()
    };
    house.serve_with(options).await
}

async fn operator(house: &House) -> String {
    let olga = house.identity.add_user("olga", PASSWORD, Role::Operator).await.unwrap();
    house.identity.issue_token(&olga).unwrap().token
}

async fn ask(server: &Server, method: &str, path: &str, bearer: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = server
        .client
        .request(method.parse().unwrap(), server.url(path))
        .bearer_auth(bearer);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_run_is_started_unless_one_is_in_the_way_and_the_log_keeps_who_asked() {
    let (house, engine) = (House::new().await, Engine::default());
    let server = serve(&house, Some(engine.serve().await), 3600).await;
    let olga = operator(&house).await;
    let (status, standing) = ask(&server, "GET", "/retrain/status", &server.token, None).await;
    assert_eq!(
        (status, &standing["dag"], &standing["active"]),
        (200, &json!("nightly"), &Value::Null)
    );
    assert_eq!(standing["next"], "2030-01-15T02:00:00Z");
    let params = json!({"params": {"rows": 5}});
    let (status, run) = ask(&server, "POST", "/retrain/trigger", &olga, Some(params.clone())).await;
    assert_eq!((status, &run["status"]), (202, &json!("running")));
    assert_eq!(engine.asked.lock().unwrap().as_slice(), std::slice::from_ref(&params));
    let refusal = ask(&server, "POST", "/retrain/trigger", &olga, Some(json!({}))).await;
    assert_eq!(refusal.0, 409);
    assert!(
        refusal.1["detail"]
            .as_str()
            .unwrap()
            .contains(run["id"].as_str().unwrap())
    );
    engine.end("succeeded");
    let refusal = ask(&server, "POST", "/retrain/trigger", &olga, Some(json!({}))).await;
    assert_eq!(refusal.0, 409);
    assert!(refusal.1["detail"].as_str().unwrap().contains("too short a time ago"));
    let (_, standing) = ask(&server, "GET", "/retrain/status", &server.token, None).await;
    assert_eq!(standing["last"]["id"], run["id"]);
    assert!(standing["cooldown_until"].is_string());
    let forced = ask(&server, "POST", "/retrain/trigger", &olga, Some(json!({"force": true}))).await;
    assert_eq!(forced.0, 202);
    let (_, logs) = ask(&server, "GET", "/retrain/logs/10", &olga, None).await;
    assert_eq!(logs["runs"].as_array().unwrap().len(), 2);
    let wrong = json!({"force": 1, "params": [], "x": 1});
    let (status, problem) = ask(&server, "POST", "/retrain/trigger", &olga, Some(wrong)).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 3));
    let colour = json!({"force": true, "params": {"colour": "red"}});
    let (status, problem) = ask(&server, "POST", "/retrain/trigger", &olga, Some(colour)).await;
    assert_eq!(status, 422);
    assert!(
        problem.to_string().contains("there is no parameter colour"),
        "{problem}"
    );
    let entries = house.identity.audit_log(None, 10).await.unwrap();
    let of_olga: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.actor == "olga" && entry.action == "retrain.trigger")
        .map(|entry| entry.outcome.split(':').next().unwrap())
        .collect();
    assert_eq!(of_olga, ["refused", "asked", "done", "asked", "done", "asked"]);
}

#[tokio::test]
async fn an_evaluation_answers_the_comparisons_and_a_user_may_ask_once_an_hour() {
    let (house, engine) = (House::new().await, Engine::default());
    let server = serve(&house, Some(engine.serve().await), 0).await;
    let olga = operator(&house).await;
    let ending = engine.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ending.end("succeeded");
        }
    });
    let (status, evaluation) = ask(&server, "POST", "/evaluate", &server.token, None).await;
    assert_eq!(
        (status, &evaluation["status"]),
        (200, &json!("succeeded")),
        "{evaluation}"
    );
    assert_eq!(evaluation["comparisons"]["compare"]["outputs"]["better"]["value"], true);
    assert!(evaluation["comparisons"].get("train").is_none());
    let again = format!("/evaluate/{}", evaluation["run"].as_str().unwrap());
    assert_eq!(
        ask(&server, "GET", &again, &server.token, None).await,
        (200, evaluation)
    );
    assert_eq!(ask(&server, "POST", "/evaluate", &server.token, None).await.0, 429);
    assert_eq!(ask(&server, "POST", "/evaluate", &olga, None).await.0, 200);
    for nobody in ["/evaluate/x", "/evaluate/01a1f74a-ed7b-7743-8231-f36639248911"] {
        assert_eq!(ask(&server, "GET", nobody, &olga, None).await.0, 404, "{nobody}");
    }
}

#[tokio::test]
async fn without_an_engine_it_says_why_and_the_rest_goes_on() {
    let house = House::new().await;
    let olga = operator(&house).await;
    let none = serve(&house, None, 0).await;
    let closed = serve(&house, Some("http://127.0.0.1:1".to_owned()), 0).await;
    for (server, said) in [(&none, "RATCHET_ENGINE_URL"), (&closed, "does not answer")] {
        for (method, path, body) in [
            ("GET", "/retrain/status", None),
            ("GET", "/retrain/logs/5", None),
            ("POST", "/retrain/trigger", Some(json!({}))),
            ("POST", "/evaluate", None),
        ] {
            let (status, problem) = ask(server, method, path, &olga, body).await;
            assert_eq!(status, 503, "{path}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(
                detail.contains(said) && detail.contains("predictions go on"),
                "{detail}"
            );
        }
        assert_eq!(server.get("/health").await.0, 200);
    }
}

#[tokio::test]
async fn metrics_are_told_as_json_too() {
    let house = House::new().await;
    let server = house.serve().await;
    server.wait_until_settled().await;
    let (status, list) = server.get("/metrics").await;
    assert_eq!(status, 200);
    let found = list["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .find(|metric| metric["name"] == "ratchet_api_requests_total" && metric["labels"]["route"] == "/health");
    let found = found.unwrap();
    assert_eq!(found["labels"]["code"], "200");
    assert!(found["value"].as_f64().unwrap() >= 1.0);
}

#[tokio::test]
async fn what_holds_beside_the_file_is_shown_set_and_audited() {
    let (house, engine) = (House::new().await, Engine::default());
    let server = serve(&house, Some(engine.serve().await), 0).await;
    let olga = operator(&house).await;
    let (status, config) = ask(&server, "GET", "/retrain/config", &server.token, None).await;
    assert_eq!(
        (status, &config["file"]["cron"]),
        (200, &json!("0 2 15 * *")),
        "{config}"
    );
    let wanted = json!({"cron": "0 3 * * 1", "paused": true});
    let (status, config) = ask(&server, "POST", "/retrain/config", &olga, Some(wanted.clone())).await;
    assert_eq!((status, &config["overrides"]), (200, &wanted), "{config}");
    let (status, refused) = ask(
        &server,
        "POST",
        "/retrain/config",
        &olga,
        Some(json!({"cron": "never"})),
    )
    .await;
    assert_eq!(
        (status, &refused["errors"][0]["pointer"]),
        (422, &json!("/cron")),
        "{refused}"
    );
    let audited = house.identity.audit_log(None, 10).await.unwrap();
    let outcomes: Vec<&str> = audited
        .iter()
        .filter(|entry| entry.action == "retrain.config" && entry.subject == "nightly")
        .map(|entry| entry.outcome.as_str())
        .collect();
    assert_eq!(
        outcomes,
        ["refused: some fields are not valid", "asked", "done", "asked"]
    );
}
