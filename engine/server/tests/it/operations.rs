//! What people do with runs over REST: cancel, retry, clear, mark, and listen while something runs.

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::service::Service;

const TALK: &str = "name: talk\nparams:\n  city: { type: string, default: York }\ntasks:\n  say: { uses: test.talk }\n  \
                    rest: { uses: test.nothing, needs: [say] }\n";
const LINGER: &str =
    "name: linger\ntasks:\n  wait: { uses: test.linger }\n  rest: { uses: test.nothing, needs: [wait] }\n";

async fn started(home: &std::path::Path) -> Service {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/talk.yaml"), TALK).unwrap();
    std::fs::write(home.join("dags/linger.yaml"), LINGER).unwrap();
    Service::start(home).await
}

async fn ended(service: &Service, id: &str) -> Value {
    service
        .wait_for(&format!("/api/v1/runs/{id}"), |run| run["status"] != json!("running"))
        .await
}

/// A run of a DAG, asked for and not waited for.
async fn asked(service: &Service, dag: &str) -> String {
    let (status, run) = service.post(&format!("/api/v1/dags/{dag}/runs"), &json!({})).await;
    assert_eq!(status, 202, "{run}");
    run["id"].as_str().unwrap().to_owned()
}

/// Outcomes of an action, oldest first, all by the operator.
async fn audited(service: &Service, action: &str) -> Vec<String> {
    let mut audit = service.identity.audit_log(None, 100).await.unwrap();
    audit.retain(|entry| entry.action == action);
    for entry in &audit {
        assert_eq!((entry.actor.as_str(), entry.origin.as_str()), ("operator", "127.0.0.1"));
    }
    audit.iter().rev().map(|entry| entry.outcome.clone()).collect()
}

#[tokio::test]
async fn a_run_is_cancelled_once_and_its_state_is_told_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let id = asked(&service, "linger").await;
    let path = format!("/api/v1/runs/{id}/cancel");
    for action in ["retry", "clear", "tasks/wait/mark"] {
        let body = match action {
            "retry" => json!({}),
            "clear" => json!({ "tasks": ["wait"] }),
            _ => json!({ "state": "succeeded" }),
        };
        let (status, problem) = service.post(&format!("/api/v1/runs/{id}/{action}"), &body).await;
        assert_eq!(status, 409, "{action}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("has not ended"),
            "{problem}"
        );
    }
    let (status, answer) = service.post(&path, &json!({})).await;
    assert_eq!((status, &answer["id"]), (202, &json!(id)));
    let run = ended(&service, &id).await;
    assert_eq!(run["status"], json!("cancelled"), "{run}");
    let (status, problem) = service.post(&path, &json!({})).await;
    assert_eq!(status, 409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("has ended (cancelled)"), "{detail}");
    let outcomes = audited(&service, "run.cancel").await;
    assert_eq!(outcomes[..3], ["asked", "done", "asked"]);
    assert!(outcomes[3].starts_with("refused: run"), "{outcomes:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_marked_task_is_run_again_by_a_retry_that_keeps_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let id = asked(&service, "talk").await;
    ended(&service, &id).await;
    let retry = format!("/api/v1/runs/{id}/retry");
    let (status, problem) = service.post(&retry, &json!({})).await;
    assert_eq!(status, 409, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("nothing to run again"), "{detail}");

    let mark = format!("/api/v1/runs/{id}/tasks/rest/mark");
    let (status, marked) = service.post(&mark, &json!({ "state": "failed" })).await;
    let expected = json!({ "run": id, "task": "rest", "state": "failed", "status": "failed" });
    assert_eq!((status, marked), (200, expected));
    let run = service.json(&format!("/api/v1/runs/{id}")).await;
    let reason = run["tasks"][1]["reason"].as_str().unwrap();
    assert_eq!(reason, "marked failed by operator");

    let (status, new) = service.post(&retry, &json!({})).await;
    assert_eq!((status, &new["retry_of"]), (202, &json!(id)), "{new}");
    let new = ended(&service, new["id"].as_str().unwrap()).await;
    let attempts = [&new["tasks"][0]["attempts"], &new["tasks"][1]["attempts"]];
    assert_eq!(
        (attempts, &new["status"], &new["actor"]),
        ([&json!(0), &json!(1)], &json!("succeeded"), &json!("operator"))
    );
    assert_eq!(audited(&service, "task.mark").await, ["asked", "done"]);
    let outcomes = audited(&service, "run.retry").await;
    assert!(outcomes[1].starts_with("refused: "), "{outcomes:?}");
    assert_eq!(outcomes[2..], ["asked", "done"]);

    let (status, new) = service
        .post(
            &retry,
            &json!({ "from": ["say"], "only_task": true, "params": { "city": "Leeds" } }),
        )
        .await;
    assert_eq!((status, &new["params"]["city"]), (202, &json!("Leeds")), "{new}");
    let new = ended(&service, new["id"].as_str().unwrap()).await;
    let attempts = [&new["tasks"][0]["attempts"], &new["tasks"][1]["attempts"]];
    assert_eq!(attempts, [&json!(1), &json!(0)], "{new}");

    let clear = format!("/api/v1/runs/{id}/clear");
    let (status, new) = service.post(&clear, &json!({ "tasks": ["say"] })).await;
    assert_eq!(status, 202, "{new}");
    let new = ended(&service, new["id"].as_str().unwrap()).await;
    let attempts = [&new["tasks"][0]["attempts"], &new["tasks"][1]["attempts"]];
    assert_eq!(attempts, [&json!(1), &json!(1)], "what comes after it follows: {new}");
    assert_eq!(audited(&service, "run.clear").await, ["asked", "done"]);
    service.stop().await;
}

