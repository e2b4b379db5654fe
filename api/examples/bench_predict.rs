//! Requests a second and latencies of single-row predictions, beside a bare handler that parses and echoes the same JSON.
//!
//! `bench_predict HOME MODEL` serves the bucket in HOME on loopback with everything that a request meets in earnest: token, validation,
//! features, prediction, interval, metrics, log. Both servers run on the same threads, one after the other, twice, and are asked by the
//! same generator. `--beside PYTHON` asks FastAPI with LightGBM, too (`tests/benches/fastapi_service.py`); `--minutes N` goes on at half of
//! the load and prints the memory of each minute. `make bench-api` runs it on the example's model.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement, not a service")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use ratchet_api::{Options, Service};
use ratchet_artifacts::{Bucket, models};
use ratchet_identity::Identity;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// As the service has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, model, options @ ..] = arguments.as_slice() else {
        panic!("usage: bench_predict HOME MODEL [--beside PYTHON] [--minutes N]");
    };
    let option = |name: &str| {
        options
            .windows(2)
            .find(|pair| pair[0] == name)
            .map(|pair| pair[1].clone())
    };
    let servers = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let generator = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (predict, echo, token, body) = servers.block_on(serve(PathBuf::from(home), model));
    let request = |path: &str, token: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let prediction = request(&format!("/predict/{model}"), &token);
    let echoed = request("/echo", &token);
    println!(
        "{CONNECTIONS} connections, {} s a round, one row of {} bytes a request",
        ROUND.as_secs(),
        body.len()
    );
    let mut rates = [0.0_f64; 2];
    for round in 1..=2 {
        for (place, name, address, request) in [(0, "echo", echo, &echoed), (1, "predict", predict, &prediction)] {
            let seen = generator.block_on(load(address, request, None));
            println!("round {round}  {name:<8} {seen}");
            rates[place] = rates[place].max(seen.rate());
        }
    }
    println!("ratio    predict / echo  {:.2}", rates[1] / rates[0]);
    let half = Duration::from_secs_f64(CONNECTIONS as f64 / (rates[1] / 2.0));
    let seen = generator.block_on(load(predict, &prediction, Some(half)));
    println!("half     predict  {seen}");
    println!("log      {}", generator.block_on(kept(predict)));
    if let Some(python) = option("--beside") {
        let beside = Beside::start(&python, home, model, &body);
        let asked = request("/predict", &beside.token);
        generator.block_on(beside.wait(&asked));
        let seen = generator.block_on(load(beside.address, &asked, None));
        println!("beside   FastAPI  {seen}");
        println!("ratio    predict / FastAPI  {:.1}", rates[1] / seen.rate());
    }
    let minutes: u64 = option("--minutes").map_or(0, |minutes| minutes.parse().unwrap());
    for minute in 0..=minutes {
        println!("memory   {:>2} min  {:>4} MiB resident", minute, resident());
        if minute < minutes {
            for _ in 0..60 / ROUND.as_secs() {
                generator.block_on(load(predict, &prediction, Some(half)));
            }
        }
    }
    // The service was not asked to stop: its threads end with the process.
    std::mem::forget(servers);
}

