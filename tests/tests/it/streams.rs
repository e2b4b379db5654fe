//! Streams of any length through the program as it is shipped, in constant memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::support::{Client, Server, bundle, directory, runtime, simulated_run, start_api};

/// What resident memory may not reach, in MiB.
const MEMORY: u64 = 200;

/// Rows in each stream; the documented command sends a million.
fn rows() -> usize {
    let rows = std::env::var("RATCHET_TEST_STREAM_ROWS").ok();
    rows.map_or(200_000, |rows| rows.parse().unwrap())
}

/// Resident memory of a process, in MiB: now, and the most it ever was.
fn memory(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Sends `content` in chunks while it reads the answer line by line. Returns the head.
fn converse(
    server: &Server,
    token: &str,
    kind: &str,
    mut content: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static,
    mut line: impl FnMut(&str),
) -> String {
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answers = BufReader::with_capacity(1 << 16, socket.try_clone().unwrap());
    let head = format!(
        "POST /predict/time_pump HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let sender = std::thread::spawn(move || {
        let mut more = true;
        while more {
            let mut chunk = Vec::new();
            more = content(&mut chunk);
            if !chunk.is_empty() {
                write!(socket, "{:x}\r\n", chunk.len()).unwrap();
                socket.write_all(&chunk).unwrap();
                socket.write_all(b"\r\n").unwrap();
            }
        }
        socket.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(answers.read_line(&mut head).unwrap() > 0, "no answer but {head}");
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut pending = Vec::new();
    loop {
        let mut size = String::new();
        answers.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        answers.read_exact(&mut chunk).unwrap();
        if size == 0 {
            break;
        }
        pending.extend_from_slice(&chunk[..size]);
        let whole = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = pending.split_off(whole);
        std::str::from_utf8(&pending).unwrap().lines().for_each(&mut line);
        pending = rest;
    }
    sender.join().unwrap();
    assert!(pending.is_empty());
    head
}

/// What is seen of a stream.
struct Seen {
    answers: usize,
    faults: usize,
    highest: u64,
    took: Duration,
}

/// Sends `rows` rows of which every thousandth is faulty, and looks at every answer.
fn stream(server: &Server, token: &str, csv: bool, example: Map<String, Value>, expected: f64) -> Seen {
    let rows = rows();
    let process = server.process.id();
    let (stop, stopped) = mpsc::channel::<()>();
    let sampler = std::thread::spawn(move || {
        let mut highest = 0;
        while stopped.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout) {
            highest = highest.max(memory(process).0);
        }
        highest
    });
    let number = example.iter().find(|(_, value)| value.is_number()).unwrap().0.clone();
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string().replace("null", ""), str::to_owned)
    };
    let mut broken = example.clone();
    broken.insert(number, Value::from("broken"));
    let (good, bad, header) = if csv {
        let record = |row: &Map<String, Value>| {
            let cells: Vec<String> = row.values().map(|value| format!("\"{}\"", text(value))).collect();
            format!("{}\n", cells.join(","))
        };
        let header = example.keys().cloned().collect::<Vec<_>>().join(",") + "\n";
        (record(&example), record(&broken), header)
    } else {
        let record = |row: &Map<String, Value>| format!("{}\n", serde_json::to_string(row).unwrap());
        (record(&example), record(&broken), String::new())
    };
    let mut sent = 0;
    let content = move |chunk: &mut Vec<u8>| {
        if sent == 0 {
            chunk.extend_from_slice(header.as_bytes());
        }
        for _ in 0..500.min(rows - sent) {
            let row = if sent % 1000 == 999 { &bad } else { &good };
            chunk.extend_from_slice(row.as_bytes());
            sent += 1;
        }
        sent < rows
    };
    let (mut answers, mut faults, mut place, mut column) = (0, 0, 0, None);
    let started = Instant::now();
    let kind = if csv { "text/csv" } else { "application/x-ndjson" };
    let head = converse(server, token, kind, content, |line| {
        if csv && column.is_none() {
            column = line.split(',').position(|name| name == "seconds");
            assert!(column.is_some(), "{line}");
            return;
        }
        let seconds: Option<f64> = if csv {
            line.split(',').nth(column.unwrap()).unwrap().parse().ok()
        } else {
            serde_json::from_str::<Value>(line).unwrap()["seconds"].as_f64()
        };
        match seconds {
            Some(seconds) => {
                assert_eq!(seconds.to_bits(), expected.to_bits(), "{line}");
                answers += 1;
            }
            None => {
                assert_eq!(place % 1000, 999, "{line}");
                assert!(line.contains("expected a number"), "{line}");
                faults += 1;
            }
        }
        place += 1;
    });
    let took = started.elapsed();
    assert!(
        head.to_ascii_lowercase().contains("ratchet-model-version: 1\r\n"),
        "{head}"
    );
    drop(stop);
    Seen {
        answers,
        faults,
        highest: sampler.join().unwrap(),
        took,
    }
}

#[test]
fn hundreds_of_thousands_of_rows_stream_through_in_constant_memory() {
    let run = simulated_run();
    let store = run.join("bucket").display().to_string();
    let home = directory("streams");
    let server = start_api(&home, Some(&store), &[]);
    let (token, example, expected) = runtime().block_on(async {
        let client = Client::log_in(&server).await;
        let example = bundle(run, "lfb-response-time", 1).await.example();
        // The model may still be loading.
        let deadline = Instant::now() + Duration::from_secs(30);
        let answer = loop {
            let (status, answer) = client.post("/predict/time_pump", &Value::Object(example.clone())).await;
            match status {
                200 => break answer,
                status => assert!(status == 503 && Instant::now() < deadline, "{answer:#}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        (client.token().to_owned(), example, answer["seconds"].as_f64().unwrap())
    });
    for csv in [false, true] {
        let seen = stream(&server, &token, csv, example.clone(), expected);
        let rows = rows();
        assert_eq!((seen.answers, seen.faults), (rows - rows / 1000, rows / 1000));
        let peak = memory(server.process.id()).1;
        println!(
            "{} rows of {} in {:.1} s; resident at most {} MiB sampled, {peak} MiB ever",
            rows,
            if csv { "CSV" } else { "NDJSON" },
            seen.took.as_secs_f64(),
            seen.highest,
        );
        assert!(
            seen.highest > 0 && seen.highest < MEMORY && peak < MEMORY,
            "{} MiB, {peak} MiB",
            seen.highest
        );
    }
}
