//! Webhooks are told how a run ended, by a server that the test starts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ratchet_runtime::RunStatus;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::secrets::drive;

/// Answers the statuses in turn, the last one for ever; keeps path and text of each request.
async fn hook(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<(String, String)>>>) {
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