/// Memory of this process, both servers and the generator, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// What became of the log: rows written, requests dropped.
async fn kept(predict: SocketAddr) -> String {
    let mut connection = TcpStream::connect(predict).await.unwrap();
    let request = b"GET /metrics/prometheus HTTP/1.1\r\nHost: bench\r\n\r\n";
    let mut answer = Vec::new();
    exchange(&mut connection, request, &mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let kept = text
        .lines()
        .filter(|line| line.starts_with("ratchet_api_record_rows") || line.starts_with("ratchet_api_record_dropped"));
    kept.collect::<Vec<_>>().join("  ")
}

/// FastAPI with LightGBM on the same table, in processes of its own that end with this value.
struct Beside {
    process: Child,
    address: SocketAddr,
    token: String,
}

impl Beside {
    fn start(python: &str, home: &str, model: &str, body: &str) -> Beside {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut process = Command::new(python)
            .args([
                "tests/benches/fastapi_service.py",
                home,
                model,
                &port.port().to_string(),
            ])
            .env("BENCH_EXAMPLE", body)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut token = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut token)
            .unwrap();
        Beside {
            process,
            address: port,
            token: token.trim().to_owned(),
        }
    }

    async fn wait(&self, request: &[u8]) {
        for _ in 0..1200 {
            if let Ok(mut connection) = TcpStream::connect(self.address).await {
                assert_eq!(exchange(&mut connection, request, &mut Vec::new()).await, 200);
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("FastAPI does not listen");
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Its workers are in its group.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.process.wait();
    }
}

/// Both servers, a token, and the body of a request.
async fn serve(home: PathBuf, model: &str) -> (SocketAddr, SocketAddr, String, String) {
    let bucket = Bucket::open(home.join("bucket").to_str().unwrap()).await.unwrap();
    let version = models::latest(&bucket, model).await.unwrap().unwrap();
    let bundle = ratchet_model::Bundle::read(&bucket.get_blob(&version.bundle).await.unwrap()).unwrap();
    let body = serde_json::to_string(&bundle.example()).unwrap();
    let identity = Identity::open(&home, None).await.unwrap();
    let options = Options {
        listen: "127.0.0.1:0".to_owned(),
        store: None,
        home,
        memory_limit: None,
        administrator: Some(("bench".to_owned(), uuid::Uuid::now_v7().to_string())),
        default_model: None,
        ..Options::default()
    };
    let service = Service::start_with(identity.clone(), bucket, &options).await.unwrap();
    let user = identity.list().await.unwrap().into_iter().next().unwrap();
    let token = identity.issue_token(&user).unwrap().token;
    let predict = service.address();
    tokio::spawn(service.run(std::future::pending()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echo = listener.local_addr().unwrap();
    let router = Router::new().route("/echo", post(|Json(value): Json<Value>| async { Json(value) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    // The model loads beside the listening service.
    let request = b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n";
    for _ in 0..300 {
        let mut connection = TcpStream::connect(predict).await.unwrap();
        if exchange(&mut connection, request, &mut Vec::new()).await == 200 {
            return (predict, echo, token, body);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the model did not load within 30 s");
}

/// Latencies of one round.
struct Seen {
    sorted: Vec<Duration>,
    took: Duration,
}

impl Seen {
    fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| {
            let place = (self.sorted.len() as f64 * share) as usize;
            self.sorted
                .get(place)
                .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
        };
        let (rate, median, tail) = (self.rate(), at(0.5), at(0.99));
        write!(
            formatter,
            "{rate:>8.0} requests/s  p50 {median:.3} ms  p99 {tail:.3} ms"
        )
    }
}

/// Asks on all connections for a round: as fast as answers come, or once per `pace` and connection. A latency counts from the moment
/// at which its request was due.
async fn load(address: SocketAddr, request: &[u8], pace: Option<Duration>) -> Seen {
    let started = Instant::now();
    let tasks = (0..CONNECTIONS).map(|number| {
        let request = request.to_vec();
        tokio::spawn(async move {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.set_nodelay(true).unwrap();
            let mut buffer = Vec::new();
            let mut latencies = Vec::new();
            let mut due = started + pace.unwrap_or_default().mul_f64(number as f64 / CONNECTIONS as f64);
            while started.elapsed() < ROUND {
                match pace {
                    Some(pace) => {
                        tokio::time::sleep_until(due.into()).await;
                        let status = exchange(&mut connection, &request, &mut buffer).await;
                        assert_eq!(status, 200);
                        latencies.push(due.elapsed());
                        due += pace;
                    }
                    None => {
                        let began = Instant::now();
                        let status = exchange(&mut connection, &request, &mut buffer).await;
                        assert_eq!(status, 200);
                        latencies.push(began.elapsed());
                    }
                }
            }
            latencies
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut sorted = Vec::new();
    for task in tasks {
        sorted.extend(task.await.unwrap());
    }
    let took = started.elapsed();
    sorted.sort_unstable();
    Seen { sorted, took }
}

/// Sends a request and reads the whole answer; returns its status.
async fn exchange(connection: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> u16 {
    connection.write_all(request).await.unwrap();
    buffer.clear();
    let (mut head, mut whole) = (0, usize::MAX);
    while buffer.len() < whole {
        assert!(
            connection.read_buf(buffer).await.unwrap() > 0,
            "the server closed the connection"
        );
        if head == 0
            && let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            head = end + 4;
            let text = std::str::from_utf8(&buffer[..head]).unwrap().to_ascii_lowercase();
            let length = text
                .split_once("content-length: ")
                .unwrap()
                .1
                .split_once('\r')
                .unwrap()
                .0;
            whole = head + length.parse::<usize>().unwrap();
        }
    }
    std::str::from_utf8(&buffer[9..12]).unwrap().parse().unwrap()
}
