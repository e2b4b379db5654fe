//! API keys in place of tokens, and tokens of the other service.

use ratchet_identity::{Audience, Role};

use crate::bundles::TestBundle;
use crate::server::{House, row};

#[tokio::test]
async fn a_key_is_taken_until_it_is_revoked_and_a_token_for_the_engine_is_not() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.1).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let status = async |token: &str| {
        let request = server.client.post(server.url("/predict/alpha")).bearer_auth(token);
        request.json(&row(50.5)).send().await.unwrap().status().as_u16()
    };
    let secret = house.identity.add_key("nightly", Role::User, 1).await.unwrap().secret;
    assert_eq!(status(&secret).await, 200);
    let engine = house.identity.for_audience(Audience::Engine);
    let user = engine.verify_password("ada", crate::server::PASSWORD).await.unwrap();
    assert_eq!(status(&engine.issue_token(&user).unwrap().token).await, 401);
    house.identity.revoke_key("nightly").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(status(&secret).await, 401);
}
