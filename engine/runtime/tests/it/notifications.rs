//! Webhooks are told how a run ended, by a server that the test starts.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ratchet_runtime::RunStatus;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{Fixture, worker};
use crate::secrets::drive;

/// Answers the statuses in turn, the last one for ever; keeps path and text of each request.
pub async fn hook(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<(String, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/services/t0ken-of-the-hook", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let requests = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let body = loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let length = text.to_lowercase().lines().find_map(|line| {
                    line.strip_prefix("content-length:")
                        .map(|length| length.trim().parse::<usize>().unwrap())
                });
                if let (Some((_, body)), Some(length)) = (text.split_once("\r\n\r\n"), length)
                    && body.len() >= length
                {
                    break serde_json::from_str::<Value>(body).unwrap();
                }
            };
            let line = String::from_utf8_lossy(&request).lines().next().unwrap().to_owned();
            let count = {
                let mut requests = requests.lock().unwrap();
                requests.push((line, body["text"].as_str().unwrap().to_owned()));
                requests.len()
            };
            let status = statuses[(count - 1).min(statuses.len() - 1)];
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, heard)
}

const TRAINS: &str = "name: trains
notify: [{ on: [success, promotion], webhook: '${{ secrets.HOOK }}' }, { on: [failure], webhook: '${{ secrets.OTHER }}' }]
tasks:
  table: { uses: test.table, with: { content: abc } }
  model: { uses: test.model, with: { content: one, table: '${{ tasks.table.table }}' } }
  promote: { uses: test.promote, with: { model: '${{ tasks.model.model }}' } }
";

/// Y-180
#[tokio::test]
async fn a_success_with_a_promotion_is_one_message_after_two_refused_tries() {
    let home = tempfile::tempdir().unwrap();
    let (address, heard) = hook(&[503, 500, 200]).await;
    let (other, unheard) = hook(&[200]).await;
    let environment = [("RATCHET_SECRET_HOOK", &*address), ("RATCHET_SECRET_OTHER", &*other)];
    let (_, run, _) = drive(home.path(), TRAINS, &environment).await;
    assert_eq!(run.status, RunStatus::Succeeded);
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(heard[0].0.starts_with("POST /services/t0ken-of-the-hook "), "{heard:?}");
    assert_eq!(heard[0].1, heard[2].1);
    let expected = format!(
        "*trains* succeeded: run {} for {}\n• test-model@1 is champion now: it is better",
        run.id, run.logical_date
    );
    assert_eq!(heard[2].1, expected);
    assert!(unheard.lock().unwrap().is_empty(), "nothing failed");
}

#[tokio::test]
async fn a_failure_names_the_failed_tasks_without_secrets() {
    let home = tempfile::tempdir().unwrap();
    let (address, heard) = hook(&[200]).await;
    let text = "name: fails\nnotify: [{ on: [failure], webhook: '${{ secrets.HOOK }}' }, { on: [success], webhook: 'http://127.0.0.1:9/' }]\ntasks:\n  a: { uses: test.leak, with: { secret: '${{ secrets.KEY }}', fails: true } }\n  b: { uses: test.echo, needs: [a], with: { value: 1 } }\n  c: { uses: test.fail, with: { attempts: 1, retryable: false } }\n";
    let environment = [("RATCHET_SECRET_HOOK", &*address), ("RATCHET_SECRET_KEY", "hunter2!")];
    let (_, run, _) = drive(home.path(), text, &environment).await;
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    let expected = format!(
        "*fails* failed: run {} for {}\n• task `a` failed: it refuses ***\n• task `c` failed: attempt 1 fails",
        run.id, run.logical_date
    );
    assert_eq!(heard[0].1, expected);
}

/// Y-181
#[tokio::test]
async fn a_webhook_that_is_gone_fails_no_run_and_is_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let (refusing, heard) = hook(&[404]).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/services/s3cret-path", gone.local_addr().unwrap());
    drop(gone);
    let text = "name: told\nnotify: [{ on: [success], webhook: '${{ secrets.GONE }}' }, { on: [success], webhook: '${{ secrets.NONE }}' }, { on: [success], webhook: '${{ secrets.REFUSING }}' }]\ntasks:\n  a: { uses: test.echo, with: { value: 1 } }\n";
    let environment = [
        ("RATCHET_SECRET_GONE", &*address),
        ("RATCHET_SECRET_REFUSING", &*refusing),
    ];
    let started = std::time::Instant::now();
    let (said, run, _) = drive(home.path(), text, &environment).await;
    assert_eq!(run.status, RunStatus::Succeeded);
    assert!(started.elapsed() > Duration::from_secs(4), "it was tried three times");
    assert_eq!(heard.lock().unwrap().len(), 1, "a refusal is not tried again");
    assert!(!said.contains("s3cret-path"), "{said}");
}

