//! Starts the programs and reads what they say.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ratchet_model::features::{LookupTable, LookupTables};
use serde_json::{Map, Value, json};

pub const USERNAME: &str = "tester";
pub const PASSWORD: &str = "long enough to pass";

pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A program that `make test` built: beside the directory of this test's own executable.
pub fn program(name: &str) -> PathBuf {
    let directory = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    let program = directory.join(name);
    assert!(program.exists(), "{} is not built; run `make test`", program.display());
    program
}

/// A file of real records; `None`, with one line said, where it is not there: such a test is skipped, not passed.
pub fn real_records(file: &str) -> Option<PathBuf> {
    let directory =
        std::env::var_os("RATCHET_TEST_DATA").map_or_else(|| workspace().join("../shared/data"), PathBuf::from);
    let path = directory.join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there (set RATCHET_TEST_DATA)", path.display());
    None
}

/// A program of the Python tools; `None`, with one line said, where it is not there: such a test is skipped, not passed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
    let program = tools.map(|tools| tools.join(name)).filter(|program| program.exists());
    if program.is_none() {
        eprintln!("SKIPPED: {name} is not there; `make test` installs it and sets RATCHET_TEST_TOOLS");
    }
    program
}

/// An empty directory of this test run.
pub fn directory(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// `ratchet` with an environment of its own.
pub fn ratchet(home: &Path) -> Command {
    let mut command = Command::new(program("ratchet"));
    command
        .current_dir(workspace())
        .env("RATCHET_HOME", home)
        .env("NO_COLOR", "1")
        .env_remove("RATCHET_STORE");
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a DAG and returns the exit status and the one document that it prints.
pub fn run_dag(mut command: Command, dag: &Path, parameters: &[(&str, String)]) -> (i32, Value) {
    command.arg("run").arg(dag).args(["--format", "json"]);
    for (name, value) in parameters {
        command.arg("-p").arg(format!("{name}={value}"));
    }
    let output = command.output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no JSON document on stdout ({error}):\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        )
    });
    (output.status.code().unwrap(), document)
}

pub fn lfb_dag() -> PathBuf {
    workspace().join("dags/lfb_response_time.yaml")
}

/// Parameters that run the shipped DAG on the real table, April 2017 held out.
pub fn real_parameters(with_stations: bool) -> Option<Vec<(&'static str, String)>> {
    let incidents = real_records("lfb_incidents_2017_jan_apr.csv.gz")?;
    let stations = real_records("lfb_stations.csv")?;
    let mut parameters = vec![
        ("incidents", incidents.display().to_string()),
        ("train_until", "2017-04-01".to_owned()),
        ("holdout_until", "2017-05-01".to_owned()),
    ];
    if with_stations {
        parameters.push(("stations", stations.display().to_string()));
    }
    Some(parameters)
}

/// A home in which the shipped DAG ran once on the real table with the stations. Read it, do not change it.
pub struct RealRun {
    pub home: PathBuf,
    pub document: Value,
}

pub fn real_run() -> Option<&'static RealRun> {
    static RUN: OnceLock<Option<RealRun>> = OnceLock::new();
    RUN.get_or_init(|| {
        let parameters = real_parameters(true)?;
        let home = directory("real");
        let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
        assert_eq!(status, 0, "{document:#}");
        Some(RealRun { home, document })
    })
    .as_ref()
}

/// A home in which the shipped DAG ran once on built-in records. Read it, do not change it.
pub fn simulated_run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let home = directory("simulated");
        let parameters = [("incidents", "simulated://lfb?rows=12000&seed=5&days=100".to_owned())];
        let (status, document) = run_dag(ratchet(&home), &lfb_dag(), &parameters);
        assert_eq!(status, 0, "{document:#}");
        home
    })
}

/// A copy of a home, to be changed.
pub fn copy_of(home: &Path, name: &str) -> PathBuf {
    let copy = directory(name);
    let status = Command::new("cp")
        .arg("-a")
        .arg(home.join("."))
        .arg(&copy)
        .status()
        .unwrap();
    assert!(status.success());
    copy
}

pub fn model<'a>(document: &'a Value, name: &str) -> &'a Value {
    let models = document["models"].as_array().unwrap();
    models
        .iter()
        .find(|model| model["name"] == name)
        .unwrap_or_else(|| panic!("no model {name} in {document:#}"))
}

pub fn task<'a>(document: &'a Value, id: &str) -> &'a Value {
    let tasks = document["tasks"].as_array().unwrap();
    tasks
        .iter()
        .find(|task| task["id"] == id)
        .unwrap_or_else(|| panic!("no task {id} in {document:#}"))
}

