//! What is lost around the service while it is asked: predictions go on, and readiness, metrics and log tell the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use ratchet_artifacts::Bucket;
use ratchet_artifacts::faults::FaultyStore;
use tokio::task::JoinHandle;

use crate::bundles::TestBundle;
use crate::server::{House, Server, row};

/// Askers that go on until they are told to stop; each answer has to be a prediction.
struct Load {
    done: Arc<AtomicBool>,
    askers: Vec<JoinHandle<u64>>,
}

impl Load {
    fn on(server: &Server) -> Load {
        let done = Arc::new(AtomicBool::new(false));
        let askers = (0..4).map(|_| {
            let (client, done, token) = (server.client.clone(), done.clone(), server.token.clone());
            let url = server.url("/predict/alpha");
            tokio::spawn(async move {
                let mut answers = 0;
                while !done.load(Ordering::Relaxed) {
                    let request = client.post(&url).bearer_auth(&token).json(&row(5.0));
                    let response = request.send().await.unwrap();
                    assert_eq!(response.status(), 200);
                    answers += 1;
                }
                answers
            })
        });
        Load {
            askers: askers.collect(),
            done,
        }
    }

    async fn end(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        let mut answers = 0;
        for asker in self.askers {
            answers += asker.await.unwrap();
        }
        answers
    }
}

async fn wait_for_metric(server: &Server, line: &str) {
    for _ in 0..1200 {
        if server
            .text("/metrics/prometheus")
            .await
            .lines()
            .any(|known| known == line)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{line} never came: {}", server.text("/metrics/prometheus").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_promotions_and_rollbacks_fail_no_request() {
    let house = House::new().await;
    house.release("alpha", TestBundle::new("alpha", 0.0).bytes()).await;
    let other = house.register("alpha", TestBundle::new("alpha", 1000.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let load = Load::on(&server);
    for round in 0..100 {
        match round % 2 {
            0 => drop(house.promote(&other).await),
            _ => house.rollback("alpha").await,
        }
        // A few are met one by one, the others in heaps.
        if round % 20 == 0 {
            server.wait_for_version("alpha", 2).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let health = server.wait_for(|health| health["log"]["position"] == 101).await;
    assert_eq!(health["status"], "ok", "{health}");
    server.wait_for_version("alpha", 1).await;
    println!(
        "{} requests during 100 promotions and rollbacks, none failed",
        load.end().await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_away_is_said_and_serving_goes_on() {
    let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new())));
    let bucket = Bucket::from_store(store.clone(), "memory://faulty");
    let house = House::over(tempfile::tempdir().unwrap(), bucket).await;
    house.release("alpha", TestBundle::new("alpha", 0.0).bytes()).await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    let load = Load::on(&server);
    store.set_away(true);
    let health = server.wait_for(|health| health["log"]["reachable"] == false).await;
    assert_eq!(health["status"], "degraded", "ready, and not as it should be: {health}");
    assert_eq!(
        server.client.get(server.url("/health")).send().await.unwrap().status(),
        200
    );
    assert_eq!(
        server
            .client
            .get(server.url("/v2/health/ready"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    wait_for_metric(&server, "ratchet_api_promotion_log_reachable 0").await;
    assert_eq!(server.ask(&server.token, "GET", "/database", None).await.0, 403);
    store.set_away(false);
    server.wait_for(|health| health["status"] == "ok").await;
    wait_for_metric(&server, "ratchet_api_promotion_log_reachable 1").await;
    house.release("alpha", TestBundle::new("alpha", 7.0).bytes()).await;
    server.wait_for_version("alpha", 2).await;
    println!(
        "{} requests while the bucket was away and after, none failed",
        load.end().await
    );
}
