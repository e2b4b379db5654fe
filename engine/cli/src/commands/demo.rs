//! `ratchet demo`: the whole way once, on built-in records.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratchet_artifacts::{Bucket, PromotionLog, models};
use ratchet_core::plugin::Registry;
use ratchet_identity::Role;
use ratchet_model::Bundle;
use ratchet_runtime::RunStatus;
use ratchet_server::{Server, ServerOptions};
use serde_json::{Map, Value};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::run::{bind, drive};
use super::{files, shutdown, users};
use crate::arguments::Demo;
use crate::display::{output, report};
use crate::failure::{Failure, Status};
use crate::settings::Settings;

const DAG: &str = include_str!("../../../../dags/lfb_response_time.yaml");
const DAG_FILE: &str = "lfb_response_time.yaml";
const MODEL: &str = "lfb-response-time";
const USER: &str = "demo";
/// A machine that compiles beside it may be slow to start a program.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where a request goes and what it says.
struct Question {
    route: String,
    row: Map<String, Value>,
}

/// What came back.
struct Asked {
    answer: Value,
    /// Promoted models that the API does not serve, with the reasons; empty if it serves all.
    not_served: String,
}

/// Trains, promotes, serves and asks.
pub async fn demo(arguments: Demo, settings: &Settings, registry: Arc<Registry>) -> Result<(), Failure> {
    let settings = &settings.at_home(settings.home.join("demo"));
    let program = api_program()?;
    let dag_file = unpack(&settings.home)?;
    let mut stop = shutdown::listen("stopping the demo; once more ends it at once")?;

    let dag = files::load(&dag_file, &registry)?;
    let records = format!("simulated://lfb?rows={}&seed=7", arguments.rows);
    let params = bind(&dag, &[("incidents".to_owned(), records)])?;
    let engine = settings.open_engine(registry.clone()).await?;
    let (run, tasks) = drive(&engine, dag, params, None, settings, stop.clone()).await?;
    output::line(&format!("\n{}\n", report::closing(&run, &tasks)));
    if run.status != RunStatus::Succeeded {
        return Err(Failure::reported(Status::Failed));
    }
    let question = question(engine.bucket()).await?;

    let password = users::random_password()?;
    add_user(settings, &password).await?;
    let directory = dag_file.parent().map(Path::to_owned).unwrap_or_default();
    let options = ServerOptions {
        engine,
        registry,
        dag_directory: directory,
        home: settings.home.clone(),
        identity: users::open(settings).await?,
    };
    let server = Server::bind(options, free_or(8080)).await?;
    let engine_address = server.address();
    let serving = tokio::spawn(server.run(stop.clone()));

    let address = free_or(8000);
    let mut api = start(&program, address, settings)?;
    let asked = ask(&mut api, address, &password, &question, settings, &mut stop).await;
    let outcome = match asked {
        Ok(Asked { answer, not_served }) => {
            show(&question, &answer, address, engine_address, &password);
            match (not_served.is_empty(), arguments.once) {
                (true, true) => Ok(()),
                (false, true) => Err(Failure::failed(format!("not every model is served: {not_served}"))),
                (complete, false) => {
                    if !complete {
                        output::error(&format!("warning: not every model is served: {not_served}"));
                    }
                    wait(&mut api, &mut stop, settings).await
                }
            }
        }
        Err(failure) => Err(failure),
    };
    end(&mut api).await;
    serving.abort();
    outcome
}

/// The other binary, which was built beside this one.
fn api_program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join("ratchet-api")));
    program.filter(|program| program.is_file()).ok_or_else(|| {
        Failure::input("the program ratchet-api does not stand beside this one")
            .help("`make demo` builds both; or `cargo build -p ratchet-cli -p ratchet-api`")
    })
}

fn unpack(home: &Path) -> Result<PathBuf, Failure> {
    let directory = home.join("dags");
    let file = directory.join(DAG_FILE);
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&file, DAG))
        .map_err(|error| {
            Failure::service(format!("{} cannot be written: {error}", file.display()))
                .help("name another directory with --home or RATCHET_HOME")
        })?;
    Ok(file)
}

