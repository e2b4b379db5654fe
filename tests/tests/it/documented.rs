//! Whatever is sent to the prediction API, with an engine beside it, it answers as its document says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Client, copy_of, directory, free_port, ratchet, runtime, simulated_run, start_api, text, workspace,
};

const DAG: &str = "name: retrain\ntasks:\n  nothing:\n    uses: core.noop\n";

/// An engine that ends with the test.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_engine(home: &Path) -> (Engine, String) {
    let dags = directory("documented-dags");
    std::fs::write(dags.join("retrain.yaml"), DAG).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = ratchet(home);
    command.args(["serve", "--listen", &address, "--dags"]).arg(dags);
    let engine = Engine(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the engine does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    (engine, format!("http://{address}"))
}

#[test]
fn the_document_is_kept_by_whatever_is_sent() {
    let home = copy_of(simulated_run(), "documented");
    let (_engine, url) = start_engine(&home);
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
