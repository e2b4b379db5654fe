//! What triggers find becomes runs, and who may call a webhook.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::service::Service;

const WATCHED: &str = "name: watched\ntriggers: [{ on_data_change: { from: a.csv, every: 1s } }]\nmax_active_runs: 9\n\
                       tasks:\n  only: { uses: test.nothing }\n";
const HOOKED: &str = "name: hooked\nmax_active_runs: 9\nparams: { city: { type: string, default: York, choices: [York, Leeds] } }\n\
                      triggers: [{ on_webhook: { token: \"${{ secrets.NOBODY_SETS_THIS | default('let me in') }}\", params: { city: /city } } }]\n\
                      tasks:\n  only: { uses: test.nothing }\n";

fn write(home: &Path, content: &str, seconds_ago: u64) {
    let path = home.join("a.csv");
    std::fs::write(&path, content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds_ago))
        .unwrap();
}

fn prepared(home: &Path) {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/watched.yaml"), WATCHED).unwrap();
    std::fs::write(home.join("dags/hooked.yaml"), HOOKED).unwrap();
}

fn count(answer: &Value) -> usize {
    answer["runs"].as_array().unwrap().len()
}

#[tokio::test]
async fn two_services_make_one_run_of_one_change_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    prepared(home.path());
    write(home.path(), "one", 600);
    let first = Service::start(home.path()).await;
    let second = Service::start(home.path()).await;
    let runs = "/api/v1/runs?trigger=event";
    let answer = first.wait_for(runs, |answer| count(answer) == 1).await;
    assert_eq!(answer["runs"][0]["actor"], json!("on_data_change a.csv"));
    let about = first.json("/api/v1/dags/watched").await;
    assert_eq!(about["triggers"][0]["kind"], json!("on_data_change"), "{about}");
    assert_eq!(about["trigger_events"][0]["run"], answer["runs"][0]["id"], "{about}");
    write(home.path(), "two", 500);
    first.wait_for(runs, |answer| count(answer) == 2).await;
    // Some looks later there is no other.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(&second.json(runs).await), 2);
    first.stop().await;
    second.stop().await;
    // What changes while nobody looks is found afterwards.
    write(home.path(), "three", 400);
    let service = Service::start(home.path()).await;
    service.wait_for(runs, |answer| count(answer) == 3).await;
    let answer = service
        .wait_for(runs, |answer| {
            let runs = answer["runs"].as_array().unwrap();
            runs.iter().all(|run| run["status"] == json!("succeeded"))
        })
        .await;
    assert_eq!(count(&answer), 3);
    service.stop().await;
}

#[tokio::test]
async fn a_paused_dag_sees_afterwards_what_changed_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    prepared(home.path());
    write(home.path(), "one", 600);
    let service = Service::start(home.path()).await;
    let runs = "/api/v1/runs?trigger=event";
    service.wait_for(runs, |answer| count(answer) == 1).await;
    service.post("/api/v1/dags/watched/pause", &json!({})).await;
    write(home.path(), "two", 500);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(count(&service.json(runs).await), 1);
    service.post("/api/v1/dags/watched/unpause", &json!({})).await;
    service.wait_for(runs, |answer| count(answer) == 2).await;
    service.stop().await;
}

#[tokio::test]
async fn a_webhook_answers_to_its_token_and_to_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    prepared(home.path());
    let service = Service::start(home.path()).await;
    let call = async |dag: &str, token: Option<&str>, body: &str| {
        let mut request = service.request("POST", &format!("/api/v1/hooks/{dag}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let place = answer.headers().get("location").cloned();
        (answer.status().as_u16(), place, answer.json::<Value>().await.unwrap())
    };
    let admin = service.token(ratchet_identity::Role::Admin).await;
    for (dag, token) in [
        ("hooked", None),
        ("hooked", Some("let me out")),
        ("hooked", Some("")),
        ("hooked", Some(admin.as_str())),
        ("watched", Some("let me in")),
        ("none", Some("let me in")),
    ] {
        let (status, _, problem) = call(dag, token, "").await;
        assert_eq!(status, 404, "{dag} {token:?} {problem}");
        assert_eq!(
            problem["detail"],
            json!("there is no such webhook, or the token is not its own"),
            "a stranger learns no names"
        );
    }
    let (status, place, answer) = call("hooked", Some("let me in"), r#"{ "city": "Leeds", "more": 1 }"#).await;
    assert_eq!((status, &answer["outcome"]), (202, &json!("started")), "{answer}");
    let run = service
        .wait_for(place.unwrap().to_str().unwrap(), |run| {
            run["status"] == json!("succeeded")
        })
        .await;
    assert_eq!(
        (&run["params"]["city"], &run["trigger"], &run["actor"]),
        (&json!("Leeds"), &json!("event"), &json!("on_webhook"))
    );
    let (status, _, problem) = call("hooked", Some("let me in"), r#"{ "city": "Rome" }"#).await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("cannot be `Rome`"),
        "{problem}"
    );
    let audit = service.identity.audit_log(None, 100).await.unwrap();
    let outcomes: Vec<&str> = audit
        .iter()
        .rev()
        .filter(|entry| entry.action == "hook.call" && entry.actor == "webhook" && entry.subject == "hooked")
        .map(|entry| entry.outcome.split(':').next().unwrap())
        .collect();
    assert_eq!(outcomes, ["done", "refused"]);
    service.stop().await;
}