/// The champion's own example, so that the request always fits the model.
async fn question(bucket: &Bucket) -> Result<Question, Failure> {
    let head = PromotionLog::new(bucket.clone()).head().await?;
    let champion = head
        .as_ref()
        .and_then(|entry| entry.table.get(MODEL))
        .and_then(|aliases| aliases.get("champion"));
    let champion = champion.ok_or_else(|| {
        Failure::failed(format!("{MODEL} has no champion: the comparison above says why"))
            .help("try again with more records: `ratchet demo --rows 80000`")
    })?;
    let manifest = models::get(bucket, MODEL, champion.version).await?.ok_or_else(|| {
        Failure::service(format!(
            "{MODEL}@{} is promoted but not in the bucket",
            champion.version
        ))
    })?;
    let bytes = bucket.get_blob(&manifest.bundle).await?;
    let bundle = Bundle::read(&bytes).map_err(|error| Failure::service(format!("the champion's bundle: {error}")))?;
    let route = bundle
        .route()
        .map_or_else(|| format!("/predict/{MODEL}"), str::to_owned);
    Ok(Question {
        route,
        row: bundle.example(),
    })
}

/// A new password each time: it is printed, and the one before it ends.
async fn add_user(settings: &Settings, password: &str) -> Result<(), Failure> {
    let identity = users::open(settings).await?;
    match identity.remove(USER).await {
        Ok(_) | Err(ratchet_identity::Error::Unknown(_)) => {}
        Err(error) => return Err(error.into()),
    }
    identity.add_user(USER, password, Role::User).await?;
    Ok(())
}

/// Loopback on this port, or on any free one if somebody has it.
fn free_or(port: u16) -> SocketAddr {
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = |port: u16| std::net::TcpListener::bind(at(port)).and_then(|listener| listener.local_addr());
    free(port).or_else(|_| free(0)).unwrap_or_else(|_| at(port))
}

fn log_file(settings: &Settings) -> PathBuf {
    settings.home.join("ratchet-api.log")
}

fn start(program: &Path, address: SocketAddr, settings: &Settings) -> Result<Child, Failure> {
    let log = log_file(settings);
    let failed =
        |what: &Path, error: std::io::Error| Failure::service(format!("{} cannot be started: {error}", what.display()));
    let output = std::fs::File::create(&log).map_err(|error| failed(&log, error))?;
    let errors = output.try_clone().map_err(|error| failed(&log, error))?;
    let mut command = Command::new(program);
    command.args(["serve", "--listen"]).arg(address.to_string());
    command
        .env("RATCHET_HOME", &settings.home)
        .env("RATCHET_STORE", &settings.store);
    if let Some(secret) = &settings.jwt_secret {
        command.env("RATCHET_JWT_SECRET", secret);
    }
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true);
    command.spawn().map_err(|error| failed(program, error))
}

/// Waits until the model is served, logs in and asks.
async fn ask(
    api: &mut Child,
    address: SocketAddr,
    password: &str,
    question: &Question,
    settings: &Settings,
    stop: &mut watch::Receiver<bool>,
) -> Result<Asked, Failure> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| Failure::service(format!("no HTTP client: {error}")))?;
    let asking = async {
        let not_served = wait_until_served(&client, address, api, settings).await?;
        let form = [("grant_type", "password"), ("username", USER), ("password", password)];
        let token = answered(client.post(format!("http://{address}/token")).form(&form)).await?;
        let token = token["access_token"].as_str().unwrap_or_default();
        let url = format!("http://{address}{}", question.route);
        let answer = answered(client.post(url).bearer_auth(token).json(&question.row)).await?;
        Ok(Asked { answer, not_served })
    };
    tokio::select! {
        answer = asking => answer,
        _ = stop.wait_for(|stop| *stop) => Err(Failure::reported(Status::Failed)),
    }
}

