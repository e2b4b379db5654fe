//! Instances of a task with a list over REST.

use serde_json::json;

use crate::service::Service;

const TALKS: &str = "name: talks\ntasks:\n  say: { uses: test.talk, foreach: { items: [leeds, york], key: '${{ item }}' } }\n  \
                     rest: { uses: test.nothing, needs: [say] }\n";

#[tokio::test]
async fn instances_are_listed_behind_their_task_and_named_in_requests() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("dags")).unwrap();
    std::fs::write(home.path().join("dags/talks.yaml"), TALKS).unwrap();
    let service = Service::start(home.path()).await;
    let (status, run) = service.post("/api/v1/dags/talks/runs", &json!({})).await;
    assert_eq!(status, 202, "{run}");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    let run = service.wait_for(&path, |run| run["status"] != json!("running")).await;
    let ids: Vec<&str> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["say", "say[leeds]", "say[york]", "rest"]);
    assert_eq!(
        run["tasks"][2]["instance"],
        json!({ "task": "say", "index": 1, "key": "york", "item": "york" })
    );
    let attempts = service.json(&format!("{path}/attempts")).await;
    assert_eq!(attempts["attempts"][1]["task"], json!("say[york]"), "{attempts}");
    let lines = service.json(&format!("{path}/logs?task=say%5Byork%5D")).await;
    assert!(
        lines["lines"]
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["task"] == json!("say[york]")),
        "{lines}"
    );

    let (status, marked) = service
        .post(
            &format!("{path}/tasks/say%5Byork%5D/mark"),
            &json!({ "state": "failed" }),
        )
        .await;
    assert_eq!((status, &marked["status"]), (200, &json!("failed")), "{marked}");
    let (status, new) = service.post(&format!("{path}/retry"), &json!({})).await;
    assert_eq!(status, 202, "{new}");
    let path = format!("/api/v1/runs/{}", new["id"].as_str().unwrap());
    let new = service.wait_for(&path, |run| run["status"] != json!("running")).await;
    let attempts: Vec<u64> = new["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["attempts"].as_u64().unwrap())
        .collect();
    assert_eq!(attempts, [0, 0, 1, 1], "{new}");
    service.stop().await;
}
