//! Users, keys and the audit log over REST.

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::service::Service;

async fn admin(service: &Service, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = service.asking(Role::Admin, method, path).await;
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(),
    )
}

#[tokio::test]
async fn an_administrator_adds_and_removes_users_and_nobody_sees_a_password() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let ada = json!({ "username": "ada", "password": "battery staple", "role": "operator" });
    let (status, added) = admin(&service, "POST", "/api/v1/users", Some(ada.clone())).await;
    assert_eq!((status, &added["role"]), (201, &json!("operator")));
    assert_eq!(admin(&service, "POST", "/api/v1/users", Some(ada)).await.0, 409);
    service.identity.verify_password("ada", "battery staple").await.unwrap();
    let (_, users) = admin(&service, "GET", "/api/v1/users", None).await;
    assert!(
        users.to_string().contains("ada") && !users.to_string().contains("argon2"),
        "{users}"
    );
    assert_eq!(admin(&service, "DELETE", "/api/v1/users/ada", None).await.0, 204);
    assert_eq!(admin(&service, "DELETE", "/api/v1/users/ada", None).await.0, 404);
    assert_eq!(
        admin(&service, "DELETE", "/api/v1/users/admin", None).await.0,
        409,
        "oneself"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_user_is_told_everything_that_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let body = json!({ "username": 7, "role": "king", "age": 40 });
    let (status, problem) = admin(&service, "POST", "/api/v1/users", Some(body)).await;
    let mut pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        (status, pointers),
        (422, vec!["/age", "/password", "/role", "/username"])
    );
    service.stop().await;
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_ends() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let body = json!({ "name": "nightly", "role": "operator", "days": 7 });
    let (status, made) = admin(&service, "POST", "/api/v1/keys", Some(body.clone())).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap();
    let asked = async |secret: &str| {
        let request = service
            .request("POST", "/api/v1/models/none/rollback")
            .bearer_auth(secret);
        request
            .json(&json!({ "reason": "x" }))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(asked(secret).await, 409, "past the guard");
    let (_, keys) = admin(&service, "GET", "/api/v1/keys", None).await;
    assert!(
        keys.to_string().contains("nightly") && !keys.to_string().contains(secret),
        "{keys}"
    );
    assert_eq!(admin(&service, "POST", "/api/v1/keys", Some(body)).await.0, 409);
    assert_eq!(admin(&service, "DELETE", "/api/v1/keys/nightly", None).await.0, 204);
    assert_eq!(asked(secret).await, 401);
    let (_, audit) = admin(&service, "GET", "/api/v1/audit?limit=1", None).await;
    assert_eq!(audit["entries"][0]["action"], json!("key.revoke"));
    assert_eq!(audit["entries"][0]["actor"], json!("admin"));
    let cursor = audit["next"].as_i64().unwrap();
    let (_, before) = admin(&service, "GET", &format!("/api/v1/audit?cursor={cursor}"), None).await;
    assert_eq!(before["entries"].as_array().unwrap().len() as i64, cursor - 1);
    let (_, check) = admin(&service, "GET", "/api/v1/audit/check", None).await;
    assert_eq!((&check["broken"], &check["intact"]), (&Value::Null, &json!(cursor)));
    service.stop().await;
}
