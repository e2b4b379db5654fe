//! Questions to people over REST.

use ratchet_identity::Role;
use serde_json::json;

use crate::service::Service;

const ASKS: &str = "name: asks\ntasks:\n  consent:\n    approval:\n      message: Promote it?\n      fields:\n        \
                    ticket: { type: integer }\n      deadline: 24h\n  rest: { uses: test.nothing, needs: [consent] }\n";

#[tokio::test]
async fn an_operator_answers_once_and_the_run_goes_on() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("dags")).unwrap();
    std::fs::write(home.path().join("dags/asks.yaml"), ASKS).unwrap();
    let service = Service::start(home.path()).await;
    let (status, run) = service.post("/api/v1/dags/asks/runs", &json!({})).await;
    assert_eq!(status, 202, "{run}");
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    let run = service.wait_for(&path, |run| run["approvals"] != json!([])).await;
    assert_eq!(
        (&run["tasks"][0]["state"], &run["tasks"][0]["reason"]),
        (&json!("awaiting"), &json!("Promote it?"))
    );
    let asked = &run["approvals"][0];
    assert_eq!(
        (&asked["task"], &asked["message"]),
        (&json!("consent"), &json!("Promote it?"))
    );
    assert!(asked["deadline"].is_string() && asked["answer"].is_null(), "{asked}");

    let approve = format!("{path}/tasks/consent/approve");
    let by_user = service.asking(Role::User, "POST", &approve).await;
    assert_eq!(
        by_user
            .json(&json!({ "approved": true }))
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
    let (status, problem) = service
        .post(&approve, &json!({ "approved": true, "fields": { "tickt": 1 } }))
        .await;
    assert_eq!(status, 422, "{problem}");
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/fields/tickt", "/fields/ticket"], "{problem}");
    let (status, problem) = service.post(&approve, &json!({})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/approved")));
    let answer = json!({ "approved": true, "reason": "better", "fields": { "ticket": 12 } });
    let (status, answered) = service.post(&approve, &answer).await;
    assert_eq!(status, 200, "{answered}");
    assert_eq!(
        answered["answer"],
        json!({ "approved": true, "by": "operator", "reason": "better", "fields": { "ticket": 12 } })
    );
    let (status, problem) = service.post(&approve, &answer).await;
    assert_eq!(status, 409, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("approved by operator: better"),
        "{problem}"
    );
    let run = service.wait_for(&path, |run| run["status"] != json!("running")).await;
    assert_eq!(
        (&run["status"], &run["tasks"][1]["state"]),
        (&json!("succeeded"), &json!("succeeded"))
    );
    let mut audit = service.identity.audit_log(None, 100).await.unwrap();
    audit.retain(|entry| entry.action == "task.approve");
    let told: Vec<(&str, bool)> = audit
        .iter()
        .rev()
        .map(|entry| (entry.actor.as_str(), entry.subject.contains("consent: yes")))
        .collect();
    assert!(
        told.len() >= 4 && told.iter().all(|entry| *entry == ("operator", true)),
        "{audit:?}"
    );
    service.stop().await;
}
