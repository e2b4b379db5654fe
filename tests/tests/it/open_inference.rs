//! A client of Triton asks by the Open Inference Protocol and gets the numbers of `/predict`, to the last bit.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, bundle, directory, runtime, simulated_run, start_api, text, workspace};

/// Models of the example, by the columns of their answers that are compared.
const MODELS: [&str; 3] = ["lfb-response-time", "lfb-over-target", "lfb-pumps"];

#[test]
fn tritons_client_gets_the_same_numbers_to_the_last_bit() {
    let run = simulated_run();
    let store = run.join("bucket").display().to_string();
    let server = start_api(&directory("open-inference"), Some(&store), &[]);
    let (token, models) = runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let mut models = Vec::new();
        for name in MODELS {
            let example = bundle(run, name, 1).await.example();
            let number = example.iter().find(|(_, value)| value.is_f64()).unwrap().0.clone();
            let rows: Vec<Value> = (0..40)
                .map(|row| {
                    let mut record = example.clone();
                    let value = record[&number].as_f64().unwrap();
                    record.insert(number.clone(), json!(value + 37.25 * f64::from(row)));
                    Value::Object(record)
                })
                .collect();
            let (status, answer) = wait(&client, &format!("/predict/{name}"), &json!(rows)).await;
            assert_eq!(status, 200, "{answer:#}");
            models.push(json!({"name": name, "rows": rows, "answers": answer["predictions"]}));
        }
        (client.token().to_owned(), models)
    });
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let python = tools.map_or_else(|| PathBuf::from("python3"), |tools| tools.join("python"));
    let mut asked = Command::new(&python)
        .arg(workspace().join("tests/clients/triton.py"))
        .arg(&server.address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", python.display()));
    let input = json!({"token": token, "models": models});
    asked
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = asked.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{compared}");
    for name in MODELS {
        assert!(compared[name].as_u64().unwrap() >= 400, "{compared}");
    }
}

/// The model may still be loading.
async fn wait(client: &Client, path: &str, body: &Value) -> (u16, Value) {
    for _ in 0..300 {
        let (status, answer) = client.post(path, body).await;
        if status != 503 {
            return (status, answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{path} never loaded");
}
