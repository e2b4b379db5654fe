//! Ticks of the past.

use std::path::Path;

use serde_json::{Value, json};

use crate::service::Service;

const DAILY: &str = "name: daily\nschedule: { cron: \"0 2 * * *\", timezone: UTC, catchup: none }\n\
                     params: { city: { type: string, default: York } }\ntasks:\n  only: { uses: test.nothing }\n";
const SLOW: &str = "name: slow\nschedule: { cron: \"0 2 * * *\", timezone: UTC, catchup: none }\n\
                    tasks:\n  only: { uses: test.linger }\n";

async fn started(home: &Path) -> Service {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/daily.yaml"), DAILY).unwrap();
    std::fs::write(home.join("dags/slow.yaml"), SLOW).unwrap();
    Service::start(home).await
}

async fn backfill(service: &Service, dag: &str, body: Value) -> (u16, Value) {
    service.post(&format!("/api/v1/dags/{dag}/backfills"), &body).await
}

fn plans(answer: &Value) -> Vec<(String, String)> {
    let dates = answer["dates"].as_array().unwrap().iter();
    dates
        .map(|date| {
            let text = |field: &str| date[field].as_str().unwrap_or_default().to_owned();
            (text("logical_date"), text("plan"))
        })
        .collect()
}

fn expected(plans: &[(&str, &str)]) -> Vec<(String, String)> {
    let plans = plans.iter();
    plans
        .map(|(day, plan)| (format!("2024-05-{day}T02:00:00Z"), (*plan).to_owned()))
        .collect()
}

async fn finished(service: &Service, id: &str) -> Value {
    let path = format!("/api/v1/backfills/{id}");
    service.wait_for(&path, |answer| !answer["finished_at"].is_null()).await
}

/// Y-160
#[tokio::test]
async fn a_backfill_fills_in_what_is_missing_and_says_before_what_it_would_do() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let body = json!({ "logical_date": "2024-05-02T02:00:00Z" });
    let (_, run) = service.post("/api/v1/dags/daily/runs", &body).await;
    let run = run["id"].as_str().unwrap().to_owned();
    service
        .wait_for(&format!("/api/v1/runs/{run}"), |run| {
            run["status"] == json!("succeeded")
        })
        .await;

    let range = |more: Value| {
        let mut body = json!({ "from": "2024-05-01T02:00:00Z", "to": "2024-05-04", "missing_only": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (status, plan) = backfill(&service, "daily", range(json!({ "dry_run": true }))).await;
    assert_eq!(status, 200, "{plan}");
    assert_eq!(plans(&plan), expected(&[("01", "run"), ("02", "keep"), ("03", "run")]));
    assert_eq!(plan["dates"][1]["found"], json!(run));
    assert_eq!(service.json("/api/v1/backfills").await["backfills"], json!([]));

    let (status, made) = backfill(&service, "daily", range(json!({ "params": { "city": "Leeds" } }))).await;
    assert_eq!(status, 202, "{made}");
    let done = finished(&service, made["id"].as_str().unwrap()).await;
    assert_eq!(
        done["progress"],
        json!({ "ticks": 3, "kept": 1, "waiting": 0, "running": 0, "succeeded": 2, "failed": 0, "cancelled": 0 })
    );
    let runs = service.json("/api/v1/runs?trigger=backfill").await;
    let runs = runs["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .all(|run| run["params"]["city"] == json!("Leeds") && run["actor"] == json!("operator"))
    );
    assert_eq!(runs[1]["interval_start"], json!("2024-04-30T02:00:00Z"), "oldest first");

    let (_, plan) = backfill(
        &service,
        "daily",
        range(json!({ "dry_run": true, "missing_only": false })),
    )
    .await;
    assert_eq!(
        plans(&plan),
        expected(&[("01", "repeat"), ("02", "repeat"), ("03", "repeat")])
    );
    let (_, plan) = backfill(&service, "daily", range(json!({ "dry_run": true }))).await;
    assert_eq!(
        plans(&plan),
        expected(&[("01", "keep"), ("02", "keep"), ("03", "keep")])
    );
    service.stop().await;
}

#[tokio::test]
async fn a_backfill_goes_on_after_a_restart_keeps_its_limit_and_can_be_stopped() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    let body = json!({ "from": "2024-05-01", "to": "2024-05-06", "max_active": 2 });
    let (_, made) = backfill(&service, "slow", body).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/backfills/{id}");
    let two_run = |answer: &Value| answer["progress"]["running"] == json!(2);
    let seen = service.wait_for(&path, two_run).await;
    service.stop().await;

    let service = Service::start(home.path()).await;
    let first = seen["dates"][0]["run"].as_str().unwrap();
    let cancel = format!("/api/v1/runs/{first}/cancel");
    assert_eq!(service.post(&cancel, &json!({})).await.0, 202);
    let seen = service
        .wait_for(&path, |answer| {
            two_run(answer) && answer["dates"][0]["status"] != json!("running")
        })
        .await;
    assert_eq!(seen["progress"]["waiting"], json!(2), "{seen}");
    let (status, stopped) = service.post(&format!("{path}/stop"), &json!({})).await;
    assert_eq!((status, &stopped["stopped_by"]), (200, &json!("operator")));
    let seen = service
        .wait_for(&path, |answer| answer["progress"]["running"] == json!(0))
        .await;
    assert_eq!(seen["progress"]["waiting"], json!(2), "{seen}");
    service.stop().await;
}

#[tokio::test]
async fn a_range_without_ticks_and_wrong_fields_are_told() {
    let home = tempfile::tempdir().unwrap();
    let service = started(home.path()).await;
    std::fs::write(
        home.path().join("dags/free.yaml"),
        "name: free\ntasks:\n  only: { uses: test.nothing }\n",
    )
    .unwrap();
    service
        .wait_for("/api/v1/dags", |answer| answer["dags"].as_array().unwrap().len() == 3)
        .await;
    for (dag, body, pointer, says) in [
        ("daily", json!({ "to": "2024-05-01" }), "/from", "missing"),
        (
            "daily",
            json!({ "from": "May", "to": "2024-05-01" }),
            "/from",
            "no instant",
        ),
        (
            "daily",
            json!({ "from": "2024-05-02", "to": "2024-05-01" }),
            "/to",
            "before",
        ),
        (
            "daily",
            json!({ "from": "2024-05-01", "to": "2024-05-01" }),
            "/from",
            "no tick",
        ),
        (
            "daily",
            json!({ "from": "1904-05-01", "to": "2024-05-01" }),
            "/from",
            "more than 10000",
        ),
        (
            "free",
            json!({ "from": "2024-05-01", "to": "2024-05-02" }),
            "/from",
            "no schedule",
        ),
        (
            "daily",
            json!({ "from": "2024-05-01", "to": "2024-05-02", "params": { "x": 1 } }),
            "/params",
            "no parameter",
        ),
    ] {
        let (status, problem) = backfill(&service, dag, body).await;
        assert_eq!(status, 422, "{problem}");
        let fault = &problem["errors"][0];
        assert_eq!(fault["pointer"], json!(pointer), "{problem}");
        assert!(fault["message"].as_str().unwrap().contains(says), "{problem}");
    }
    service.stop().await;
}
