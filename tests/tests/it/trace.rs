//! From an answer over HTTP back to the raw extract, in one command.

use serde_json::json;

use crate::support::{Client, bundle, copy_of, failure, ratchet, runtime, simulated_run, start_api, text};

#[test]
fn an_answer_leads_back_to_the_raw_extract() {
    let home = copy_of(simulated_run(), "trace");
    let server = start_api(&home, None, &[]);
    let id = runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let row = bundle(&home, "lfb-response-time", 1).await.example();
        let (status, answer) = client.post("/predict/lfb-response-time", &json!(row)).await;
        assert_eq!(status, 200, "{answer}");
        let truth = json!({"prediction_id": answer["prediction_id"], "truth": 300});
        // The log is written a moment after the answer.
        for _ in 0..100 {
            let (status, told) = client.post("/feedback", &truth).await;
            assert_eq!(status, 200, "{told}");
            if told["joined"] == 1 || told["repeated"] == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        answer["prediction_id"].as_str().unwrap().to_owned()
    });
    // What waits goes to the bucket when the service ends.
    server.stop();
    let mut command = ratchet(&home);
    command.args(["models", "trace", &id, "--format", "json"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(trace["prediction"]["id"], id.as_str());
    assert_eq!(
        (&trace["truth"]["truth"], &trace["model"]["version"]),
        (&json!(300.0), &json!(1))
    );
    let tables = trace["datasets"].as_array().unwrap();
    let raw: Vec<_> = tables
        .iter()
        .filter(|table| !table["raw"].as_array().unwrap().is_empty())
        .collect();
    assert!(!raw.is_empty(), "{trace:#}");
    assert!(
        raw[0]["lineage"]["source"]
            .as_str()
            .unwrap()
            .starts_with("simulated://lfb")
    );
    let mut page = ratchet(&home);
    page.args(["models", "trace", &id]);
    let page = text(&page.output().unwrap().stdout);
    assert!(page.contains("SIMULATED") && page.contains("300"), "{page}");
    let mut unknown = ratchet(&home);
    unknown.args(["models", "trace", "01a1f74a-ed7b-7743-8231-f36639248911"]);
    let (status, _, said) = failure(unknown);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("feed"), "{said}");
}
