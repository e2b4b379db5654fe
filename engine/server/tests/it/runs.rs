//! Runs that somebody asks for, and what is told about them.

use std::collections::BTreeSet;

use ratchet_identity::Role;
use serde_json::{Value, json};

use crate::service::Service;

const DAG: &str = "name: talk\nparams:\n  city: { type: string, default: York }\n  count: { type: integer, default: 1, minimum: 1 }\n\
                   tasks:\n  say: { uses: test.talk }\n  rest: { uses: test.nothing, needs: [say] }\n";

async fn started(home: &std::path::Path) -> Service {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/talk.yaml"), DAG).unwrap();
    Service::start(home).await
}

async fn ended(service: &Service, id: &str) -> Value {
    service
        .wait_for(&format!("/api/v1/runs/{id}"), |run| run["status"] != json!("running"))
        .await
}

#[tokio::test]
async fn a_run_that_is_asked_for_is_recorded_driven_and_named_after_who_asked() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let body = json!({ "params": { "city": "Leeds", "count": 3 }, "logical_date": "2017-05-01" });
    let request = service.asking(Role::Operator, "POST", "/api/v1/dags/talk/runs").await;
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = answer.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/runs/{}", run["id"].as_str().unwrap()));
    assert_eq!(run["params"], json!({ "city": "Leeds", "count": 3 }));
    assert_eq!(
        (&run["actor"], &run["trigger"], &run["logical_date"]),
        (&json!("operator"), &json!("manual"), &json!("2017-05-01T00:00:00Z"))
    );
    let run = ended(&service, run["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], json!("succeeded"), "{run}");
    let attempts = service.json(&format!("{place}/attempts")).await;
    let tasks: Vec<&Value> = attempts["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["task"])
        .collect();
    assert_eq!(tasks, [&json!("say"), &json!("rest")]);
    let mut audit = service.identity.audit_log(None, 100).await.unwrap();
    audit.retain(|entry| entry.action == "run.trigger");
    let seen: Vec<_> = audit.iter().rev().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(seen, ["asked", "done"]);
    for entry in &audit {
        assert_eq!((entry.actor.as_str(), entry.origin.as_str()), ("operator", "127.0.0.1"));
    }
    service.stop().await;
}

#[tokio::test]
async fn all_faults_of_a_request_are_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let body = json!({ "params": { "count": 0, "town": "x", "city": [] }, "logical_date": "soon", "extra": 1 });
    let (status, problem) = service.post("/api/v1/dags/talk/runs", &body).await;
    assert_eq!(status, 422, "{problem}");
    let faults = problem["errors"].as_array().unwrap();
    for expected in ["`count`", "`town`", "/params/city", "/logical_date", "/extra"] {
        let named = |fault: &Value| fault.to_string().contains(expected);
        assert!(faults.iter().any(named), "{expected}: {problem}");
    }
    let pointers: BTreeSet<&str> = faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        pointers,
        BTreeSet::from(["/params", "/params/city", "/logical_date", "/extra"])
    );
    assert_eq!(service.json("/api/v1/runs").await["runs"], json!([]));
    service.stop().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_run_also_at_once_and_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let token = service.token(Role::Operator).await;
    let ask = async |service: &Service, key: &str, city: &str| {
        let request = service.request("POST", "/api/v1/dags/talk/runs").bearer_auth(&token);
        let request = request
            .header("Idempotency-Key", key)
            .json(&json!({ "params": { "city": city } }));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap()["id"].clone())
    };
    let asked = (0..8).map(|_| ask(&service, "monday", "York"));
    let answers = futures::future::join_all(asked).await;
    assert!(
        answers.iter().all(|answer| answer.0 == 202 && *answer == answers[0]),
        "{answers:?}"
    );
    let other = ask(&service, "tuesday", "York").await;
    assert!(other.0 == 202 && other.1 != answers[0].1);
    assert_eq!(
        ask(&service, "monday", "Leeds").await.0,
        422,
        "another request under the same key"
    );
    service.stop().await;
    let service = started(home.path()).await;
    assert_eq!(ask(&service, "monday", "York").await, answers[0]);
    assert_eq!(service.json("/api/v1/runs").await["runs"].as_array().unwrap().len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn a_claim_that_a_crash_left_without_its_run_finds_it_again() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let ask = async || {
        let request = service.asking(Role::Operator, "POST", "/api/v1/dags/talk/runs").await;
        let answer = request.header("Idempotency-Key", "monday").send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap()["id"].clone(),
        )
    };
    let first = ask().await;
    // As if the program had ended between making the run and writing it down.
    let claim = std::fs::read_dir(home.path().join("requests"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut left: Value = serde_json::from_slice(&std::fs::read(&claim).unwrap()).unwrap();
    left["run"] = Value::Null;
    std::fs::write(&claim, left.to_string()).unwrap();
    assert_eq!(ask().await.0, 409, "somebody may still be at it");
    left["asked_at"] = json!(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60));
    std::fs::write(&claim, left.to_string()).unwrap();
    assert_eq!(ask().await, first);
    service.stop().await;
}

