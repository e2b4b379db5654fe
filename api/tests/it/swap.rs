//! Promotions and rollbacks under fire.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bundles::TestBundle;
use crate::server::{House, model, row};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_versions_come_and_go_and_each_answer_names_its_own() {
    let house = House::new().await;
    // Version n answers n * 1000 + easting, so that an answer betrays the version that made it.
    house
        .release(
            "alpha",
            TestBundle::new("alpha", 1000.0).at("/predict/alpha_pump").bytes(),
        )
        .await;
    let replicas = [house.serve().await, house.serve().await];
    for replica in &replicas {
        replica.wait_for_version("alpha", 1).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..6)
        .map(|number| {
            let replica = &replicas[number % 2];
            let (client, done, token) = (replica.client.clone(), done.clone(), replica.token.clone());
            let url = replica.url(if number < 3 {
                "/predict/alpha_pump"
            } else {
                "/predict/alpha"
            });
            tokio::spawn(async move {
                let mut seen = BTreeSet::new();
                let mut answers = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    let response = client
                        .post(&url)
                        .bearer_auth(&token)
                        .json(&row(5.0))
                        .send()
                        .await
                        .unwrap();
                    assert_eq!(response.status(), 200);
                    let answer: serde_json::Value = response.json().await.unwrap();
                    let version = answer["model"]["version"].as_u64().unwrap();
                    assert_eq!(answer["seconds"].as_f64().unwrap(), version as f64 * 1000.0 + 5.0);
                    seen.insert((version, answer["model"]["digest"].as_str().unwrap().to_owned()));
                    answers += 1;
                }
                (seen, answers)
            })
        })
        .collect();
    for version in 2..=4_u64 {
        house
            .release(
                "alpha",
                TestBundle::new("alpha", version as f64 * 1000.0)
                    .at("/predict/alpha_pump")
                    .bytes(),
            )
            .await;
        for replica in &replicas {
            replica.wait_for_version("alpha", version).await;
        }
    }
    house.rollback("alpha").await;
    for replica in &replicas {
        let health = replica.wait_for_version("alpha", 3).await;
        assert_eq!(health["status"], "ok");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    done.store(true, Ordering::Relaxed);
    for asker in askers {
        let (seen, answers) = asker.await.unwrap();
        assert!(answers > 0);
        assert_eq!(
            seen.len(),
            4,
            "one digest per version, and every version was met: {seen:?}"
        );
    }
    for replica in replicas {
        let metrics = replica.text("/metrics/prometheus").await;
        assert_eq!(
            metrics.matches("ratchet_api_model_info{").count(),
            1,
            "only what serves is listed"
        );
        replica.stop().await;
    }
}

#[tokio::test]
async fn entries_that_pile_up_lead_straight_to_the_newest() {
    let house = House::new().await;
    let server = house.serve().await;
    for version in 1..=10 {
        house
            .release("alpha", TestBundle::new("alpha", f64::from(version)).bytes())
            .await;
        house
            .release("beta", TestBundle::new("beta", f64::from(version)).bytes())
            .await;
    }
    server.wait_for_version("alpha", 10).await;
    let health = server.wait_for_version("beta", 10).await;
    assert_eq!(
        (&health["status"], &health["log"]["position"]),
        (&"ok".into(), &20.into())
    );
}

#[tokio::test]
async fn a_route_moves_with_its_model() {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 1.0).at("/old/path").bytes())
        .await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    assert_eq!(server.post("/old/path", &row(1.0)).await.0, 200);
    house
        .release("alpha", TestBundle::new("alpha", 2.0).at("/new/path").bytes())
        .await;
    server.wait_for_version("alpha", 2).await;
    assert_eq!(server.post("/new/path", &row(1.0)).await.0, 200);
    assert_eq!(server.post("/old/path", &row(1.0)).await.0, 404);
    assert_eq!(model(&server.get("/models").await.1, "alpha")["route"], "/new/path");
    let paths = &server.get("/openapi.json").await.1["paths"];
    assert!(paths.get("/new/path").is_some() && paths.get("/old/path").is_none());
}

#[tokio::test]
async fn a_request_at_hand_is_finished_when_the_service_stops() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 1.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let body = row(1.0).to_string();
    let (first, second) = body.split_at(10);
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /predict/alpha HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        server.token,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = server.address;
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "no new connection is taken"
    );
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.unwrap();
}
