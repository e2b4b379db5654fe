//! A gate that fails stops the run, and nothing that serves notices.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{
    Client, copy_of, directory, lfb_dag, ratchet, real_parameters, real_records, real_run, run_dag, runtime, start_api,
    task,
};

/// The real table with every `DateOfCall` empty.
fn without_dates() -> Option<PathBuf> {
    let path = real_records("lfb_incidents_2017_jan_apr.csv.gz")?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let position = header.iter().position(|column| column == "DateOfCall").unwrap();
    let path = directory("no-dates").join("incidents.csv");
    let mut writer = csv::Writer::from_path(&path).unwrap();
    writer.write_record(&header).unwrap();
    for line in reader.records() {
        let line = line.unwrap();
        writer
            .write_record(
                line.iter()
                    .enumerate()
                    .map(|(column, value)| if column == position { "" } else { value }),
            )
            .unwrap();
    }
    writer.flush().unwrap();
    Some(path)
}

#[test]
fn dates_that_are_all_null_stop_the_run_and_the_champion_still_serves() {
    let (Some(run), Some(mut parameters), Some(broken)) = (real_run(), real_parameters(true), without_dates()) else {
        return;
    };
    let home = copy_of(&run.home, "gate");
    let server = start_api(&home, None, &[]);
    let client = runtime().block_on(Client::log_in(&server));
    parameters[0].1 = broken.display().to_string();
    let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
    assert_eq!(status, 1);
    assert_eq!(document["status"], "failed");
    let gate = task(&document, "gate");
    assert_eq!(gate["state"], "failed");
    let message = gate["error"]["message"].as_str().unwrap();
    println!("{message}");
    for part in ["null_share(DateOfCall)", "1.0000 of 32,247"] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    for id in [
        "vehicles",
        "calls",
        "train_time",
        "train_over",
        "train_pumps",
        "compare_time",
        "promote_time",
    ] {
        let later = task(&document, id);
        assert_eq!(later["state"], "skipped", "{id}");
        assert!(
            later["reason"].as_str().unwrap().contains('`'),
            "{id} names the task: {}",
            later["reason"]
        );
    }
    // The report names the expectation, the value seen and the rows.
    let run_id = document["run"].as_str().unwrap();
    let report: Value =
        serde_json::from_slice(&std::fs::read(home.join(format!("bucket/runs/{run_id}/gate/1/gate.json"))).unwrap())
            .unwrap();
    let text = report.to_string();
    assert!(text.contains("DateOfCall") && text.contains("\"rows\""), "{report:#}");
    // Nothing was promoted, and the champion answers.
    assert_eq!(std::fs::read_dir(home.join("bucket/promotions")).unwrap().count(), 3);
    let (status, openapi) = runtime().block_on(client.get("/openapi.json"));
    assert_eq!(status, 200);
    let example = example(&openapi);
    let (status, answer) = runtime().block_on(client.post("/predict/time_pump", &example));
    assert_eq!(status, 200, "{answer:#}");
    assert_eq!(answer["model"]["version"], 1);
}

/// The example request of the model's route in the API's own documentation.
pub fn example(openapi: &Value) -> Value {
    let body = &openapi["paths"]["/predict/time_pump"]["post"]["requestBody"]["content"]["application/json"];
    let found = [
        body.pointer("/example"),
        body.pointer("/schema/example"),
        body.pointer("/schema/examples/0"),
    ];
    let named = body
        .pointer("/examples")
        .and_then(Value::as_object)
        .and_then(|examples| examples.values().next());
    let found = found
        .into_iter()
        .flatten()
        .next()
        .or_else(|| named.and_then(|named| named.get("value")));
    found.unwrap_or_else(|| panic!("no example in {body:#}")).clone()
}