#[tokio::test]
async fn pages_go_through_all_runs_once_and_filters_hold() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let mut made = BTreeSet::new();
    for _ in 0..7 {
        let (_, run) = service.post("/api/v1/dags/talk/runs", &json!({})).await;
        made.insert(run["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/runs?limit=3&trigger=manual&dag=talk".to_owned();
    loop {
        let page = service.json(&path).await;
        let runs = page["runs"].as_array().unwrap();
        assert!(runs.len() <= 3);
        seen.extend(runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/runs?limit=3&trigger=manual&dag=talk&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), made);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    for nothing in ["status=failed", "trigger=schedule", "dag=other"] {
        assert_eq!(
            service.json(&format!("/api/v1/runs?{nothing}")).await["runs"],
            json!([])
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn logs_are_read_by_lines_and_by_bytes() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let (_, run) = service.post("/api/v1/dags/talk/runs", &json!({})).await;
    let id = run["id"].as_str().unwrap();
    ended(&service, id).await;
    let path = format!("/api/v1/runs/{id}/logs");
    let all = service.json(&format!("{path}?task=say")).await;
    let total = all["total"].as_u64().unwrap();
    assert!(total >= 3 && all["next"].is_null(), "{all}");
    let mut lines = Vec::new();
    let mut from = json!(1);
    while let Some(first) = from.as_u64() {
        let page = service.json(&format!("{path}?task=say&from={first}&limit=2")).await;
        lines.extend(page["lines"].as_array().unwrap().clone());
        from = page["next"].clone();
    }
    assert_eq!(json!(lines), all["lines"]);
    let (status, kind, text) = service.get(&format!("{path}/text?task=say")).await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; charset=utf-8"));
    assert!(text.contains("say#1 info  two\n"), "{text}");
    for (range, expected) in [
        ("bytes=0-9", &text[..10]),
        ("bytes=10-", &text[10..]),
        ("bytes=-6", &text[text.len() - 6..]),
    ] {
        let request = service
            .asking(Role::User, "GET", &format!("{path}/text?task=say"))
            .await;
        let answer = request.header("Range", range).send().await.unwrap();
        assert_eq!(answer.status(), 206, "{range}");
        assert_eq!(answer.text().await.unwrap(), expected, "{range}");
    }
    let request = service.asking(Role::User, "GET", &format!("{path}/text")).await;
    let beyond = request.header("Range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    service.stop().await;
}

#[tokio::test]
async fn events_come_in_order_and_end_with_the_run() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let (_, run) = service.post("/api/v1/dags/talk/runs", &json!({})).await;
    let path = format!("/api/v1/runs/{}/events", run["id"].as_str().unwrap());
    // The answer ends by itself: reading it whole waits for the end of the run.
    let (status, kind, text) = service.get(&path).await;
    assert_eq!((status, kind.as_str()), (200, "text/event-stream"));
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{text}");
    for expected in [
        "event: run_started",
        "event: task_started",
        "event: end",
        "\"succeeded\"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let request = service.asking(Role::User, "GET", &path).await;
    let rest = request
        .header("Last-Event-ID", "2")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        rest.starts_with("id: 3\n") || rest.starts_with("event: ") && rest.contains("id: 3\n"),
        "{rest}"
    );
    assert!(!rest.contains("id: 2\n"), "{rest}");
    service.stop().await;
}

#[tokio::test]
async fn a_dag_shows_its_graph_its_parameters_and_its_ticks() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let dag = service.json("/api/v1/dags/talk").await;
    assert_eq!(dag["graph"]["tasks"][1]["depends_on"], json!(["say"]));
    assert_eq!(dag["params"]["count"]["minimum"], json!(1.0));
    assert_eq!(service.get("/api/v1/dags/talk/next").await.0, 409, "it has no schedule");
    let hourly = "name: hourly\nschedule: { cron: \"0 2 * * *\", timezone: Europe/London }\ntasks:\n  only: { uses: test.nothing }\n";
    std::fs::write(home.path().join("dags/hourly.yaml"), hourly).unwrap();
    service
        .wait_for("/api/v1/dags", |answer| answer["dags"].as_array().unwrap().len() == 2)
        .await;
    let next = service
        .json("/api/v1/dags/hourly/next?count=2&after=2024-07-01T12:00:00Z")
        .await;
    assert_eq!(next["ticks"], json!(["2024-07-02T01:00:00Z", "2024-07-03T01:00:00Z"]));
    service.stop().await;
}

#[tokio::test]
async fn documents_of_a_run_are_listed_and_kept_by_who_read_them() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let (_, run) = service.post("/api/v1/dags/talk/runs", &json!({})).await;
    let id = run["id"].as_str().unwrap();
    ended(&service, id).await;
    let path = format!("/api/v1/runs/{id}/artifacts");
    let listed = service.json(&path).await;
    let log = json!({ "task": "say", "attempt": 1, "name": "log.ndjson" });
    assert!(listed["items"].as_array().unwrap().contains(&log), "{listed}");
    let document = format!("{path}/say/1/log.ndjson");
    let answer = service.asking(Role::User, "GET", &document).await.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let tag = answer.headers()["etag"].clone();
    assert!(answer.text().await.unwrap().contains("two"));
    let again = service.asking(Role::User, "GET", &document).await;
    let again = again.header("If-None-Match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    for (elsewhere, status) in [
        ("say/1/none.json", 404),
        ("say/x/log.ndjson", 400),
        ("say/1/..%2F..%2F..%2F..%2Fengine.sqlite", 404),
        ("..%2F..%2Fother/1/log.ndjson", 404),
    ] {
        let (found, _, text) = service.get(&format!("{path}/{elsewhere}")).await;
        assert_eq!(found, status, "{elsewhere}: {text}");
    }
}
