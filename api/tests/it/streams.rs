//! Rows as NDJSON and CSV, answered as they come.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bundles::TestBundle;
use crate::server::{House, Server, row};

async fn alpha() -> (House, Server) {
    let house = House::new().await;
    house
        .release("alpha", TestBundle::new("alpha", 0.1).at("/predict/alpha_pump").bytes())
        .await;
    let server = house.serve().await;
    server.wait_for_version("alpha", 1).await;
    (house, server)
}

async fn send(server: &Server, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let request = server.client.post(server.url(path)).bearer_auth(&server.token);
    request.header("content-type", kind).body(body).send().await.unwrap()
}

#[tokio::test]
async fn each_line_gets_its_answer_and_a_faulty_one_its_faults_in_its_place() {
    let (_house, server) = alpha().await;
    let body = format!(
        "{}\n{{\"easting\": \"secret\"}}\nnonsense\n\n{}\n[]\n{}",
        row(50.5),
        json!({"easting": 1e6, "station": null, "called_at": "1970-01-01"}),
        row(2.0)
    );
    for path in ["/predict/alpha", "/predict/alpha_pump"] {
        let response = send(&server, path, "application/x-ndjson", body.clone()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        assert_eq!(response.headers()["ratchet-model"], "alpha");
        assert_eq!(response.headers()["ratchet-model-version"], "1");
        let digest = response.headers()["ratchet-model-digest"].to_str().unwrap().to_owned();
        let text = response.text().await.unwrap();
        assert!(!text.contains("secret"));
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), 6);
        for (number, expected) in [(0, 0.1 + 50.5), (3, 0.1 + 1e6), (5, 0.1 + 2.0)] {
            assert_eq!(
                answers[number]["seconds"].as_f64().unwrap().to_bits(),
                f64::to_bits(expected)
            );
            assert_eq!(answers[number]["model"]["digest"], digest.as_str());
        }
        assert_eq!(answers[1]["row"], 1);
        let pointers: Vec<_> = answers[1]["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| &error["pointer"])
            .collect();
        assert_eq!(pointers, ["/easting", "/station", "/called_at"]);
        assert_eq!(
            (&answers[2]["row"], &answers[2]["errors"][0]["code"]),
            (&json!(2), &json!("broken_json"))
        );
        assert_eq!(
            (&answers[4]["row"], &answers[4]["errors"][0]["code"]),
            (&json!(4), &json!("wrong_type"))
        );
    }
    let metrics = server.text("/metrics/prometheus").await;
    assert!(
        metrics.contains(r#"ratchet_api_predictions_total{model="alpha",alias="champion"} 6"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"ratchet_api_out_of_distribution_total{model="alpha"} 2"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_table_is_answered_by_a_table() {
    let (_house, server) = alpha().await;
    let body = "station,easting,called_at\r\n\"Soho\",50.5,1970-01-01 00:30:00\r\n,,1970-01-01\r\nSoho,1\r\nSoho,2,1970-01-01\r\n";
    let response = send(&server, "/predict/alpha?explain=true", "text/csv; charset=utf-8", body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(response.headers()["ratchet-model-version"], "1");
    let text = response.text().await.unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 5, "{text}");
    let cell = |line: usize, name: &str| {
        let place = lines[0].iter().position(|column| *column == name).unwrap();
        lines[line][place]
    };
    assert_eq!(lines[0].last(), Some(&"error"));
    for (line, expected) in [(1, 0.1 + 50.5), (4, 0.1 + 2.0)] {
        assert_eq!(
            cell(line, "seconds").parse::<f64>().unwrap().to_bits(),
            f64::to_bits(expected)
        );
        assert_eq!((cell(line, "model.version"), cell(line, "error")), ("1", ""));
    }
    assert_eq!(cell(1, "explanation.contributions.easting"), "50.5");
    assert_eq!(cell(2, "seconds"), "");
    assert_eq!(
        *lines[2].last().unwrap(),
        "row 1: /easting: a value is required; send a number"
    );
    assert!(text.contains("\"row 2: the row has 2 values, the header 3\""), "{text}");
}

#[tokio::test]
async fn a_wrong_header_is_refused_before_anything_is_answered() {
    let (_house, server) = alpha().await;
    let rows = "1,2,3\n".repeat(500_000);
    for (body, codes) in [
        (format!("easting,station,color\n{rows}"), vec!["unknown", "missing"]),
        (String::new(), vec!["missing"]),
        ("easting".to_owned(), vec!["missing", "missing"]),
    ] {
        let response = send(&server, "/predict/alpha", "text/csv", body).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        let found: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| &error["code"])
            .collect();
        assert_eq!(found, codes);
    }
    let response = send(&server, "/predict/alpha", "text/csv", "easting,station,called_at\n").await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.text().await.unwrap().lines().count()
        ),
        (200, 1)
    );
    let response = send(&server, "/predict/alpha", "application/x-ndjson", "").await;
    assert_eq!(
        (response.status().as_u16(), response.text().await.unwrap().len()),
        (200, 0)
    );
}

