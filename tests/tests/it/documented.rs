//! Whatever is sent to the prediction API, with an engine beside it, it answers as its document says.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::engine::start_engine;
use crate::support::{Client, copy_of, directory, ratchet, runtime, simulated_run, start_api, text, workspace};

const DAG: &str = "name: retrain\ntasks:\n  nothing:\n    uses: core.noop\n";

#[test]
fn the_document_is_kept_by_whatever_is_sent() {
    let home = copy_of(simulated_run(), "documented");
    let dags = directory("documented-dags");
    std::fs::write(dags.join("retrain.yaml"), DAG).unwrap();
    let engine = start_engine(&home, &dags);
    let url = format!("http://{}", engine.address);
    let mut keys = ratchet(&home);
    keys.args([
        "keys", "add", "api", "--role", "operator", "--only", "engine", "--format", "json",
    ]);
    let made: Value = serde_json::from_slice(&keys.output().unwrap().stdout).unwrap();
    let environment = [
        ("RATCHET_ENGINE_URL", url.as_str()),
        ("RATCHET_ENGINE_KEY", made["secret"].as_str().unwrap()),
        ("RATCHET_RETRAIN_COOLDOWN", "0"),
        ("RATCHET_REGISTRATION", "true"),
    ];
    let server = start_api(&home, None, &environment);
    let token = runtime().block_on(async { Client::log_in(&server).await.token().to_owned() });
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let program = tools.map_or_else(|| PathBuf::from("schemathesis"), |tools| tools.join("schemathesis"));
    let output = Command::new(&program)
        .arg("--config-file")
        .arg(workspace().join("tests/clients/schemathesis.toml"))
        .args(["run", &format!("http://{}/openapi.json", server.address)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "all", "--max-examples", "20", "--continue-on-failure"])
        // It takes models out of service, and 503 is the right answer then.
        .args(["--exclude-path", "/v2/repository/models/{model}/unload"])
        .args(["--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"])
        .current_dir(directory("documented-run"))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()));
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    let said = text(&output.stdout);
    let tested = said
        .lines()
        .find(|line| line.trim().starts_with("Tested:"))
        .unwrap_or_default();
    println!("operations: {}", tested.trim());
}
