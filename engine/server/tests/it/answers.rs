//! What is answered.

use serde_json::json;

use crate::service::Service;

const DAG: &str = "name: daily\nschedule: { cron: \"0 2 * * *\", timezone: Europe/London }\n\
                   tasks:\n  only: { uses: test.nothing }\n";

#[tokio::test]
async fn an_empty_service_answers_empty_lists() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    assert_eq!(service.json("/health").await["status"], json!("ok"));
    for name in ["dags", "runs", "datasets", "lookups", "models", "promotions"] {
        assert_eq!(service.json(&format!("/api/v1/{name}")).await[name], json!([]));
    }
    service.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    for (path, status) in [
        ("/nothing", 404),
        ("/api/v1/runs/ffffffff", 404),
        ("/api/v1/runs/ffffffff/logs", 404),
        ("/api/v1/models/none", 404),
        ("/api/v1/datasets/none", 404),
        ("/api/v1/dags/none", 404),
        ("/api/v1/runs?cursor=1", 400),
        ("/api/v1/runs?status=well", 400),
        ("/api/v1/models/No%20Name", 400),
        ("/api/v1/runs?limit=0", 400),
        ("/api/v1/runs?limit=many", 400),
        ("/api/v1/runs?limits=1", 400),
    ] {
        let (seen, kind, text) = service.get(path).await;
        assert_eq!(
            (seen, kind.as_str()),
            (status, "application/problem+json"),
            "{path}: {text}"
        );
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], json!(status));
        assert!(
            problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{path}: {text}"
        );
    }
    let wrong_method = service
        .asking(ratchet_identity::Role::Admin, "PUT", "/api/v1/runs")
        .await;
    assert_eq!(wrong_method.send().await.unwrap().status(), 405);
    service.stop().await;
}

#[tokio::test]
async fn a_file_that_breaks_keeps_its_last_good_version_and_shows_its_problems() {
    let home = tempfile::tempdir().unwrap();
    let service = Service::start(home.path()).await;
    let file = home.path().join("dags/daily.yaml");
    std::fs::write(&file, DAG).unwrap();
    let good = service
        .wait_for("/api/v1/dags", |answer| answer["dags"][0]["valid"] == json!(true))
        .await;
    assert_eq!(
        (&good["dags"][0]["name"], &good["dags"][0]["tasks"]),
        (&json!("daily"), &json!(["only"]))
    );
    assert!(good["dags"][0]["next"].is_string(), "{good}");
    std::fs::write(&file, DAG.replace("test.nothing", "test.nothin")).unwrap();
    let broken = service
        .wait_for("/api/v1/dags", |answer| answer["dags"][0]["valid"] == json!(false))
        .await;
    assert_eq!(broken["dags"][0]["name"], json!("daily"));
    assert!(
        broken["dags"][0]["problems"].to_string().contains("test.nothin"),
        "{broken}"
    );
    std::fs::remove_file(&file).unwrap();
    service
        .wait_for("/api/v1/dags", |answer| answer["dags"] == json!([]))
        .await;
    service.stop().await;
}

#[tokio::test]
async fn the_page_shows_the_dag_and_runs_no_script() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("dags")).unwrap();
    std::fs::write(home.path().join("dags/daily.yaml"), DAG).unwrap();
    let service = Service::start(home.path()).await;
    service
        .wait_for("/api/v1/dags", |answer| answer["dags"] != json!([]))
        .await;
    let (status, kind, page) = service.get("/").await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    assert!(
        page.contains("daily") && page.contains("0 2 * * * Europe/London"),
        "{page}"
    );
    assert!(!page.contains("<script"), "{page}");
    service.stop().await;
}

#[tokio::test]
async fn the_page_names_nothing_to_who_does_not_sit_at_this_machine() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("dags")).unwrap();
    std::fs::write(home.path().join("dags/daily.yaml"), DAG).unwrap();
    let service = Service::start(home.path()).await;
    for (header, value) in [
        ("host", "ratchet.example.org"),
        ("x-forwarded-for", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
    ] {
        let asked = service.request("GET", "/").header(header, value);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let page = answer.text().await.unwrap();
        assert!(
            page.contains("The service runs") && !page.contains("daily"),
            "{header}: {page}"
        );
    }
    let here = service.request("GET", "/").send().await.unwrap().text().await.unwrap();
    assert!(here.contains("daily"), "{here}");
    service.stop().await;
}
