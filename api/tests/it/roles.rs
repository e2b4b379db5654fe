//! Every route by every kind of caller gives what the one table of routes and roles says, and so does the guide.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ratchet_api::Options;
use ratchet_api::access::options::AccessOptions;
use ratchet_api::access::rules::{Access, RULES};
use ratchet_identity::token::{LIFETIME, Signer};
use ratchet_identity::{Audience, Role, User};

use crate::bundles::TestBundle;
use crate::server::{House, Server};

/// A caller, and the role as which the service should take it.
struct Kind {
    name: &'static str,
    bearer: Option<String>,
    role: Option<Role>,
}

async fn kinds(house: &House) -> Vec<Kind> {
    let identity = &house.identity;
    let secret = std::fs::read_to_string(house.home.path().join("jwt_secret")).unwrap();
    let signer = Signer::new(secret.trim().as_bytes());
    let mut users: Vec<User> = Vec::new();
    for role in [Role::User, Role::Operator, Role::Admin] {
        let name = format!("{role}-of-the-matrix");
        users.push(identity.add_user(&name, "correct horse", role).await.unwrap());
    }
    let admin = users[2].clone();
    let now = Timestamp::now();
    let issue = |signer: &Signer, user: &User, audience, at| signer.issue(user, audience, at, LIFETIME).unwrap().token;
    let good = issue(&signer, &admin, Audience::Api, now);
    let payload = good.split('.').nth(1).unwrap();
    let unsigned = format!(
        "{}.{payload}.",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
    );
    let stranger = Signer::new(b"another secret of at least 32 bytes!");
    let refresh = identity.issue_refresh(&admin).await.unwrap().secret;
    let revoked_refresh = identity.issue_refresh(&admin).await.unwrap().secret;
    identity.revoke_refresh(&revoked_refresh).await.unwrap();
    let key = async |name: &str, role, audience| {
        let made = identity.add_key_for(name, role, 1, audience).await.unwrap();
        made.secret
    };
    let revoked_key = key("revoked", Role::Admin, None).await;
    identity.revoke_key("revoked").await.unwrap();
    let gone = identity.add_user("gone", "correct horse", Role::Admin).await.unwrap();
    identity.remove("gone").await.unwrap();
    let kind = |name, bearer: Option<String>, role| Kind { name, bearer, role };
    let mut kinds = vec![
        kind("anonymous", None, None),
        kind(
            "user",
            Some(issue(&signer, &users[0], Audience::Api, now)),
            Some(Role::User),
        ),
        kind(
            "operator",
            Some(issue(&signer, &users[1], Audience::Api, now)),
            Some(Role::Operator),
        ),
        kind("admin", Some(good.clone()), Some(Role::Admin)),
        kind(
            "expired token",
            Some(issue(
                &signer,
                &admin,
                Audience::Api,
                now - SignedDuration::from_hours(2),
            )),
            None,
        ),
        kind(
            "wrong signature",
            Some(issue(&stranger, &admin, Audience::Api, now)),
            None,
        ),
        kind("alg none", Some(unsigned), None),
        kind(
            "wrong audience",
            Some(issue(&signer, &admin, Audience::Engine, now)),
            None,
        ),
        kind("refresh token", Some(refresh), None),
        kind("revoked refresh token", Some(revoked_refresh), None),
        kind(
            "token of a removed user",
            Some(issue(&signer, &gone, Audience::Api, now)),
            None,
        ),
        kind("revoked key", Some(revoked_key), None),
    ];
    kinds.push(kind("key", Some(key("user", Role::User, None).await), Some(Role::User)));
    let for_api = Some(Audience::Api);
    kinds.push(kind(
        "key of this scope",
        Some(key("api", Role::Admin, for_api).await),
        Some(Role::Admin),
    ));
    let elsewhere = key("engine", Role::Admin, Some(Audience::Engine)).await;
    kinds.push(kind("key of another scope", Some(elsewhere), None));
    kinds
}

async fn status(server: &Server, method: &str, path: &str, bearer: Option<&String>) -> u16 {
    let mut request = server.client.request(method.parse().unwrap(), server.url(path));
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_table_says() {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 0.5).at("/predict/alpha_pump").bytes())
        .await;
    let options = Options {
        access: AccessOptions {
            registration: true,
            ..AccessOptions::default()
        },
        ..house.options()
    };
    let server = house.serve_with(options).await;
    server.wait_for_version("alpha", 1).await;
    let kinds = kinds(&house).await;
    let mut tried = 0;
    let declared = RULES.iter().find(|rule| rule.1 == "/predict/{model}").unwrap();
    // The declared route first: among the rest is one that takes the model out of service.
    let first = [("POST", "/predict/alpha_pump", declared.2)];
    for (method, path, access) in first.into_iter().chain(RULES) {
        let path = path
            .replace("{model}", "alpha")
            .replace("{version}", "1")
            .replace("{*file}", "index.html")
            .replace("{*rest}", "nowhere")
            .replace("{limit}", "1")
            .replace("{collection}", "rides")
            .replace("{run}", "01a1f74a-ed7b-7743-8231-f36639248911");
        for kind in &kinds {
            let found = status(&server, method, &path, kind.bearer.as_ref()).await;
            let (expected, holds) = match (access, kind.role) {
                (Access::Public, _) => ("neither 401 nor 403", found != 401 && found != 403),
                (Access::From(_), None) => ("401", found == 401),
                (Access::From(needed), Some(role)) if role < needed => ("403", found == 403),
                (Access::From(_), Some(_)) => ("neither 401 nor 403", found != 401 && found != 403),
            };
            assert!(holds, "{method} {path} by {}: {found} instead of {expected}", kind.name);
            assert!(found < 500 || found == 503, "{method} {path} by {}: {found}", kind.name);
            tried += 1;
        }
    }
    assert_eq!(tried, (RULES.len() + 1) * 15);
}

#[test]
fn the_guide_has_the_same_table() {
    let guide = include_str!("../../../docs/guides/access.md");
    let rows: Vec<String> = RULES
        .iter()
        .map(|(method, path, access)| {
            let who = match access {
                Access::Public => "everybody".to_owned(),
                Access::From(role) => role.to_string(),
            };
            format!("| `{method} {path}` | {who} |")
        })
        .collect();
    let written: Vec<&str> = guide
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains(" /"))
        .collect();
    assert_eq!(
        written,
        rows,
        "the table in docs/guides/access.md should be\n{}",
        rows.join("\n")
    );
}
