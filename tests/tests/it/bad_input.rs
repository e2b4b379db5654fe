//! Bad input: one clear message that names the thing and the remedy, the right status, nothing lost, no panic.

use std::path::PathBuf;

use ratchet_artifacts::{Bucket, Expected, NewPromotion, PromotionLog, models};
use serde_json::{Value, json};

use crate::support::{
    Client, bundle, copy_of, directory, failure, lfb_dag, ratchet, real_run, run_dag, runtime, start_api, task,
};

fn no_panic(said: &str) {
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
}

#[test]
fn a_missing_file_is_named_with_the_remedy() {
    let parameters = [("incidents", "no/such/incidents.csv".to_owned())];
    let (status, document) = run_dag(ratchet(&directory("missing")), &lfb_dag(), &parameters);
    assert_eq!(status, 1);
    let error = &task(&document, "incidents")["error"];
    assert!(
        error["message"].as_str().unwrap().contains("no/such/incidents.csv"),
        "{error}"
    );
    assert!(error["help"].is_string(), "{error}");
    no_panic(&document.to_string());

    let mut command = ratchet(&directory("missing-dag"));
    command.args(["run", "no/such/dag.yaml"]);
    let (status, stdout, stderr) = failure(command);
    assert_eq!((status, stdout.as_str()), (2, ""));
    assert!(stderr.contains("no/such/dag.yaml"), "{stderr}");
}

fn dag(text: &str) -> PathBuf {
    let path = directory("dag").join("dag.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_table_without_a_named_column_is_named_with_the_nearest() {
    let table = directory("table").join("calls.csv");
    std::fs::write(&table, "when,where,seconds\n2024-01-01 10:00:00,a,5\n").unwrap();
    let path = dag(&format!(
        "name: columns\ntasks:\n  read:\n    uses: extract.file\n    with: {{ from: \"{}\" }}\n  gate:\n    uses: quality.gate\n    with:\n      \
         table: ${{{{ tasks.read.table }}}}\n      expect:\n        - null_share: {{ columns: [second], max: 0.1 }}\n",
        table.display()
    ));
    let (status, document) = run_dag(ratchet(&directory("columns")), &path, &[]);
    assert_eq!(status, 1, "{document:#}");
    let error = &task(&document, "gate")["error"];
    let said = format!("{} {}", error["message"], error["help"]);
    assert!(said.contains("`second`") && said.contains("`seconds`"), "{said}");
}

#[test]
fn a_feature_known_too_late_is_refused_by_name() {
    let text = std::fs::read_to_string(lfb_dag()).unwrap();
    let changed = text.replace(
        "        - frequency: { fields: [PropertyType] }\n",
        "        - frequency: { fields: [PropertyType, NumPumpsAttending] }\n",
    );
    assert_ne!(text, changed);
    let parameters = [("incidents", "simulated://lfb?rows=6000&seed=1&days=90".to_owned())];
    let (status, document) = run_dag(ratchet(&directory("late")), &dag(&changed), &parameters);
    assert_eq!(status, 1);
    let message = task(&document, "train_pumps")["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("`NumPumpsAttending`") && message.contains("`after`") && message.contains("`call`"),
        "{message}"
    );
}

#[test]
fn a_dag_with_mistakes_shows_all_of_them_and_runs_nothing() {
    let path = dag(
        "name: Wrong Name\ntasks:\n  a:\n    uses: core.nope\n  b:\n    uses: core.noop\n    needs: [c]\n    colour: red\n",
    );
    for arguments in [vec!["validate"], vec!["run"]] {
        let mut command = ratchet(&directory("validate"));
        command.args(arguments).arg(&path);
        let (status, stdout, stderr) = failure(command);
        assert_eq!(status, 2, "{stdout}{stderr}");
        let said = format!("{stdout}{stderr}");
        for part in ["core.nope", "`c`", "colour", "Wrong Name"] {
            assert!(said.contains(part), "{part} is not named in:\n{said}");
        }
        no_panic(&said);
    }
}

#[test]
fn an_unreadable_store_is_named() {
    for (store, part) in [
        ("ftp://somewhere/else", "ftp"),
        ("/proc/no/such/place", "/proc/no/such/place"),
    ] {
        let mut command = ratchet(&directory("store"));
        command.env("RATCHET_STORE", store).args(["models", "list"]);
        let (status, _, stderr) = failure(command);
        assert!(status == 2 || status == 3, "{store}: {status} {stderr}");
        assert!(stderr.contains(part) && stderr.contains("help"), "{stderr}");
        no_panic(&stderr);
    }
}

#[test]
fn a_truncated_bundle_leaves_the_old_one_serving_and_says_why() {
    let Some(run) = real_run() else { return };
    let home = copy_of(&run.home, "truncated");
    let server = start_api(&home, None, &[]);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let example = Value::Object(bundle(&home, "lfb-response-time", 1).await.example());
        let bucket = Bucket::open(&home.join("bucket").display().to_string()).await.unwrap();
        let first = models::get(&bucket, "lfb-response-time", 1).await.unwrap().unwrap();
        let whole = bucket.get_blob(&first.bundle).await.unwrap();
        let half = bucket.put_blob(whole.slice(..whole.len() / 2)).await.unwrap();
        let new = models::NewModel {
            name: first.name.clone(),
            bundle: half.clone(),
            metrics: first.metrics.clone(),
            rows: first.rows.clone(),
            parameters: first.parameters.clone(),
            report: Value::Null,
            lineage: first.lineage.clone(),
            key: "bad/bundle".to_owned(),
        };
        let second = models::register(&bucket, new).await.unwrap();
        let promotion = NewPromotion {
            model: first.name.clone(),
            version: second.version,
            digest: half.sha256.clone(),
            alias: "champion".to_owned(),
            expected: Expected::Any,
            actor: "test".to_owned(),
            reason: "half of a bundle".to_owned(),
            comparison: Value::Null,
            key: "bad/promotion".to_owned(),
            attended: true,
        };
        PromotionLog::new(bucket).promote(promotion).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let (status, answer) = client.post("/predict/time_pump", &example).await;
        assert_eq!((status, &answer["model"]["version"]), (200, &json!(1)), "{answer:#}");
        let (_, health) = client.get("/health").await;
        let said = health.to_string();
        println!("{health:#}");
        assert!(said.contains("degraded") && said.contains("damaged"), "{said}");
    });
}

#[test]
fn wrong_requests_get_problem_documents() {
    let Some(run) = real_run() else { return };
    let server = start_api(&copy_of(&run.home, "requests"), None, &[]);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let mut example = bundle(&run.home, "lfb-response-time", 1).await.example();
        example.insert("Easting_rounded".to_owned(), json!("far"));
        example.insert("colour".to_owned(), json!("red"));
        example.remove("PumpOrder");
        let (status, problem) = client.post("/predict/time_pump", &Value::Object(example)).await;
        assert_eq!(status, 422, "{problem:#}");
        let pointers: Vec<&str> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect();
        for pointer in ["/Easting_rounded", "/colour", "/PumpOrder"] {
            assert!(pointers.contains(&pointer), "{problem:#}");
        }
        assert!(
            !problem.to_string().contains("far\""),
            "values are not echoed: {problem:#}"
        );

        let url = format!("http://{}/predict/time_pump", server.address);
        let http = crate::support::http();
        let answer = http
            .post(&url)
            .body("{}")
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let (status, problem) = client.get("/no/such/path").await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)));
    });
}
