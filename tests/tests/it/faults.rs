//! A disk that is full: predictions go on, what is dropped is counted, and the log goes on once there is room.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Client, PASSWORD, Server, USERNAME, bundle, directory, free_port, program, runtime, simulated_run, text,
};

const MODEL: &str = "lfb-response-time";
/// Longest file that the process may write at first, in KiB: what a quota or a full disk does to it.
const ROOM: u32 = 1024;

/// `ratchet-api` in a shell that bounds its files. The signal that comes with a refused write is ignored, so that the write says so.
fn start_bounded(home: &std::path::Path, store: &str) -> Server {
    let address = format!("127.0.0.1:{}", free_port());
    let process = Command::new("bash")
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -S -f {ROOM}; exec \"$@\""))
        .arg("bash")
        .arg(program("ratchet-api"))
        .args(["serve", "--listen", &address, "--store", store, "--home"])
        .arg(home)
        .env("RATCHET_ADMIN_USERNAME", USERNAME)
        .env("RATCHET_ADMIN_PASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .stderr(File::create(home.join("log")).unwrap())
        .spawn()
        .unwrap();
    Server { process, address }
}

/// The value of a metric without labels, or the sum of those with.
async fn metric(client: &Client, name: &str) -> f64 {
    let (_, metrics) = client.get("/metrics/prometheus").await;
    let lines = metrics.as_str().unwrap_or_default().lines();
    let values = lines
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

#[test]
fn a_full_disk_stops_the_log_and_not_the_predictions() {
    let run = simulated_run();
    let store = run.join("bucket").display().to_string();
    let home = directory("full-disk");
    // The users' database is made while there is room.
    crate::support::start_api(&home, Some(&store), &[]).stop();
    let server = start_bounded(&home, &store);
    runtime().block_on(async {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !crate::support::is_healthy(&server.address) {
            assert!(Instant::now() < deadline, "ratchet-api does not become healthy");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let client = Client::log_in(&server).await;
        let example = Value::Object(bundle(run, MODEL, 1).await.example());
        let rows = json!(vec![example; 2000]);
        let mut answered = 0;
        let deadline = Instant::now() + Duration::from_secs(120);
        let full = async || {
            let reachable = metric(&client, "ratchet_api_record_reachable").await;
            reachable == 0.0 && metric(&client, "ratchet_api_record_dropped_total").await > 0.0
        };
        while !full().await {
            assert!(Instant::now() < deadline, "the log never ran out of room");
            let (status, answer) = client.post("/predict/time_pump", &rows).await;
            assert_eq!(status, 200, "{answer:#}");
            answered += 2000;
        }
        let (status, health) = client.get("/health").await;
        assert_eq!(
            (status, &health["status"]),
            (200, &json!("ok")),
            "predictions do not need the log: {health}"
        );
        let pid = server.process.id().to_string();
        let raised = Command::new("prlimit")
            .args(["--pid", &pid, "--fsize=unlimited"])
            .status()
            .unwrap();
        assert!(raised.success());
        let deadline = Instant::now() + Duration::from_secs(60);
        while metric(&client, "ratchet_api_record_reachable").await == 0.0 {
            assert!(Instant::now() < deadline, "the log does not go on");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let dropped = metric(&client, "ratchet_api_record_dropped_total").await;
        let (status, page) = client.get("/logs/1").await;
        assert_eq!(status, 200, "{page}");
        println!(
            "{answered} rows answered on a full disk, none failed; {dropped} requests dropped from the log and counted"
        );
    });
    let said = text(&std::fs::read(home.join("log")).unwrap());
    assert!(said.contains("the log cannot be written; predictions go on"), "{said}");
    assert!(said.contains("the log can be written again"), "{said}");
}
