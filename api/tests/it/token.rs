//! `POST /token`.

use serde_json::{Value, json};

use crate::server::{House, PASSWORD, Server};

async fn ask(server: &Server, form: &[(&str, &str)]) -> (u16, Value, reqwest::header::HeaderMap) {
    let response = server
        .client
        .post(server.url("/token"))
        .form(form)
        .send()
        .await
        .unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, response.json().await.unwrap(), headers)
}

#[tokio::test]
async fn a_name_and_a_password_give_a_bearer_token() {
    let house = House::new().await;
    let server = house.serve().await;
    let form = [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", PASSWORD),
        ("scope", ""),
    ];
    let (status, answer, headers) = ask(&server, &form).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["role"]),
        (&json!("bearer"), &json!(3600), &json!("user"))
    );
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(house.identity.verify_token(token).await.unwrap().username, "ada");
    // Clients of older servers leave the grant type out.
    assert_eq!(
        ask(&server, &[("username", "ada"), ("password", PASSWORD)]).await.0,
        200
    );
}

#[tokio::test]
async fn errors_have_the_shape_of_oauth2() {
    let house = House::new().await;
    let server = house.serve().await;
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("username", "ada"), ("password", "wrong")], "invalid_grant"),
        (&[("username", "eve"), ("password", PASSWORD)], "invalid_grant"),
        (&[("username", "ada")], "invalid_request"),
        (
            &[
                ("grant_type", "client_credentials"),
                ("username", "ada"),
                ("password", PASSWORD),
            ],
            "unsupported_grant_type",
        ),
    ];
    for (form, error) in cases {
        let (status, answer, headers) = ask(&server, form).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{form:?}");
        assert!(answer["error_description"].is_string());
        assert_eq!(headers["cache-control"], "no-store");
    }
    let response = server
        .client
        .post(server.url("/token"))
        .json(&json!({"username": "ada"}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 415);
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "invalid_request");
    let long = "x".repeat(100_000);
    assert_eq!(
        ask(&server, &[("username", &long), ("password", PASSWORD)]).await.0,
        413
    );
}

#[tokio::test]
async fn the_sixth_guess_has_to_wait() {
    let house = House::new().await;
    let server = house.serve().await;
    for _ in 0..5 {
        assert_eq!(ask(&server, &[("username", "ada"), ("password", "wrong")]).await.0, 400);
    }
    let (status, answer, headers) = ask(&server, &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!((status, &answer["error"]), (429, &json!("slow_down")));
    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}
