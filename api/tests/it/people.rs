//! `/user`, `/register`, keys for checking tokens, and how often somebody may ask.

use ratchet_api::Options;
use ratchet_api::access::options::AccessOptions;
use ratchet_identity::{Identity, Role};
use serde_json::{Value, json};

use crate::bundles::TestBundle;
use crate::server::{House, PASSWORD, Server, row};

async fn send(server: &Server, method: &str, path: &str, bearer: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = server.client.request(method.parse().unwrap(), server.url(path));
    if !bearer.is_empty() {
        request = request.bearer_auth(bearer);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn admin(house: &House) -> String {
    let admin = house.identity.add_user("root", PASSWORD, Role::Admin).await.unwrap();
    house.identity.issue_token(&admin).unwrap().token
}

#[tokio::test]
async fn an_admin_adds_lists_and_removes_users_and_the_log_keeps_it() {
    let house = House::new().await;
    let server = house.serve().await;
    let admin = admin(&house).await;
    let grace = json!({"username": "grace", "password": "battery staple", "role": "operator"});
    let (status, made) = send(&server, "POST", "/user", &admin, Some(grace.clone())).await;
    assert_eq!((status, &made["role"]), (201, &json!("operator")), "{made}");
    assert!(!made.to_string().contains("staple"));
    assert_eq!(send(&server, "POST", "/user", &admin, Some(grace)).await.0, 409);
    let (_, list) = send(&server, "GET", "/user", &admin, None).await;
    let names: Vec<_> = list["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada", "grace", "root"]);
    let wrong = json!({"username": "no name", "password": 3, "role": "king", "rule": 1});
    let (status, problem) = send(&server, "POST", "/user", &admin, Some(wrong)).await;
    let pointers: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!((status, pointers), (422, vec!["/password", "/role", "/rule"]));
    let short = json!({"username": "x", "password": "short"});
    assert_eq!(send(&server, "POST", "/user", &admin, Some(short)).await.0, 422);
    let grace = house.identity.verify_password("grace", "battery staple").await.unwrap();
    let bearer = house.identity.issue_token(&grace).unwrap().token;
    assert_eq!(
        send(&server, "DELETE", "/user?username=grace", &admin, None).await.0,
        204
    );
    assert_eq!(
        send(&server, "DELETE", "/user?username=grace", &admin, None).await.0,
        404
    );
    assert_eq!(
        send(&server, "DELETE", "/user?username=root", &admin, None).await.0,
        409
    );
    assert_eq!(send(&server, "DELETE", "/user", &admin, None).await.0, 422);
    assert_eq!(
        send(&server, "GET", "/user", &bearer, None).await.0,
        401,
        "gone is gone"
    );
    let newest = house.identity.audit_log(None, 1).await.unwrap();
    assert_eq!(
        (
            newest[0].actor.as_str(),
            newest[0].action.as_str(),
            newest[0].origin.as_str()
        ),
        ("root", "user.remove", "127.0.0.1")
    );
}

#[tokio::test]
async fn registration_is_off_unless_it_is_switched_on() {
    let house = House::new().await;
    let eve = json!({"username": "eve", "password": "battery staple"});
    let server = house.serve().await;
    let (status, problem) = send(&server, "POST", "/register", "", Some(eve.clone())).await;
    assert_eq!((status, &problem["title"]), (403, &json!("registration is off")));
    server.stop().await;
    let house = House::new().await;
    let options = Options {
        access: AccessOptions {
            registration: true,
            ..AccessOptions::default()
        },
        ..house.options()
    };
    let server = house.serve_with(options).await;
    let (status, made) = send(&server, "POST", "/register", "", Some(eve.clone())).await;
    assert_eq!((status, &made["role"]), (201, &json!("user")));
    let king = json!({"username": "king", "password": "battery staple", "role": "admin"});
    assert_eq!(send(&server, "POST", "/register", "", Some(king)).await.0, 422);
    let mut last = 0;
    for _ in 0..10 {
        last = send(&server, "POST", "/register", "", Some(eve.clone())).await.0;
    }
    assert_eq!(last, 429, "strangers get few hashes");
}

#[tokio::test]
async fn one_caller_too_many_requests_are_refused_and_another_is_not() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    let options = Options {
        access: AccessOptions {
            requests_per_second: Some(0.5),
            ..AccessOptions::default()
        },
        ..house.options()
    };
    let server = house.serve_with(options).await;
    server.wait_for_version("alpha", 1).await;
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.0, 200);
    let request = server
        .client
        .post(server.url("/predict/alpha"))
        .bearer_auth(&server.token);
    let refused = request.json(&row(1.0)).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    let key = house.identity.add_key("other", Role::User, 1).await.unwrap().secret;
    assert_eq!(
        send(&server, "POST", "/predict/alpha", &key, Some(row(1.0))).await.0,
        200
    );
}

#[tokio::test]
async fn public_keys_are_shown_where_a_pair_signs() {
    let house = House::new().await;
    let server = house.serve().await;
    assert_eq!(server.get("/.well-known/jwks.json").await, (200, json!({"keys": []})));
    let house = House::new().await;
    let signing = Identity::open_signing(house.home.path(), None, None, "EdDSA")
        .await
        .unwrap();
    let house = House {
        identity: signing,
        ..house
    };
    house.release("alpha", TestBundle::new("alpha", 0.5).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let (_, keys) = server.get("/.well-known/jwks.json").await;
    assert_eq!(
        (&keys["keys"][0]["crv"], &keys["keys"][0]["alg"]),
        (&json!("Ed25519"), &json!("EdDSA"))
    );
    assert!(keys["keys"][0].get("d").is_none(), "the private half stays");
    assert_eq!(server.post("/predict/alpha", &row(1.0)).await.0, 200);
}