/// Y-180
#[tokio::test]
async fn a_task_tells_at_once_and_not_when_the_run_has_ended() {
    let home = tempfile::tempdir().unwrap();
    let (address, heard) = hook(&[200]).await;
    let text = "name: early\ntasks:\n  a: { uses: test.fail, with: { attempts: 1, retryable: false }, notify: [{ on: [failure], webhook: '${{ secrets.HOOK }}' }] }\n  b: { uses: test.echo, with: { value: 1 }, notify: [{ on: [success], webhook: '${{ secrets.HOOK }}' }] }\n  c: { uses: test.echo, with: { value: 1 }, notify: [{ on: [failure], webhook: '${{ secrets.HOOK }}' }] }\n";
    let (_, run, _) = drive(home.path(), text, &[("RATCHET_SECRET_HOOK", &*address)]).await;
    let mut heard: Vec<String> = heard.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
    heard.sort();
    let of = |what: &str| format!("*early*: task {what}: run {} for {}", run.id, run.logical_date);
    let failed = format!("{}\n• task `a` failed: attempt 1 fails", of("a failed"));
    assert_eq!(heard, [failed, of("b succeeded")]);
}

/// Y-181
#[tokio::test]
async fn what_a_killed_engine_did_not_tell_the_next_one_tells() {
    let home = tempfile::tempdir().unwrap();
    // Takes the connection and never answers, so that the engine is killed while it tells.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let places = tempfile::tempdir().unwrap();
    let text = "name: untold\nnotify: [{ on: [success], webhook: 'ADDRESS' }]\ntasks:\n  a: { uses: test.echo, with: { value: 1 } }\n";
    let text = text.replace("ADDRESS", &address);
    let file = places.path().join("dag.yaml");
    std::fs::write(&file, text).unwrap();
    let mut engine = Command::new(worker())
        .arg("drive")
        .arg(home.path())
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (first, _) = silent.accept().await.unwrap();
    engine.kill().unwrap();
    engine.wait().unwrap();
    drop(first);
    let engine = Fixture::open(home.path()).await;
    let ended = engine.store().list_runs(None, 1).await.unwrap().remove(0);
    assert_eq!(ended.status, RunStatus::Succeeded, "it is told after it is on disk");
    // When the dead engine's lease has ended, whoever looks for runs without an engine finds this one.
    let deadline = Instant::now() + Duration::from_secs(15);
    while engine.store().unattended_runs().await.unwrap() != [ended.id.clone()] {
        assert!(Instant::now() < deadline, "nobody is asked to tell it");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let answers = tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.unwrap();
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&piece[..read]).into_owned()
    });
    let (observer, _) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, cancel) = tokio::sync::watch::channel(false);
    engine.execute(&ended.id, observer, cancel).await.unwrap();
    assert!(answers.await.unwrap().starts_with("POST / "));
    assert_eq!(engine.store().unattended_runs().await.unwrap(), Vec::<String>::new());
    let events = engine.store().events(&ended.id).await.unwrap();
    let started = events
        .iter()
        .filter(|event| format!("{:?}", event.event).starts_with("TaskStarted"));
    assert_eq!(started.count(), 1, "nothing ran again");
}

/// A mail server that prints what it takes.
struct MailServer {
    process: std::process::Child,
    port: u16,
}

impl MailServer {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let tools = std::env::var_os("RATCHET_TEST_TOOLS").map(PathBuf::from);
        let program = tools.map_or_else(|| PathBuf::from("aiosmtpd"), |tools| tools.join("aiosmtpd"));
        let process = Command::new(&program)
            .args(["--nosetuid", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--class", "aiosmtpd.handlers.Debugging", "stdout"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program.display()));
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the mail server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, port }
    }

    fn taken(mut self) -> String {
        use std::io::Read as _;
        self.process.kill().unwrap();
        let mut text = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.process.wait().unwrap();
        text
    }
}

#[tokio::test]
async fn mail_goes_to_everybody_named_by_a_real_server() {
    let home = tempfile::tempdir().unwrap();
    let server = MailServer::start();
    let text = "name: mailed\nnotify: [{ on: [failure], mail: [team@example.com, '${{ secrets.CHIEF }}'] }]\ntasks:\n  a: { uses: test.leak, with: { secret: '${{ secrets.KEY }}', fails: true } }\n";
    let address = format!("smtp://127.0.0.1:{}", server.port);
    let environment = [
        ("RATCHET_SMTP_URL", &*address),
        ("RATCHET_MAIL_FROM", "Ratchet <ratchet@example.com>"),
        ("RATCHET_SECRET_CHIEF", "chief@example.com"),
        ("RATCHET_SECRET_KEY", "hunter2!"),
    ];
    let (said, run, _) = drive(home.path(), text, &environment).await;
    let taken = server.taken();
    assert!(taken.contains("From: Ratchet <ratchet@example.com>"), "{taken}{said}");
    assert!(taken.contains("To: team@example.com, chief@example.com"), "{taken}");
    assert!(taken.contains("Subject: mailed failed: run "), "{taken}");
    assert!(
        taken.contains(&run.id) && taken.contains("- task `a` failed: it refuses ***"),
        "{taken}"
    );
    assert!(!taken.contains("hunter2"), "{taken}");
}

#[tokio::test]
async fn mail_without_a_server_says_what_to_set() {
    let home = tempfile::tempdir().unwrap();
    let text = "name: mailed\nnotify: [{ on: [success], mail: [team@example.com] }]\ntasks:\n  a: { uses: test.echo, with: { value: 1 } }\n";
    let (said, run, _) = drive(home.path(), text, &[]).await;
    assert_eq!(run.status, RunStatus::Succeeded);
    assert!(said.contains("RATCHET_SMTP_URL"), "{said}");
}
