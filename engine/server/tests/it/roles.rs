//! Who may use which route: every route by everybody.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratchet_identity::token::{LIFETIME, Signer};
use ratchet_identity::{Audience, Role};
use serde_json::json;

use crate::service::{SECRET, Service};

/// Method, path as documented, path as asked, and who may at least; nobody stands for everybody.
const ROUTES: &[(&str, &str, &str, Option<Role>)] = &[
    ("GET", "/", "/", None),
    ("GET", "/health", "/health", None),
    ("POST", "/api/v1/token", "/api/v1/token", None),
    ("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", Some(Role::User)),
    ("GET", "/api/v1/dags", "/api/v1/dags", Some(Role::User)),
    ("GET", "/api/v1/dags/{name}", "/api/v1/dags/none", Some(Role::User)),
    (
        "GET",
        "/api/v1/dags/{name}/next",
        "/api/v1/dags/none/next",
        Some(Role::User),
    ),
    (
        "POST",
        "/api/v1/dags/{name}/runs",
        "/api/v1/dags/none/runs",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/dags/{name}/pause",
        "/api/v1/dags/none/pause",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/dags/{name}/unpause",
        "/api/v1/dags/none/unpause",
        Some(Role::Operator),
    ),
    (
        "GET",
        "/api/v1/dags/{name}/config",
        "/api/v1/dags/none/config",
        Some(Role::User),
    ),
    (
        "POST",
        "/api/v1/dags/{name}/config",
        "/api/v1/dags/none/config",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/dags/{name}/backfills",
        "/api/v1/dags/none/backfills",
        Some(Role::Operator),
    ),
    ("POST", "/api/v1/hooks/{dag}", "/api/v1/hooks/none", None),
    ("GET", "/api/v1/backfills", "/api/v1/backfills", Some(Role::User)),
    (
        "GET",
        "/api/v1/backfills/{id}",
        "/api/v1/backfills/none",
        Some(Role::User),
    ),
    (
        "POST",
        "/api/v1/backfills/{id}/stop",
        "/api/v1/backfills/none/stop",
        Some(Role::Operator),
    ),
    ("GET", "/api/v1/runs", "/api/v1/runs", Some(Role::User)),
    ("GET", "/api/v1/runs/{id}", "/api/v1/runs/ffffffff", Some(Role::User)),
    (
        "GET",
        "/api/v1/runs/{id}/tasks",
        "/api/v1/runs/ffffffff/tasks",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/attempts",
        "/api/v1/runs/ffffffff/attempts",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/logs",
        "/api/v1/runs/ffffffff/logs",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/logs/text",
        "/api/v1/runs/ffffffff/logs/text",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/artifacts",
        "/api/v1/runs/ffffffff/artifacts",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/artifacts/{task}/{attempt}/{name}",
        "/api/v1/runs/ffffffff/artifacts/say/1/log.ndjson",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/runs/{id}/events",
        "/api/v1/runs/ffffffff/events",
        Some(Role::User),
    ),
    (
        "POST",
        "/api/v1/runs/{id}/cancel",
        "/api/v1/runs/ffffffff/cancel",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/runs/{id}/retry",
        "/api/v1/runs/ffffffff/retry",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/runs/{id}/clear",
        "/api/v1/runs/ffffffff/clear",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/runs/{id}/tasks/{task}/mark",
        "/api/v1/runs/ffffffff/tasks/only/mark",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/runs/{id}/tasks/{task}/approve",
        "/api/v1/runs/ffffffff/tasks/only/approve",
        Some(Role::Operator),
    ),
    ("GET", "/api/v1/pools", "/api/v1/pools", Some(Role::User)),
    ("GET", "/api/v1/datasets", "/api/v1/datasets", Some(Role::User)),
    (
        "GET",
        "/api/v1/datasets/{name}",
        "/api/v1/datasets/none",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/datasets/{name}/versions/{version}",
        "/api/v1/datasets/none/versions/1",
        Some(Role::User),
    ),
    ("GET", "/api/v1/lookups", "/api/v1/lookups", Some(Role::User)),
    ("GET", "/api/v1/models", "/api/v1/models", Some(Role::User)),
    ("GET", "/api/v1/models/{name}", "/api/v1/models/none", Some(Role::User)),
    (
        "GET",
        "/api/v1/models/{name}/versions/{version}",
        "/api/v1/models/none/versions/1",
        Some(Role::User),
    ),
    (
        "GET",
        "/api/v1/models/{name}/aliases/{alias}",
        "/api/v1/models/none/aliases/champion",
        Some(Role::User),
    ),
    (
        "POST",
        "/api/v1/models/{name}/promote",
        "/api/v1/models/none/promote",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/models/{name}/rollback",
        "/api/v1/models/none/rollback",
        Some(Role::Operator),
    ),
    (
        "POST",
        "/api/v1/models/{name}/route",
        "/api/v1/models/none/route",
        Some(Role::Operator),
    ),
    ("GET", "/api/v1/promotions", "/api/v1/promotions", Some(Role::User)),
    ("GET", "/api/v1/users", "/api/v1/users", Some(Role::Admin)),
    ("POST", "/api/v1/users", "/api/v1/users", Some(Role::Admin)),
    (
        "DELETE",
        "/api/v1/users/{name}",
        "/api/v1/users/nobody",
        Some(Role::Admin),
    ),
    ("GET", "/api/v1/keys", "/api/v1/keys", Some(Role::Admin)),
    ("POST", "/api/v1/keys", "/api/v1/keys", Some(Role::Admin)),
    (
        "DELETE",
        "/api/v1/keys/{name}",
        "/api/v1/keys/nothing",
        Some(Role::Admin),
    ),
    ("GET", "/api/v1/audit", "/api/v1/audit", Some(Role::Admin)),
    ("GET", "/api/v1/audit/check", "/api/v1/audit/check", Some(Role::Admin)),
];