/// A stream of which the test decides when each part is sent.
struct Conversation(TcpStream);

impl Conversation {
    async fn begin(server: &Server, kind: &str) -> Conversation {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /predict/alpha HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            server.token
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Conversation(socket)
    }

    async fn say(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.0.write_all(chunk.as_bytes()).await.unwrap();
    }

    /// Reads until `text` was seen.
    async fn hear(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&heard).contains(text) {
            let reading = tokio::time::timeout(std::time::Duration::from_secs(10), self.0.read(&mut buffer));
            let count = reading.await.unwrap().unwrap();
            assert!(count > 0, "the stream ended after {}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}

#[tokio::test]
async fn answers_come_while_rows_are_still_sent_and_from_one_version_to_the_end() {
    let (house, server) = alpha().await;
    let mut json = Conversation::begin(&server, "application/x-ndjson").await;
    json.say(&format!("{}\n", row(1.0))).await;
    assert!(json.hear("prediction_id").await.contains("\"version\":1"));
    let mut table = Conversation::begin(&server, "text/csv").await;
    table.say("easting,station,called_at\n1,Soho,1970-01-01\n").await;
    table.hear(",1.1,").await;
    house.release("alpha", TestBundle::new("alpha", 1000.0).bytes()).await;
    server.wait_for_version("alpha", 2).await;
    assert_eq!(
        server.post("/predict/alpha", &row(1.0)).await.1["seconds"],
        json!(1001.0)
    );
    json.say(&format!("{}\n", row(5.0))).await;
    let heard = json.hear("prediction_id").await;
    assert!(
        heard.contains("\"version\":1") && heard.contains("\"seconds\":5.1"),
        "{heard}"
    );
    table.say("5,Soho,1970-01-01\n").await;
    assert!(table.hear("\r\n").await.contains(",5.1,"), "the old version answers on");
    json.0.write_all(b"0\r\n\r\n").await.unwrap();
    json.hear("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    let (_house, server) = alpha().await;
    let mut json = Conversation::begin(&server, "application/x-ndjson").await;
    json.say(&format!("{}\n{{\"easting\":", row(1.0))).await;
    json.hear("prediction_id").await;
    json.0.write_all(b"zz\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = json.0.read_to_end(&mut rest).await;
    let rest = String::from_utf8_lossy(&rest);
    // No last chunk of length 0: the client's library reports an answer that was cut.
    assert!(!rest.contains("\r\n0\r\n\r\n") && !rest.starts_with("0\r\n"), "{rest}");
}

#[tokio::test]
async fn streams_need_a_token_too() {
    let (_house, server) = alpha().await;
    for kind in ["application/x-ndjson", "text/csv"] {
        let request = server
            .client
            .post(server.url("/predict/alpha"))
            .header("content-type", kind);
        assert_eq!(request.body("").send().await.unwrap().status(), 401);
    }
}