/// Waits for the model; returns what is said about others that are promoted and not served.
async fn wait_until_served(
    client: &reqwest::Client,
    address: SocketAddr,
    api: &mut Child,
    settings: &Settings,
) -> Result<String, Failure> {
    let began = Instant::now();
    let mut last = "no answer yet".to_owned();
    while began.elapsed() < START_LIMIT {
        if let Ok(Some(status)) = api.try_wait() {
            return Err(ended(status, settings));
        }
        // A degraded service answers 503 with the same document.
        let answer = client.get(format!("http://{address}/health")).send().await;
        if let Ok(health) = read(answer).await {
            let models: Vec<&Value> = health["models"].as_array().into_iter().flatten().collect();
            let (served, others): (Vec<&Value>, Vec<&Value>) = models
                .into_iter()
                .partition(|model| !model["served"].is_null() && model["served"] == model["promoted"]);
            if served.iter().any(|model| model["name"] == MODEL) {
                let reasons = others.iter().map(|model| {
                    let why = model["reason"]["message"].as_str().unwrap_or("still loading");
                    format!("{}: {why}", model["name"].as_str().unwrap_or_default())
                });
                let still_loading = others.iter().any(|model| model["reason"].is_null());
                if !still_loading {
                    return Ok(reasons.collect::<Vec<_>>().join(", "));
                }
            }
            last = health.to_string();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure::service(format!(
        "ratchet-api does not serve {MODEL} after {} s: {last}",
        START_LIMIT.as_secs()
    ))
    .help(format!("read {}", log_file(settings).display())))
}

async fn read(answer: Result<reqwest::Response, reqwest::Error>) -> Result<Value, reqwest::Error> {
    answer?.json().await
}

/// The JSON of a successful answer; otherwise the failure with what the server said.
async fn answered(request: reqwest::RequestBuilder) -> Result<Value, Failure> {
    let failed = |error: reqwest::Error| Failure::service(format!("ratchet-api: {error}"));
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if !status.is_success() {
        return Err(Failure::service(format!("ratchet-api answered {status}: {text}")));
    }
    serde_json::from_str(&text).map_err(|error| Failure::service(format!("ratchet-api answered no JSON: {error}")))
}

fn show(question: &Question, answer: &Value, api: SocketAddr, engine: SocketAddr, password: &str) {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let row = Value::Object(question.row.clone());
    output::line(&format!(
        "POST http://{api}{route}\n{request}\n\nanswer\n{answer}\n\n\
         engine       http://{engine}/\n\
         predictions  http://{api}/openapi.json\n\
         health       http://{api}/health\n\
         metrics      http://{api}/metrics/prometheus\n\
         user         {USER}, password {password}\n\
         token        curl -s -d username={USER} -d password={password} http://{api}/token",
        route = question.route,
        request = pretty(&row),
        answer = pretty(answer),
    ));
}

async fn wait(api: &mut Child, stop: &mut watch::Receiver<bool>, settings: &Settings) -> Result<(), Failure> {
    output::error("\nBoth services run until Ctrl-C.");
    let ended_as = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
        status = api.wait() => status,
    };
    // Ctrl-C on a terminal reaches both programs; which of them is first does not matter.
    if *stop.borrow() {
        return Ok(());
    }
    match ended_as {
        Ok(status) => Err(ended(status, settings)),
        Err(error) => Err(Failure::service(format!("ratchet-api cannot be waited for: {error}"))),
    }
}

fn ended(status: std::process::ExitStatus, settings: &Settings) -> Failure {
    let log = log_file(settings);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    let last: String = last.into_iter().rev().map(|line| format!("\n  {line}")).collect();
    Failure::service(format!("ratchet-api ended ({status}){last}")).help(format!("read {}", log.display()))
}

/// Asks the API to stop, and makes it stop if it does not.
async fn end(api: &mut Child) {
    if let Some(id) = api.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    if tokio::time::timeout(Duration::from_secs(5), api.wait()).await.is_err() {
        let _ = api.kill().await;
    }
}
