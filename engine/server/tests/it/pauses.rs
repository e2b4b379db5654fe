//! Paused DAGs.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::schedules::left_behind;
use crate::service::Service;

async fn dags(service: &Service) -> Value {
    service.json("/api/v1/dags").await["dags"][0].clone()
}

/// Y-161
#[tokio::test]
async fn a_paused_dag_ticks_nothing_runs_by_hand_and_catches_up_afterwards() {
    let home = tempfile::tempdir().unwrap();
    left_behind(home.path(), "all", 3);
    // Before the first look: nothing was caught up yet.
    let service = Service::start_with(home.path(), |engine| async move {
        engine.store().pause("hourly", "ada").await.unwrap();
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(service.json("/api/v1/runs").await["runs"], json!([]));
    let paused = dags(&service).await;
    assert_eq!(paused["paused"]["by"], json!("ada"), "{paused}");
    let (_, _, page) = service.get("/").await;
    assert!(page.contains("paused by ada since"), "{page}");

    let (status, run) = service.post("/api/v1/dags/hourly/runs", &json!({})).await;
    assert_eq!(status, 202, "{run}");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    service.wait_for(&path, |run| run["status"] == json!("succeeded")).await;
    let (status, again) = service.post("/api/v1/dags/hourly/pause", &json!({})).await;
    assert_eq!(
        (status, &again["paused"]["by"]),
        (200, &json!("ada")),
        "the first stays"
    );

    // A pause outlives the service.
    service.stop().await;
    let service = Service::start(home.path()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(service.json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 1);

    let (status, ended) = service.post("/api/v1/dags/hourly/unpause", &json!({})).await;
    assert_eq!((status, &ended), (200, &json!({ "dag": "hourly", "paused": null })));
    let answer = service
        .wait_for("/api/v1/runs?trigger=schedule", |answer| {
            answer["runs"].as_array().unwrap().len() >= 3
        })
        .await;
    let oldest: Timestamp = answer["runs"].as_array().unwrap().last().unwrap()["logical_date"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(oldest < Timestamp::now() - 2.hours(), "all were caught up: {answer}");
    assert_eq!(dags(&service).await["paused"], Value::Null);
    let audit = service.identity.audit_log(None, 100).await.unwrap();
    let audited: Vec<(&str, &str, &str)> = audit
        .iter()
        .rev()
        .map(|entry| (entry.action.as_str(), entry.subject.as_str(), entry.outcome.as_str()))
        .filter(|(action, ..)| action.starts_with("dag."))
        .collect();
    let entry = |action, outcome| (action, "hourly", outcome);
    assert_eq!(
        audited,
        [
            entry("dag.pause", "asked"),
            entry("dag.pause", "done"),
            entry("dag.unpause", "asked"),
            entry("dag.unpause", "done")
        ]
    );
    service.stop().await;
}

#[tokio::test]
async fn a_dag_whose_file_is_gone_can_be_unpaused_and_no_other() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    service.engine.store().pause("gone", "ada").await.unwrap();
    let unpause = |name: &str| format!("/api/v1/dags/{name}/unpause");
    assert_eq!(service.post(&unpause("gone"), &json!({})).await.0, 200);
    assert_eq!(service.post(&unpause("gone"), &json!({})).await.0, 404);
    let refused = service
        .asking(Role::User, "POST", "/api/v1/dags/gone/pause")
        .await
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 403);
    service.stop().await;
}
