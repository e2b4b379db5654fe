//! The shipped DAG on two Excel workbooks: the incidents, and one row for each vehicle that went.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{directory, lfb_dag, metric, model, ratchet, run_dag, task, text};

/// The raw bytes of a dataset's newest version, as they came.
fn raw(home: &Path, dataset: &str, to: &str) -> PathBuf {
    let manifest = std::fs::read(home.join(format!("bucket/datasets/{dataset}/1.json"))).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert!(manifest["collected"]["at"].is_string(), "{manifest:#}");
    let digest = manifest["raw"][0]["sha256"].as_str().unwrap();
    let file = home.join(to);
    std::fs::copy(
        home.join(format!("bucket/blobs/sha256/{}/{}", &digest[..2], &digest[2..])),
        &file,
    )
    .unwrap();
    file
}

/// Runs the two extracts alone, so that their raw bytes are there as files.
fn workbooks(home: &Path) -> [PathBuf; 2] {
    let address = |name: &str| format!("simulated://{name}?rows=8000&seed=5&days=100&format=xlsx");
    let mut command: Command = ratchet(home);
    command
        .arg("run")
        .arg(lfb_dag())
        .args(["--only", "incidents", "--only", "mobilisations"])
        .args(["-p", &format!("incidents={}", address("lfb"))])
        .args(["-p", &format!("mobilisations={}", address("lfb-mobilisations"))]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    [
        raw(home, "lfb-response-time-incidents", "incidents.xlsx"),
        raw(home, "lfb-response-time-mobilisations", "mobilisations.xlsx"),
    ]
}

#[test]
fn the_dag_learns_from_workbooks_of_both_tables() {
    let home = directory("mobilisations");
    let [incidents, mobilisations] = workbooks(&home);
    let parameters = [
        ("incidents", incidents.display().to_string()),
        ("mobilisations", mobilisations.display().to_string()),
    ];
    let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(task(&document, "arrivals")["state"], "skipped");
    let rows = |id: &str| task(&document, id)["outputs"]["table"]["rows"].as_u64().unwrap();
    assert_eq!(rows("gate"), 8_000);
    assert_eq!(rows("vehicles"), rows("mobilised"), "every vehicle finds its incident");
    let trained = model(&document, "lfb-response-time");
    let mae = metric(trained, "mae");
    assert!(mae < 110.0, "{mae}");

    // Without the second table there are two vehicles an incident at most.
    let fewer = directory("mobilisations-without");
    let mut command = ratchet(&fewer);
    command.args([
        "run",
        &lfb_dag().display().to_string(),
        "--until",
        "vehicles",
        "--format",
        "json",
        "-p",
    ]);
    command.arg(format!("incidents={}", incidents.display()));
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(task(&document, "mobilised")["state"], "skipped");
    let without = task(&document, "vehicles")["outputs"]["table"]["rows"]
        .as_u64()
        .unwrap();
    assert!(without < rows("vehicles"), "{without} and {}", rows("vehicles"));
}
