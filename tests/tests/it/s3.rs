//! The same flow against a real S3 server: moto, started here, its bucket made here.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{
    Client, Server, directory, free_port, http, lfb_dag, model, ratchet, run_dag, runtime, start_api, text,
};

fn start_moto() -> Server {
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let program = tools.map_or_else(|| PathBuf::from("moto_server"), |tools| tools.join("moto_server"));
    let port = free_port();
    let process = Command::new(&program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()));
    let server = Server {
        process,
        address: format!("127.0.0.1:{port}"),
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(&server.address).is_err() {
        assert!(Instant::now() < deadline, "moto does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

#[test]
fn the_flow_runs_on_s3_and_the_api_reads_only_from_there() {
    let moto = start_moto();
    let endpoint = format!("http://{}", moto.address);
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-west-2"),
    ];
    runtime().block_on(async {
        let answer = http().put(format!("{endpoint}/ratchet-test")).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    });
    let store = "s3://ratchet-test/models-of-london";
    let home = directory("s3");
    let command = || {
        let mut command = ratchet(&home);
        command.env("RATCHET_STORE", store).envs(environment);
        command
    };
    let parameters = [("incidents", "simulated://lfb?rows=12000&seed=5&days=100".to_owned())];
    let (status, document) = run_dag(command(), &lfb_dag(), &parameters);
    assert_eq!(status, 0, "{document:#}");
    let time = model(&document, "lfb-response-time");
    assert_eq!(time["promoted"], true);
    assert_eq!(time["simulated"], true);
    assert!(!home.join("bucket").exists(), "nothing of the bucket is on the disk");

    let listing = command().args(["models", "list", "--format", "json"]).output().unwrap();
    assert!(
        text(&listing.stdout).contains("lfb-response-time"),
        "{}",
        text(&listing.stderr)
    );

    // The API has a home of its own and nothing but the bucket's address.
    let server = start_api(&directory("s3-api"), Some(store), &environment);
    runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let (_, openapi) = client.get("/openapi.json").await;
        let (status, answer) = client.post("/predict/time_pump", &crate::gate::example(&openapi)).await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(answer["model"]["digest"], time["digest"]);
        assert_eq!(answer["simulated"], true);
        println!("{answer:#}");
    });
    // A bucket that is not there: one message, exit status 3, nothing lost.
    let mut missing = command();
    missing
        .env("RATCHET_STORE", "s3://no-such-bucket")
        .args(["models", "list"]);
    let (status, _, stderr) = crate::support::failure(missing);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.contains("no-such-bucket"), "{stderr}");
}
