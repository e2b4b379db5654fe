//! A real MLflow server is told what a run trained, and its own client reads it back.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{free_port, text, tool, workspace};
use crate::trips::{Trips, table};

/// A server with its processes, which end with the test.
struct Mlflow {
    process: Child,
    address: String,
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

impl Mlflow {
    fn start(program: &Path, home: &Path) -> Mlflow {
        let port = free_port();
        let database = format!("sqlite:///{}", home.join("mlflow.sqlite").display());
        let process = Command::new(program)
            .args(["server", "--host", "127.0.0.1", "--workers", "1", "--serve-artifacts"])
            .args([
                "--port",
                &port.to_string(),
                "--backend-store-uri",
                &database,
                "--artifacts-destination",
            ])
            .arg(home.join("mlflow-artifacts"))
            .current_dir(home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mlflow = Mlflow {
            process,
            address: format!("http://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(180);
        while !is_healthy(port) {
            assert!(Instant::now() < deadline, "mlflow does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        mlflow
    }

    /// What its own client sees of a model and of the runs of an experiment.
    fn read(&self, program: &Path, experiment: &str, model: &str) -> Value {
        let output = Command::new(program.with_file_name("python"))
            .arg(workspace().join("tests/clients/mlflow_read.py"))
            .args([&self.address, experiment, model])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn is_healthy(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut answer = String::new();
    let asked = stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}

#[test]
fn runs_models_and_aliases_are_told_once_and_read_back() {
    let Some(program) = tool("mlflow") else { return };
    let trips = Trips::new("mlflow");
    let mlflow = Mlflow::start(&program, &trips.home);
    let address = Path::new(&mlflow.address);
    let document = trips.run(&[("MLFLOW_TRACKING_URI", address)]);
    let run = document["run"].as_str().unwrap();
    let (_, manifest) = trips.ask(&["models", "show", "trip-time@1"], &[]);
    let manifest = &manifest["manifest"];

    let read = mlflow.read(&program, "trips", "trip-time");
    let runs = read["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "one for the run and one for its model: {read:#}");
    let upper = runs.iter().find(|run| run["tags"]["ratchet.model"].is_null()).unwrap();
    let lower = runs
        .iter()
        .find(|run| run["tags"]["ratchet.model"] == "trip-time@1")
        .unwrap();
    assert_eq!(
        (&upper["status"], &lower["status"]),
        (&json!("FINISHED"), &json!("FINISHED"))
    );
    assert_eq!(upper["params"]["trips"], trips.source().display().to_string());
    assert_eq!(upper["tags"]["ratchet.run"], run);
    let artifacts = upper["artifacts"].as_array().unwrap();
    for report in [
        "compare/comparison.md",
        "gate/gate.html",
        "gate/gate.json",
        "profile/profile.html",
        "train/training.json",
    ] {
        assert!(artifacts.contains(&json!(report)), "{report} is missing: {upper:#}");
    }
    assert_eq!(lower["tags"]["mlflow.parentRunId"], upper["id"]);
    assert_eq!(lower["tags"]["ratchet.inputs"], "trips@1");
    let promotion = lower["tags"]["ratchet.promotion"].as_str().unwrap();
    assert!(promotion.starts_with("champion by entry 1: "), "{promotion}");
    assert_eq!(lower["params"]["predict_at"], "call");
    assert_eq!(lower["metrics"]["mae"], manifest["metrics"]["mae"]);
    assert_eq!(lower["artifacts"], json!(["bundle/bundle.safetensors"]));
    assert_eq!(lower["bundle_sha256"], manifest["bundle"]["sha256"]);
    let version = &read["versions"][0];
    assert_eq!(
        (&version["run_id"], &version["tags"]["ratchet.version"]),
        (&lower["id"], &json!("1"))
    );
    assert_eq!(read["aliases"], json!({"champion": "1"}));

    // Told again, nothing comes twice.
    let mut again = trips.ratchet();
    again.args(["runs", "track", run]).env("MLFLOW_TRACKING_URI", address);
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).starts_with(&mlflow.address),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(mlflow.read(&program, "trips", "trip-time"), read);

    // A run that the server did not hear of succeeds, says so, and is told later; the alias follows the log.
    trips.write(&table(2));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut unheard = trips.ratchet();
    unheard
        .args(["run", trips.dag().to_str().unwrap(), "-p"])
        .arg(format!("trips={}", trips.source().display()))
        .env("MLFLOW_TRACKING_URI", &nobody);
    let output = unheard.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    let track = said.find("ratchet runs track ").unwrap_or_else(|| panic!("{said}"));
    let id = said[track..]
        .split_whitespace()
        .nth(3)
        .unwrap()
        .trim_matches('`')
        .to_owned();
    let (_, entry) = trips.ask(&["models", "promote", "trip-time@2", "--reason", "it is newer"], &[]);
    assert_eq!(entry["version"], 2);
    let mut later = trips.ratchet();
    later.args(["runs", "track", &id]).env("MLFLOW_TRACKING_URI", address);
    assert!(later.output().unwrap().status.success());
    let read = mlflow.read(&program, "trips", "trip-time");
    assert_eq!(read["runs"].as_array().unwrap().len(), 4);
    assert_eq!(read["aliases"], json!({"champion": "2"}));
}
