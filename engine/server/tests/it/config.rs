//! What an operator sets beside a DAG's file.

use std::path::Path;

use serde_json::{Value, json};

use crate::service::Service;

const DAG: &str = "name: nightly\nschedule: { cron: \"0 2 15 * *\", timezone: Europe/London, catchup: all }\ncooldown: 6h\n\
                   triggers:\n  - on_drift: { model: lfb }\nparams:\n  rows: { type: integer, default: 10, minimum: 1 }\n\
                   tasks:\n  rest: { uses: test.nothing }\n";

fn write(home: &Path, text: &str) {
    std::fs::create_dir_all(home.join("dags")).unwrap();
    std::fs::write(home.join("dags/nightly.yaml"), text).unwrap();
}

const PATH: &str = "/api/v1/dags/nightly/config";

#[tokio::test]
async fn what_is_set_holds_beside_the_file_until_it_is_taken_away() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), DAG);
    let service = Service::start(home.path()).await;
    let before = service.json(PATH).await;
    assert_eq!(
        (&before["overrides"], &before["paused"]),
        (&json!({}), &Value::Null),
        "{before}"
    );
    assert_eq!(before["file"], before["effective"]);
    assert_eq!(before["file"]["cooldown_seconds"], json!(21_600.0));

    let wanted =
        json!({"cron": "30 4 * * 1", "cooldown": "1h", "triggers": false, "params": {"rows": 25}, "paused": true});
    let (status, set) = service.post(PATH, &wanted).await;
    assert_eq!(status, 200, "{set}");
    let effective = json!({
        "cron": "30 4 * * 1", "timezone": "Europe/London", "cooldown_seconds": 3600.0, "triggers": [], "params": {"rows": 25},
    });
    assert_eq!((&set["effective"], &set["file"]), (&effective, &before["file"]));
    assert!(set["paused"]["by"].is_string() && set["set_by"].is_string(), "{set}");
    // The scheduler, the page and new runs see the same.
    let listed = service.json("/api/v1/dags").await["dags"][0].clone();
    assert_eq!(listed["cron"], "30 4 * * 1");
    let (_, run) = service.post("/api/v1/dags/nightly/runs", &json!({})).await;
    assert_eq!(run["params"]["rows"], 25, "{run}");

    // It outlives the service; a part that is left out stays.
    service.stop().await;
    let service = Service::start(home.path()).await;
    let (status, set) = service.post(PATH, &json!({"cron": null, "paused": false})).await;
    assert_eq!(status, 200, "{set}");
    assert_eq!(
        (&set["effective"]["cron"], &set["paused"]),
        (&json!("0 2 15 * *"), &Value::Null)
    );
    assert_eq!(
        set["overrides"],
        json!({"cooldown": "1h", "triggers": false, "params": {"rows": 25}})
    );
    let all = json!({"cooldown": null, "triggers": null, "params": {"rows": null}});
    let (_, gone) = service.post(PATH, &all).await;
    assert_eq!((&gone["overrides"], &gone["effective"]), (&json!({}), &before["file"]));
    let audited = service.identity.audit_log(None, 100).await.unwrap();
    let done = audited
        .iter()
        .filter(|entry| entry.action == "dag.configure" && entry.outcome == "done");
    assert_eq!(done.count(), 3, "{audited:?}");
    service.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_as_in_the_file_and_leaves_all_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), DAG);
    let service = Service::start(home.path()).await;
    let wrong = json!({
        "cron": "61 * * * *", "cooldown": "soon", "triggers": [{"on_moon": {}}], "params": {"rows": 0, "color": "red"}, "speed": 3,
    });
    let (status, problem) = service.post(PATH, &wrong).await;
    assert_eq!(status, 422, "{problem}");
    let faults = problem["errors"].as_array().unwrap();
    let mut pointers: Vec<&str> = faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/cooldown",
            "/cron",
            "/params/color",
            "/params/rows",
            "/speed",
            "/triggers"
        ],
        "{problem}"
    );
    assert_eq!(service.json(PATH).await["overrides"], json!({}));
    let listed = json!({"triggers": [{"on_drift": {"model": "other"}}]});
    let (status, set) = service.post(PATH, &listed).await;
    assert_eq!(status, 200, "{set}");
    assert!(
        set["effective"]["triggers"][0].as_str().unwrap().contains("other"),
        "{set}"
    );

    // The file loses the parameter: what was set for it does not hold, the rest does.
    let (status, _) = service.post(PATH, &json!({"params": {"rows": 25}})).await;
    assert_eq!(status, 200);
    write(
        home.path(),
        &DAG.replace("params:\n  rows: { type: integer, default: 10, minimum: 1 }\n", ""),
    );
    let config = service.wait_for(PATH, |config| config["problems"] != json!([])).await;
    assert_eq!(config["problems"][0]["pointer"], "/params/rows", "{config}");
    assert!(
        config["effective"]["triggers"][0].as_str().unwrap().contains("other"),
        "{config}"
    );
    let (status, _) = service.post("/api/v1/dags/nobody/config", &json!({})).await;
    assert_eq!(status, 404);
    service.stop().await;
}
