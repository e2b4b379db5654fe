//! Whatever is sent to the prediction API, with an engine beside it, it answers as its document says.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::engine::start_engine;
use crate::support::{Client, copy_of, directory, http, ratchet, runtime, simulated_run, start_api, text, workspace};

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
    runtime().block_on(async {
        let engine_document = format!("{url}/api/v1/openapi.json");
        let engine_document = document(&engine_document, made["secret"].as_str().unwrap()).await;
        let document = document(&format!("http://{}/openapi.json", server.address), &token).await;
        // The API hands on what the engine reads, and the two share no code.
        let fields = |document: &Value, schema: &str| document["components"]["schemas"][schema]["properties"].clone();
        assert!(fields(&document, "RetrainConfig")["cron"].is_object(), "{document}");
        assert_eq!(
            fields(&document, "RetrainConfig"),
            fields(&engine_document, "ConfigRequest")
        );
    });
    let schemathesis = Schemathesis {
        address: server.address.clone(),
        token,
        seen: directory("documented-run"),
    };
    // What it takes out of service would be missing in all that comes after.
    let unload = "/v2/repository/models/{model}/unload";
    schemathesis.holds(&[
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--exclude-path",
        unload,
    ]);
    schemathesis.holds(&["--phases", "examples,coverage,fuzzing", "--include-path", unload]);
}

async fn document(url: &str, token: &str) -> Value {
    let answer = http().get(url).bearer_auth(token).send().await.unwrap();
    answer.json().await.unwrap()
}

/// The program that reads the document and sends whatever it allows, and what it does not.
struct Schemathesis {
    address: String,
    token: String,
    seen: PathBuf,
}

impl Schemathesis {
    fn holds(&self, which: &[&str]) {
        let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
        let program = tools.map_or_else(|| PathBuf::from("schemathesis"), |tools| tools.join("schemathesis"));
        let output = Command::new(&program)
            .arg("--config-file")
            .arg(workspace().join("tests/clients/schemathesis.toml"))
            .args(["run", &format!("http://{}/openapi.json", self.address)])
            .args(["--header", &format!("Authorization: Bearer {}", self.token)])
            .args(["--checks", "all", "--max-examples", "20", "--continue-on-failure"])
            .args(["--seed", "1", "--no-color"])
            .args(which)
            .current_dir(&self.seen)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()));
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        let told = |line: &&str| line.trim().starts_with("Tested:") || line.trim().starts_with("API Links:");
        println!("{}", said.lines().filter(told).collect::<Vec<_>>().join("\n"));
    }
}