#[tokio::test]
async fn what_a_body_names_wrongly_is_told_at_its_place() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let id = asked(&service, "talk").await;
    ended(&service, &id).await;
    for (action, body, pointer) in [
        ("retry", json!({ "from": ["none"] }), "/from"),
        ("retry", json!({ "from": "say" }), "/from"),
        ("retry", json!({ "from": ["say", 1] }), "/from/1"),
        ("retry", json!({ "only_task": true }), "/only_task"),
        ("retry", json!({ "only_task": 1 }), "/only_task"),
        ("retry", json!({ "params": { "town": "Leeds" } }), "/params"),
        ("retry", json!({ "task": "say" }), "/task"),
        ("clear", json!({}), "/tasks"),
        ("clear", json!({ "tasks": [] }), "/tasks"),
        ("clear", json!({ "tasks": ["none"] }), "/tasks"),
        ("tasks/say/mark", json!({}), "/state"),
        ("tasks/say/mark", json!({ "state": "running" }), "/state"),
    ] {
        let (status, problem) = service.post(&format!("/api/v1/runs/{id}/{action}"), &body).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{action} {body}: {problem}"
        );
    }
    let runs = service.json("/api/v1/runs").await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "nothing was made: {runs}");
    service.stop().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_retry() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let id = asked(&service, "talk").await;
    ended(&service, &id).await;
    let ask = async |action: &str, key: &str, body: Value| {
        let path = format!("/api/v1/runs/{id}/{action}");
        let request = service.asking(Role::Operator, "POST", &path).await;
        let answer = request.header("Idempotency-Key", key).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap()["id"].clone())
    };
    let body = || json!({ "from": ["say"] });
    let answers = futures::future::join_all((0..4).map(|_| ask("retry", "k", body()))).await;
    assert!(
        answers.iter().all(|answer| answer.0 == 202 && *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(ask("retry", "k", json!({ "from": ["rest"] })).await.0, 422);
    assert_eq!(ask("clear", "k", json!({ "tasks": ["say"] })).await.0, 422);
    let other = ask("retry", "l", body()).await;
    assert!(other.0 == 202 && other.1 != answers[0].1);

    // What came to nothing gives its key free.
    assert_eq!(ask("retry", "m", json!({})).await.0, 409);
    assert_eq!(ask("retry", "m", body()).await.0, 202);

    // As if the program had ended a while ago, between making the run and writing it down.
    for claim in std::fs::read_dir(home.path().join("requests")).unwrap() {
        let claim = claim.unwrap().path();
        let mut left: Value = serde_json::from_slice(&std::fs::read(&claim).unwrap()).unwrap();
        if left["run"] == other.1 {
            left["run"] = Value::Null;
            left["asked_at"] = json!(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60));
            std::fs::write(&claim, left.to_string()).unwrap();
        }
    }
    assert_eq!(ask("retry", "l", body()).await, other);
    service.stop().await;
}

#[tokio::test]
async fn who_listens_hears_the_lines_of_an_attempt_under_way_once() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let id = asked(&service, "linger").await;
    let path = format!("/api/v1/runs/{id}");
    let request = service.asking(Role::User, "GET", &format!("{path}/events")).await;
    let mut answer = request.send().await.unwrap();
    let mut heard = String::new();
    while !(heard.contains("begun") && heard.contains("halfway")) {
        let chunk = answer.chunk().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let run = service.json(&path).await;
    assert_eq!(run["status"], json!("running"));
    assert_eq!(run["progress"][0]["message"], json!("halfway"), "{run}");
    let lines = service.json(&format!("{path}/logs?task=wait")).await;
    assert!(lines.to_string().contains("begun"), "{lines}");
    let (_, _, text) = service.get(&format!("{path}/logs/text")).await;
    assert!(text.contains("wait#1 info  begun\n"), "{text}");

    // Who comes later hears what was said before, though no state changes any more.
    let request = service
        .asking(Role::User, "GET", &format!("{path}/events?after=2"))
        .await;
    let mut later = request.send().await.unwrap();
    let mut second = String::new();
    while !second.contains("begun") {
        let chunk = later.chunk().await.unwrap().unwrap();
        second.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    service.post(&format!("{path}/cancel"), &json!({})).await;
    for (mut answer, mut heard) in [(answer, heard), (later, second)] {
        while let Some(chunk) = answer.chunk().await.unwrap() {
            heard.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert_eq!(heard.matches("begun").count(), 1, "{heard}");
        let place = |text: &str| heard.find(text).unwrap_or_else(|| panic!("{text}: {heard}"));
        assert!(place("event: task_log") < place("event: task_ended"), "{heard}");
        assert!(place("event: task_ended") < place("event: end"), "{heard}");
        assert!(
            heard.contains("\"number\":1") && heard.contains("\"cancelled\""),
            "{heard}"
        );
    }
    service.stop().await;
}