/// Someone who asks: a name for messages, what is sent, the role that it stands for.
struct Bearer {
    name: &'static str,
    token: Option<String>,
    role: Option<Role>,
}

async fn bearers(service: &Service) -> Vec<Bearer> {
    let refused = |name, token| Bearer {
        name,
        token,
        role: None,
    };
    let mut bearers = vec![
        refused("anonymous", None),
        refused("nonsense", Some("nonsense".to_owned())),
    ];
    for role in Role::ALL {
        let token = Some(service.token(role).await);
        bearers.push(Bearer {
            name: role.as_str(),
            token,
            role: Some(role),
        });
        let key = service.identity.add_key(role.as_str(), role, 1).await.unwrap();
        bearers.push(Bearer {
            name: "key",
            token: Some(key.secret),
            role: Some(role),
        });
    }
    // What would be an administrator's if only one thing about it were right.
    let admin = service.user(Role::Admin).await;
    let now = Timestamp::now();
    let signed = |secret: &str, audience, at| {
        let signer = Signer::new(secret.as_bytes());
        Some(signer.issue(&admin, audience, at, LIFETIME).unwrap().token)
    };
    let long_ago = now - SignedDuration::from_hours(2);
    bearers.push(refused("expired", signed(SECRET, Audience::Engine, long_ago)));
    let other_secret = "another secret that is long enough to sign with";
    bearers.push(refused("wrong signature", signed(other_secret, Audience::Engine, now)));
    bearers.push(refused("wrong audience", signed(SECRET, Audience::Api, now)));
    let good = service.token(Role::Admin).await;
    let payload = good.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    bearers.push(refused("alg none", Some(unsigned)));
    let revoked = service.identity.add_key("revoked", Role::Admin, 1).await.unwrap();
    service.identity.revoke_key("revoked").await.unwrap();
    bearers.push(refused("revoked key", Some(revoked.secret)));
    bearers
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    for bearer in bearers(&service).await {
        for (method, _, path, least) in ROUTES {
            let mut request = service.request(method, path);
            if let Some(token) = &bearer.token {
                request = request.bearer_auth(token);
            }
            let status = request.send().await.unwrap().status().as_u16();
            let case = format!("{} {method} {path}: {status}", bearer.name);
            match (least, bearer.role) {
                // Past the guard: whatever it is, it is an answer of the handler.
                (None, _) => assert!(![401, 403, 405, 500].contains(&status), "{case}"),
                (Some(_), None) => assert_eq!(status, 401, "{case}"),
                (Some(least), Some(role)) if role < *least => assert_eq!(status, 403, "{case}"),
                (Some(_), Some(_)) => assert!(![401, 403, 405, 500].contains(&status), "{case}"),
            }
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn the_document_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let document = service.json("/api/v1/openapi.json").await;
    let mut described = 0;
    for methods in document["paths"].as_object().unwrap().values() {
        described += methods.as_object().unwrap().len();
    }
    assert_eq!(described, ROUTES.len());
    for (method, path, _, least) in ROUTES {
        let role = &document["paths"][path][method.to_lowercase()]["x-ratchet-role"];
        let expected = least.map_or("public", Role::as_str);
        assert_eq!(role, &json!(expected), "{method} {path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_password_gives_a_token_that_the_prediction_api_refuses() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    service.user(Role::User).await;
    let form = [
        ("grant_type", "password"),
        ("username", "user"),
        ("password", "correct horse"),
    ];
    let answer = service
        .request("POST", "/api/v1/token")
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        (&answer["token_type"], &answer["role"]),
        (&json!("bearer"), &json!("user"))
    );
    let token = answer["access_token"].as_str().unwrap();
    let runs = service.request("GET", "/api/v1/runs").bearer_auth(token);
    assert_eq!(runs.send().await.unwrap().status(), 200);
    assert!(
        service
            .identity
            .for_audience(Audience::Api)
            .verify_token(token)
            .await
            .is_err()
    );
    service.stop().await;
}

#[tokio::test]
async fn a_removed_user_and_a_revoked_key_are_out_within_two_seconds() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let token = service.token(Role::Operator).await;
    let key = service
        .identity
        .add_key("nightly", Role::Operator, 1)
        .await
        .unwrap()
        .secret;
    let status = async |token: &str| {
        let request = service.request("GET", "/api/v1/runs").bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(&token).await, status(&key).await), (200, 200));
    // By another program, as the command line is one.
    let other = ratchet_identity::Identity::open_with_secret(home.path(), None, Some(SECRET))
        .await
        .unwrap();
    other.remove("operator").await.unwrap();
    other.revoke_key("nightly").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!((status(&token).await, status(&key).await), (401, 401));
    service.stop().await;
}
