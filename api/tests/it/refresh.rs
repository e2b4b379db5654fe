//! Refresh tokens over HTTP.

use serde_json::Value;

use crate::server::{House, PASSWORD, Server};

async fn ask(server: &Server, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let response = server.client.post(server.url(path)).form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn trade(server: &Server, token: &str) -> (u16, Value) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    ask(server, "/token", &form).await
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap()
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_pair_once_and_a_copy_ends_all() {
    let house = House::new().await;
    let server = house.serve().await;
    let (status, first) = ask(&server, "/token", &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!((status, &first["refresh_expires_in"]), (200, &Value::from(1_209_600)));
    let (status, second) = trade(&server, text(&first, "refresh_token")).await;
    assert_eq!(status, 200, "{second}");
    let bearer = text(&second, "access_token");
    assert_eq!(house.identity.verify_token(bearer).await.unwrap().username, "ada");
    // Whoever stole the first one and whoever was stolen from both have to log in again.
    let (status, refusal) = trade(&server, text(&first, "refresh_token")).await;
    assert_eq!((status, text(&refusal, "error")), (400, "invalid_grant"));
    let (status, refusal) = trade(&server, text(&second, "refresh_token")).await;
    assert_eq!((status, text(&refusal, "error")), (400, "invalid_grant"));
    assert!(!refusal.to_string().contains("ratchet_refresh_"));
    let newest = house.identity.audit_log(None, 1).await.unwrap();
    assert_eq!(
        (newest[0].action.as_str(), newest[0].origin.as_str()),
        ("token.reuse", "127.0.0.1")
    );
}

#[tokio::test]
async fn whoever_logs_out_revokes() {
    let house = House::new().await;
    let server = house.serve().await;
    let (_, issued) = ask(&server, "/token", &[("username", "ada"), ("password", PASSWORD)]).await;
    let token = text(&issued, "refresh_token");
    assert_eq!(ask(&server, "/token/revoke", &[("token", token)]).await.0, 200);
    assert_eq!(ask(&server, "/token/revoke", &[("token", "unknown")]).await.0, 200);
    assert_eq!(ask(&server, "/token/revoke", &[]).await.0, 400);
    assert_eq!(trade(&server, token).await.0, 400);
    assert_eq!(ask(&server, "/token", &[("grant_type", "refresh_token")]).await.0, 400);
}
