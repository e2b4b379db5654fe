//! The shipped weather DAG on a service on loopback: a key from a secret, pages, and an answer that asks for patience.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::{directory, model, ratchet, real_records, run_dag, task, workspace};

const KEY: &str = "a-weather-key-of-tests";

/// The first hours of the published table as a service shows them.
fn hours(count: usize) -> Option<Vec<Value>> {
    let path = real_records("hourly_weather_beijing_2010_2014.csv.gz")?;
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let hours = reader.records().take(count).map(|record| {
        let record = record.unwrap();
        let at = |name: &str| &record[names.iter().position(|other| other == name).unwrap()];
        let number = |name: &str| serde_json::from_str::<Value>(at(name)).unwrap();
        json!({
            "number": number("No"),
            "time": { "year": number("year"), "month": number("month"), "day": number("day"), "hour": number("hour") },
            "air": { "temperature": number("TEMP"), "dew_point": number("DEWP"), "pressure": number("PRES") },
            "wind": { "direction": at("cbwd"), "run": number("Iws") },
        })
    });
    Some(hours.collect())
}

/// Serves the hours by `page` and `size` to whoever has the key; the third request gets 429. Returns its address and the count of
/// requests.
fn serve(hours: Vec<Value>) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/hourly", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            answer(&mut stream.unwrap(), &hours, number);
        }
    });
    (url, requests)
}

fn answer(stream: &mut TcpStream, hours: &[Value], number: u32) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0);
    }
    let query = head.split(' ').nth(1).unwrap().split_once('?').unwrap().1.to_owned();
    let parameter = |name: &str| -> usize {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.unwrap().parse().unwrap()
    };
    let has_key = head.to_lowercase().contains(&format!("x-api-key: {KEY}\r\n"));
    let (status, body) = match (has_key, number) {
        (false, _) => ("401 Unauthorized", "{}".to_owned()),
        (_, 2) => ("429 Too Many Requests\r\nretry-after: 0", String::new()),
        _ => {
            let page = hours
                .chunks(parameter("size"))
                .nth(parameter("page") - 1)
                .unwrap_or_default();
            ("200 OK", json!({ "data": { "hours": page } }).to_string())
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
}

fn run(mut command: Command, url: &str, key: &str) -> (i32, Value) {
    command.env("RATCHET_SECRET_WEATHER_KEY", key);
    let dag = workspace().join("dags/hourly_forecast.yaml");
    run_dag(command, &dag, &[("service", url.to_owned())])
}

#[test]
fn the_weather_dag_learns_from_a_service_behind_a_key() {
    let Some(hours) = hours(6_500) else { return };
    let (url, requests) = serve(hours);
    let home = directory("weather-service");
    let (status, document) = run(ratchet(&home), &url, KEY);
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(
        requests.load(Ordering::Relaxed),
        9,
        "seven pages, an empty one, and one request that came too early"
    );
    let table = &task(&document, "service")["outputs"]["table"];
    assert_eq!((&table["rows"], &table["source"]), (&json!(6_500), &json!(url)));
    assert_eq!(task(&document, "observations")["state"], "skipped");
    assert!(model(&document, "hourly-forecast")["metrics"]["mae"].as_f64().unwrap() < 3.0);
    // The raw answers are there with the time at which they were collected; the key is nowhere.
    let manifest = std::fs::read(home.join("bucket/datasets/hourly-forecast-service/1.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["raw"].as_array().unwrap().len(), 8);
    assert!(manifest["collected"]["at"].is_string());
    let found = Command::new("grep").args(["-rlF", KEY]).arg(&home).output().unwrap();
    assert_eq!(
        found.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );

    // The model is trained again from those answers: the service is not asked.
    let asked = requests.load(Ordering::Relaxed);
    let mut reproduce = ratchet(&home);
    reproduce
        .args(["models", "reproduce", "hourly-forecast@1", "--format", "json"])
        .env("RATCHET_SECRET_WEATHER_KEY", KEY);
    let output = reproduce.output().unwrap();
    let reproduced: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&reproduced["equal"], &reproduced["replayed"], &reproduced["taken"]),
        (&json!(true), &json!(["service"]), &json!([])),
        "{reproduced:#}"
    );
    assert_eq!(requests.load(Ordering::Relaxed), asked);

    let (status, document) = run(ratchet(&directory("weather-refused")), &url, "another-key");
    assert_eq!(status, 1);
    let error = &task(&document, "service")["error"];
    assert!(
        error["message"].as_str().unwrap().ends_with("answers 401 Unauthorized"),
        "{error:#}"
    );
}
