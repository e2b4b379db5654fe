//! Tokens, passwords, keys and masked fields stand in no line of the log, however much it says, and in no error.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    PASSWORD, Server, USERNAME, bundle, copy_of, free_port, http, is_healthy, program, ratchet, runtime, simulated_run,
    text,
};

const MODEL: &str = "lfb-response-time";
/// What is sent and may come back nowhere.
const ENGINE_KEY: &str = "ratchet_the-key-of-the-engine-8f14e45f";
const MASKED: f64 = 531_771.25;
const WRONG_PASSWORD: &str = "not-the-password-2b6f0cc9";
const NEW_PASSWORD: &str = "of-the-new-user-c81e728d";
const ROW: &str = "in-a-refused-row-a87ff679";

fn start(home: &Path) -> Server {
    let address = format!("127.0.0.1:{}", free_port());
    let process = Command::new(program("ratchet-api"))
        .args(["serve", "--listen", &address, "--home"])
        .arg(home)
        .env("RUST_LOG", "trace")
        .env("RATCHET_LOG_FORMAT", "json")
        .env("RATCHET_ADMIN_USERNAME", USERNAME)
        .env("RATCHET_ADMIN_PASSWORD", PASSWORD)
        .env("RATCHET_RECORD_MASK", "Easting_rounded")
        .env("RATCHET_ENGINE_URL", "http://127.0.0.1:9")
        .env("RATCHET_ENGINE_KEY", ENGINE_KEY)
        .stdout(Stdio::null())
        .stderr(File::create(home.join("log")).unwrap())
        .spawn()
        .unwrap();
    let server = Server { process, address };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_healthy(&server.address) {
        assert!(Instant::now() < deadline, "ratchet-api does not become healthy");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

#[test]
fn what_is_secret_stands_in_no_line_and_in_no_error() {
    let home = copy_of(simulated_run(), "secrets");
    let collection = home.join("rides.yaml");
    let declared =
        "name: rides\nkey: [id]\nschema: { type: object, required: [id], properties: { id: { type: integer } } }\n";
    std::fs::write(&collection, declared).unwrap();
    let applied = ratchet(&home)
        .args(["collections", "apply"])
        .arg(&collection)
        .output()
        .unwrap();
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let made = ratchet(&home)
        .args(["keys", "add", "machine", "--role", "admin", "--format", "json"])
        .output()
        .unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let key = made["secret"].as_str().unwrap().to_owned();
    let server = start(&home);
    let mut secrets = vec![PASSWORD.to_owned(), ENGINE_KEY.to_owned(), key.clone()];
    secrets.extend([WRONG_PASSWORD, NEW_PASSWORD, ROW].map(str::to_owned));
    secrets.push(
        std::fs::read_to_string(home.join("jwt_secret"))
            .unwrap()
            .trim()
            .to_owned(),
    );
    let mut said = String::new();
    runtime().block_on(async {
        let base = format!("http://{}", server.address);
        let form = |password: &str| json!({"grant_type": "password", "username": USERNAME, "password": password});
        let token: Value = http()
            .post(format!("{base}/token"))
            .form(&form(PASSWORD))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let access = token["access_token"].as_str().unwrap().to_owned();
        let refresh = token["refresh_token"].as_str().unwrap().to_owned();
        let mut row = bundle(&home, MODEL, 1).await.example();
        row.insert("Easting_rounded".to_owned(), json!(MASKED));
        let row = Value::Object(row);
        let mut broken = row.clone();
        broken["PumpOrder"] = json!(ROW);
        let post = |path: &str| http().post(format!("{base}{path}"));
        let requests = [
            post("/token").form(&form(WRONG_PASSWORD)),
            post("/token").form(&json!({"grant_type": "refresh_token", "refresh_token": refresh})),
            // Used once, it is refused from now on.
            post("/token").form(&json!({"grant_type": "refresh_token", "refresh_token": refresh})),
            post("/user")
                .bearer_auth(&access)
                .json(&json!({"username": "new", "password": NEW_PASSWORD, "role": "user"})),
            post("/user")
                .bearer_auth(&access)
                .json(&json!({"username": "new", "password": NEW_PASSWORD, "role": "king"})),
            post("/predict/time_pump").bearer_auth(&access).json(&row),
            post("/predict/time_pump").bearer_auth(&key).json(&broken),
            post("/predict/time_pump").bearer_auth(format!("{access}x")).json(&row),
            post("/database/rides").bearer_auth(&key).json(&json!({"id": ROW})),
            post("/retrain/trigger").bearer_auth(&access).json(&json!({})),
            post("/retrain/config")
                .bearer_auth(&access)
                .json(&json!({"cron": "0 3 * * 1"})),
            http().get(format!("{base}/logs/100")).bearer_auth(&access),
        ];
        for (place, request) in requests.into_iter().enumerate() {
            // What waits for the log is written before it is read.
            tokio::time::sleep(Duration::from_millis(if place == 11 { 1500 } else { 0 })).await;
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.text().await.unwrap();
            // A refresh token is answered to whom it belongs, and a refused row stands in the log as it was sent.
            if status >= 400 {
                said.push_str(&body);
            } else if place == 11 {
                assert!(body.contains("(masked)"), "{body}");
                assert!(!body.contains("531771"), "{body}");
            }
        }
        secrets.extend([access, refresh]);
    });
    server.stop();
    let log = text(&std::fs::read(home.join("log")).unwrap());
    assert!(
        log.contains(r#""level":"TRACE""#) && log.contains("sqlx::query"),
        "it says everything: {log}"
    );
    said.push_str(&log);
    secrets.push("531771".to_owned());
    for secret in &secrets {
        let line = said.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "{secret} stands in {}", line.unwrap_or_default());
    }
    println!(
        "{} lines of log, {} secrets, none found",
        log.lines().count(),
        secrets.len()
    );
}