pub fn metric(model: &Value, name: &str) -> f64 {
    model["metrics"][name]
        .as_f64()
        .unwrap_or_else(|| panic!("no metric {name} in {model:#}"))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with the test.
pub struct Server {
    pub process: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Asks it to end and waits until it has.
    pub fn stop(mut self) {
        let process = self.process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &process]).status().unwrap();
        assert!(asked.success());
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// `ratchet-api`, as built alone, on a port of its own with one user.
pub fn start_api(home: &Path, store: Option<&str>, environment: &[(&str, &str)]) -> Server {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(program("ratchet-api"));
    command
        .args(["serve", "--listen", &address, "--home"])
        .arg(home)
        .env_remove("RATCHET_STORE")
        .env("RATCHET_ADMIN_USERNAME", USERNAME)
        .env("RATCHET_ADMIN_PASSWORD", PASSWORD)
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(store) = store {
        command.args(["--store", store]);
    }
    let mut server = Server {
        process: command.spawn().unwrap(),
        address,
    };
    let mut log = server.process.stderr.take().unwrap();
    // The log is drained, so that the program never waits for it.
    let drain = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = log.read_to_string(&mut said);
        said
    });
    // It listens before its models are loaded, and says so.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_healthy(&server.address) {
        if let Some(status) = server.process.try_wait().unwrap() {
            panic!("ratchet-api ended with {status}:\n{}", drain.join().unwrap());
        }
        assert!(Instant::now() < deadline, "ratchet-api does not become healthy");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

pub fn is_healthy(address: &str) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let asked = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// A client with a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Client {
    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn log_in(server: &Server) -> Client {
        let http = http();
        let base = format!("http://{}", server.address);
        let form = [
            ("grant_type", "password"),
            ("username", USERNAME),
            ("password", PASSWORD),
        ];
        let answer = http.post(format!("{base}/token")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let token = answer.json::<Value>().await.unwrap()["access_token"]
            .as_str()
            .unwrap()
            .to_owned();
        Client { http, base, token }
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (
            status,
            serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(text(&body))),
        )
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// The bundle of a version in a local home, with the newest versions of its lookups.
pub async fn bundle(home: &Path, model: &str, version: u64) -> ratchet_model::Bundle {
    let bucket = ratchet_artifacts::Bucket::open(&home.join("bucket").display().to_string())
        .await
        .unwrap();
    let manifest = ratchet_artifacts::models::get(&bucket, model, version)
        .await
        .unwrap()
        .unwrap();
    let bundle = ratchet_model::Bundle::read(&bucket.get_blob(&manifest.bundle).await.unwrap()).unwrap();
    let mut tables = LookupTables::new();
    for (_, lookup) in bundle.lookups() {
        let newest = ratchet_artifacts::lookups::latest(&bucket, lookup)
            .await
            .unwrap()
            .unwrap();
        let content = bucket.get_blob(&newest.content).await.unwrap();
        tables.insert(lookup.to_owned(), Arc::new(LookupTable::read(&content).unwrap()));
    }
    bundle.with_lookups(&tables).unwrap()
}

/// A vehicle of the incident table as a client would send it: raw texts, untrimmed.
pub struct Vehicle {
    pub record: Map<String, Value>,
    pub seconds: f64,
}

/// The vehicles of the real table from a day on, made from the raw CSV by this test's own code: first and second pump
/// with a station and a time. `fields` are those that the model asks for; numbers are numbers, everything else is the
/// raw text.
pub fn raw_vehicles(path: &Path, from: &str, schema: &ratchet_model::Schema) -> Vec<Vehicle> {
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().unwrap().clone();
    let position = |name: &str| header.iter().position(|column| column == name).unwrap();
    let mut vehicles = Vec::new();
    for line in reader.records() {
        let line = line.unwrap();
        if &line[position("DateOfCall")] < from {
            continue;
        }
        for (order, pump) in [(1, "First"), (2, "Second")] {
            let station = &line[position(&format!("{pump}PumpArriving_DeployedFromStation"))];
            let seconds = &line[position(&format!("{pump}PumpArriving_AttendanceTime"))];
            if station.is_empty() || seconds.is_empty() {
                continue;
            }
            let mut record = Map::new();
            for field in &schema.fields {
                let value = match field.name.as_str() {
                    "PumpOrder" => json!(order),
                    "DeployedFromStation" => json!(station),
                    name => {
                        let raw = &line[position(name)];
                        match field.kind {
                            ratchet_model::FieldKind::Number => json!(raw.parse::<f64>().unwrap()),
                            _ if raw.is_empty() => Value::Null,
                            // Blanks around a text do not count.
                            _ => json!(format!(" {raw}  ")),
                        }
                    }
                };
                record.insert(field.name.clone(), value);
            }
            vehicles.push(Vehicle {
                record,
                seconds: seconds.parse().unwrap(),
            });
        }
    }
    vehicles
}

/// Output of a command that is expected to fail, as text.
pub fn failure(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}
